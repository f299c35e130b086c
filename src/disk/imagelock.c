/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/imagelock.h"

#include <fcntl.h>
#include <stdbool.h>
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

/* Does somebody else hold this byte?  Where there are no such locks QEMU goes
 * on without, too. */
static bool is_held(int fd, off_t byte)
{
	struct flock theirs = { .l_type = F_WRLCK,
				.l_whence = SEEK_SET,
				.l_start = byte,
				.l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &theirs) == 0 && theirs.l_type != F_UNLCK;
}

static bool hold(int fd, off_t byte)
{
	struct flock mine = { .l_type = F_RDLCK,
			      .l_whence = SEEK_SET,
			      .l_start = byte,
			      .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &mine) == 0;
}

int imagelock_look(int fd, const char *path, struct err *e)
{
	return is_held(fd, WRITING) ? imagelock_busy(path, e) : 0;
}

/* First ours, then a look at theirs, as QEMU does: of two that come at once
 * at least one sees the other. */
int imagelock_take(int fd, const char *path, struct err *e)
{
	return hold(fd, UNSHARE) ? imagelock_look(fd, path, e) : 0;
}

int imagelock_take_all(int fd, const char *path, struct err *e)
{
	if (!hold(fd, WRITING) || !hold(fd, UNSHARE))
		return 0;
	return is_held(fd, WRITING) || is_held(fd, UNSHARE)
		       ? imagelock_busy(path, e)
		       : 0;
}
