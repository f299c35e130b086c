/* SPDX-License-Identifier: Apache-2.0 */
#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

static unsigned meant, calls;
static int sys_code;

void fail_at(unsigned n, int sys)
{
	meant = n;
	calls = 0;
	sys_code = sys;
}

bool fail_came(void)
{
	return calls >= meant;
}

static bool fails(void)
{
	if (meant == 0 || ++calls != meant)
		return false;
	errno = sys_code;
	return true;
}

/* The linker gives the real ones these names. */
#define WRAP(type, name, wrong, args, call)                                    \
	type __real_##name args;                                               \
	type __wrap_##name args;                                               \
	type __wrap_##name args                                                \
	{                                                                      \
		return fails() ? (wrong) : __real_##name call;                 \
	}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode = 0;

	if (fails())
		return -1;
	va_start(ap, flags);
	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return __real_open64(path, flags, mode);
}

WRAP(int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, mkostemp64, -1, (char *path, int flags), (path, flags))
WRAP(int, rename, -1, (const char *from, const char *to), (from, to))
WRAP(int, link, -1, (const char *from, const char *to), (from, to))
WRAP(int, unlink, -1, (const char *path), (path))
WRAP(int, rmdir, -1, (const char *path), (path))
WRAP(int, flock, -1, (int fd, int how), (fd, how))
WRAP(int, fsync, -1, (int fd), (fd))
WRAP(int, fdatasync, -1, (int fd), (fd))
WRAP(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
WRAP(int, ftruncate64, -1, (int fd, off_t size), (fd, size))
WRAP(int, fallocate64, -1, (int fd, int mode, off_t at, off_t n),
     (fd, mode, at, n))
WRAP(ssize_t, read, -1, (int fd, void *to, size_t n), (fd, to, n))
WRAP(ssize_t, pread64, -1, (int fd, void *to, size_t n, off_t at),
     (fd, to, n, at))
WRAP(ssize_t, write, -1, (int fd, const void *from, size_t n), (fd, from, n))
WRAP(ssize_t, pwrite64, -1, (int fd, const void *from, size_t n, off_t at),
     (fd, from, n, at))
WRAP(DIR *, opendir, NULL, (const char *path), (path))
