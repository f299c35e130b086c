/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/mount.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* The file system's last complaint, "e text", into said. */
static void complaint(int fs, char *said, size_t size)
{
	char line[256];
	ssize_t n;

	said[0] = '\0';
	while ((n = read(fs, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == 'e' && line[1] == ' ' && strlen(line) < size)
			memcpy(said, line + 2, strlen(line) - 1);
	}
}

static int failed(int fs, const char *type, const char *source, struct err *e)
{
	int sys = errno;
	char said[200];

	complaint(fs, said, sizeof(said));
	return err_sysno(e, sys, "cannot mount '%s' as %s%s%s", source, type,
			 said[0] ? ": " : "", said);
}

static int configure(int fs, const char *source, const char *const *flags)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return -1;
	for (; *flags; flags++) {
		if (fsconfig(fs, FSCONFIG_SET_FLAG, *flags, NULL, 0) < 0)
			return -1;
	}
	return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int mount_hidden(const char *type, const char *source, const char *const *flags,
		 int *root, struct err *e)
{
	autofd int fs = fsopen(type, FSOPEN_CLOEXEC);
	autofd int got = -1;

	if (fs < 0)
		return err_sys(e, "cannot mount '%s' as %s", source, type);
	if (configure(fs, source, flags) < 0)
		return failed(fs, type, source, e);
	got = fsmount(fs, FSMOUNT_CLOEXEC,
		      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			      MOUNT_ATTR_NOEXEC);
	if (got < 0)
		return failed(fs, type, source, e);
	*root = fd_take(&got);
	return 0;
}
