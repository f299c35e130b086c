/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"

/* The kernel's ERESTARTSYS, which has no name out here; how often to try again,
 * and when. */
#define RESTART  512
#define AGAIN    500
#define AGAIN_NS 10000000

#ifdef VMKEEP_TEST_KILL
/* VMKEEP_TEST_FAIL=N: the N-th of what is written, made or locked fails, and
 * the test is told. */
static bool test_fails(void)
{
	static atomic_ulong calls;
	const char *when = getenv("VMKEEP_TEST_FAIL");

	if (when == NULL ||
	    atomic_fetch_add(&calls, 1) + 1 != strtoul(when, NULL, 10))
		return false;
	dprintf(STDERR_FILENO, "test: change %s fails\n", when);
	errno = ENOSPC;
	return true;
}
#else
static bool test_fails(void)
{
	return false;
}
#endif

void fd_close_at(int *fd)
{
	int sys = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = sys;
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

int fd_open(const char *path, int flags)
{
	const struct timespec nap = { .tv_nsec = AGAIN_NS };
	int fd = open(path, flags | O_CLOEXEC);

	for (int n = 0; fd < 0 && errno == RESTART && n < AGAIN; n++) {
		nanosleep(&nap, NULL);
		fd = open(path, flags | O_CLOEXEC);
	}
	return fd;
}

bool fd_is_at(int fd, const char *path)
{
	struct stat ours;
	struct stat named;

	return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

int fd_pread_full(int fd, void *to, size_t n, uint64_t offset, struct err *e)
{
	uint8_t *p = to;

	while (n > 0) {
		ssize_t got = pread(fd, p, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read at %" PRIu64, offset);
		if (got == 0)
			return err_set(e, ERR_INTEGRITY,
				       "ends early, at %" PRIu64, offset);
		p += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

int fd_read_some(int fd, void *to, size_t n, size_t *got, struct err *e)
{
	uint8_t *p = to;
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, p + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "cannot read");
		if (r == 0)
			break;
		done += (size_t)r;
	}
	*got = done;
	return 0;
}

int fd_write_full(int fd, const void *from, size_t n, struct err *e)
{
	const uint8_t *p = from;

	if (test_fails())
		return err_sys(e, "cannot write");
	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(e, "cannot write");
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

int fd_pwrite_full(int fd, const void *from, size_t n, uint64_t offset,
		   struct err *e)
{
	const uint8_t *p = from;

	if (test_fails())
		return err_sys(e, "cannot write at %" PRIu64, offset);
	while (n > 0) {
		ssize_t put = pwrite(fd, p, n, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(e, "cannot write at %" PRIu64, offset);
		p += put;
		n -= (size_t)put;
		offset += (uint64_t)put;
	}
	return 0;
}

/* Take n bytes off the front; pieces that are empty then go, too. */
static void advance(struct iovec **iov, size_t *count, size_t n)
{
	while (*count > 0 && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		++*iov;
		--*count;
	}
	if (n > 0) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

int fd_pwritev_full(int fd, struct iovec *iov, size_t count, uint64_t offset,
		    struct err *e)
{
	if (test_fails())
		return err_sys(e, "cannot write at %" PRIu64, offset);
	for (advance(&iov, &count, 0); count > 0;) {
		ssize_t put = pwritev(fd, iov, (int)count, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(e, "cannot write at %" PRIu64, offset);
		offset += (uint64_t)put;
		advance(&iov, &count, (size_t)put);
	}
	return 0;
}

/* Append what fd still has; one byte more than max shows that it is more. */
static int load(int fd, size_t max, struct buf *b, struct err *e)
{
	size_t total = 0;

	for (;;) {
		size_t want = (size_t)num_min(max - total, 64 * 1024) + 1;
		size_t got;

		if (fd_read_some(fd, buf_room(b, want), want, &got, e) < 0)
			return -1;
		if (got > max - total)
			return err_set(e, ERR_INTEGRITY,
				       "larger than %zu bytes", max);
		b->len += got;
		total += got;
		if (got < want)
			return 0;
	}
}

int file_load(const char *path, size_t max, struct buf *b, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t before = b->len;

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (load(fd, max, b, e) < 0) {
		b->len = before;
		return err_ctx(e, "'%s'", path);
	}
	return 0;
}

static int fill(int fd, mode_t mode, const void *data, size_t size,
		struct err *e)
{
	if (fd_write_full(fd, data, size, e) < 0)
		return -1;
	if (fchmod(fd, mode) < 0)
		return err_sys(e, "cannot set the mode");
	if (fdatasync(fd) < 0)
		return err_sys(e, "cannot flush");
	return 0;
}

int file_save(const char *path, mode_t mode, const void *data, size_t size,
	      struct err *e)
{
	autofree char *temp = mem_fmt("%s.XXXXXX", path);
	autofree char *dir = path_dir(path);
	autofd int fd = mkostemp(temp, O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot create a file beside '%s'", path);
	if (fill(fd, mode, data, size, e) < 0) {
		unlink(temp);
		return err_ctx(e, "'%s'", temp);
	}
	if (rename(temp, path) < 0) {
		err_sys(e, "cannot rename '%s' to '%s'", temp, path);
		unlink(temp);
		return -1;
	}
	return dir_sync(dir, e);
}

/* One folder; there already is fine, where it is one. */
static int make_one(const char *path, mode_t mode, struct err *e)
{
	struct stat st;

	/* what the umask takes, QEMU's user may need to pass through */
	if (!test_fails() && mkdir(path, mode) == 0)
		return chmod(path, mode) == 0
			       ? 0
			       : err_sys(e, "cannot set the mode of '%s'",
					 path);

	int sys = errno;

	if (sys == EEXIST && stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_sysno(e, ENOTDIR, "cannot make folder '%s'", path);
	if (sys == EEXIST)
		return 0;
	return err_sysno(e, sys, "cannot make folder '%s'", path);
}

int dir_make(const char *path, mode_t mode, struct err *e)
{
	autofree char *part = mem_strdup(path);

	for (char *p = part; *p != '\0'; p++) {
		if (*p != '/' || p == part)
			continue;
		*p = '\0';
		if (make_one(part, mode, e) < 0)
			return -1;
		*p = '/';
	}
	return make_one(part, mode, e);
}

int dir_sync(const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || test_fails())
		return err_sys(e, "cannot open folder '%s'", path);
	/* EINVAL: this file system has nothing to flush for folders */
	if (fsync(fd) < 0 && errno != EINVAL)
		return err_sys(e, "cannot flush folder '%s'", path);
	return 0;
}

char *path_dir(const char *path)
{
	const char *base = path_base(path);

	if (base == path)
		return mem_strdup(".");
	while (base > path + 1 && base[-1] == '/')
		base--;
	return mem_fmt("%.*s", (int)(base - path), path);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

char *path_join(const char *dir, const char *name)
{
	size_t n = strlen(dir);
	bool ends = n > 0 && dir[n - 1] == '/';

	return mem_fmt("%s%s%s", dir, ends ? "" : "/", name);
}

/* Who has it, as far as the holder said so. */
static int held(int fd, const char *path, struct err *e)
{
	char text[24] = "";
	uint64_t pid;
	struct err none = ERR_INIT;
	size_t got;

	if (fd_read_some(fd, text, sizeof(text) - 1, &got, &none) == 0)
		text[strcspn(text, "\n")] = '\0';
	if (num_parse(text, &pid))
		return err_set(e, ERR_BUSY,
			       "'%s' is locked by process %" PRIu64, path, pid);
	return err_set(e, ERR_BUSY, "'%s' is locked by another process", path);
}

int file_lock(const char *path, int *fd, struct err *e)
{
	autofd int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct err none = ERR_INIT;
	char pid[24];
	int r;

	if (lock < 0 || test_fails())
		return err_sys(e, "cannot open lock '%s'", path);
	do
		r = flock(lock, LOCK_EX | LOCK_NB);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EWOULDBLOCK)
		return held(lock, path, e);
	if (r < 0)
		return err_sys(e, "cannot lock '%s'", path);

	/* a courtesy to the next one: on a full disk the lock holds too */
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	if (ftruncate(lock, 0) == 0)
		fd_write_full(lock, pid, (size_t)n, &none);
	*fd = fd_take(&lock);
	return 0;
}

static uint64_t blocks(fsblkcnt_t count, unsigned long size)
{
	uint64_t bytes;

	return __builtin_mul_overflow((uint64_t)count, (uint64_t)size, &bytes)
		       ? UINT64_MAX
		       : bytes;
}

int file_room(const char *path, struct file_room *room, struct err *e)
{
	struct statvfs st;
	int r;

	do
		r = statvfs(path, &st);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, "cannot ask for the free space at '%s'",
			       path);
	room->size = blocks(st.f_blocks, st.f_frsize);
	room->free = blocks(st.f_bavail, st.f_frsize);
	return 0;
}

bool file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}
