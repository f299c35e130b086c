/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/imagelock.h"

#include <fcntl.h>
#include <unistd.h>

/* Byte 100 + n: held by who uses permission n; byte 200 + n: held by who does
 * not let others use it.  Permission 1 is writing. */
#define WRITING 101
#define UNSHARE 201

int imagelock_busy(const char *path, struct err *e)
{
	return err_set(e, ERR_BUSY,
		       "image '%s' is in use: a running VM or another program "
		       "has it open for writing",
		       path);
}

/* Where there are no such locks QEMU goes on without, too. */
int imagelock_look(int fd, const char *path, struct err *e)
{
	struct flock theirs = { .l_type = F_WRLCK,
				.l_whence = SEEK_SET,
				.l_start = WRITING,
				.l_len = 1 };

	if (fcntl(fd, F_OFD_GETLK, &theirs) < 0)
		return 0;
	return theirs.l_type == F_UNLCK ? 0 : imagelock_busy(path, e);
}

int imagelock_take(int fd, const char *path, struct err *e)
{
	struct flock mine = { .l_type = F_RDLCK,
			      .l_whence = SEEK_SET,
			      .l_start = UNSHARE,
			      .l_len = 1 };

	/* First ours, then a look at theirs, as QEMU does: of two that come
	 * at once at least one sees the other. */
	if (fcntl(fd, F_OFD_SETLK, &mine) < 0)
		return 0;
	return imagelock_look(fd, path, e);
}
