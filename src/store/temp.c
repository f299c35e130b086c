/* SPDX-License-Identifier: Apache-2.0 */
#include "store/temp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* For O_DIRECT: a page suits every block size that is in use. */
#define DIRECT_ALIGN 4096u
#define DIRECT_LEAST (1u << 20)

struct temp temp_in(int root)
{
	return (struct temp){ .root = root, .fd = -1, .name = "" };
}

void temp_fini(struct temp *t)
{
	if (t->fd >= 0)
		unlinkat(t->root, t->name, 0);
	fd_close_at(&t->fd);
}

/* Lock it, which says that we live.  0 when somebody who was cleaning up was
 * faster and has removed it. */
static int claim(struct temp *t, struct err *e)
{
	struct stat st;
	int r;

	do
		r = flock(t->fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	/* without locks nobody ever cleans up, for nobody gets them */
	if (r < 0 && errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOSYS)
		return err_sys(e, "cannot lock '%s'", t->name);
	if (fstat(t->fd, &st) < 0)
		return err_sys(e, "cannot examine '%s'", t->name);
	return st.st_nlink > 0;
}

static int temp_open(struct temp *t, struct err *e)
{
	for (;;) {
		uint64_t number;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return err_sys(e, "no random numbers");
		snprintf(t->name, sizeof(t->name),
			 TEMP_FOLDER "/%ld-%016" PRIx64, (long)getpid(),
			 number);
		t->fd = openat(t->root, t->name,
			       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (t->fd < 0)
			return err_sys(e, "cannot create '%s'", t->name);

		int r = claim(t, e);

		if (r != 0)
			return r < 0 ? -1 : 0;
		fd_close_at(&t->fd);
	}
}

static bool set_direct(int fd, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 &&
	       fcntl(fd, F_SETFL,
		     direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/*
 * Large objects go past the page cache: they are flushed at once anyway, so
 * the disk begins earlier, nothing is copied, and the host's cache keeps what
 * its guests need.  Returns how many bytes were written; 0 where the file
 * system does not do it, for then all goes the usual way.
 */
static size_t fill_direct(struct temp *t, const struct iovec *iov)
{
	const uint8_t *p = iov->iov_base;
	size_t whole = iov->iov_len - iov->iov_len % DIRECT_ALIGN;
	size_t done = 0;

	if (whole < DIRECT_LEAST || (uintptr_t)p % DIRECT_ALIGN != 0 ||
	    !set_direct(t->fd, true))
		return 0;
	while (done < whole && done % DIRECT_ALIGN == 0) {
		ssize_t n = write(t->fd, p + done, whole - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	/* what failed fails again when the rest is written, with its reason */
	(void)set_direct(t->fd, false);
	return done;
}

static int temp_fill(struct temp *t, const struct iovec *iov, size_t count,
		     struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *p = iov[i].iov_base;
		size_t done = i == 0 ? fill_direct(t, iov) : 0;

		/* an empty part need not be anywhere */
		if (done == iov[i].iov_len)
			continue;
		if (fd_write_full(t->fd, p + done, iov[i].iov_len - done, e) <
		    0)
			return -1;
	}
	return 0;
}

int temp_make(struct temp *t, const struct iovec *iov, size_t count,
	      struct err *e)
{
	for (int tries = 2;; tries--) {
		if (temp_open(t, e) < 0 || temp_fill(t, iov, count, e) < 0)
			return -1;
		if (fdatasync(t->fd) == 0)
			return 0;
		err_sys(e, "cannot flush");
		if (tries == 1)
			return -1;
		temp_fini(t);
	}
}

int temp_name(struct temp *t, const char *name, bool only_if_absent,
	      struct err *e)
{
	if (only_if_absent) {
		if (linkat(t->root, t->name, t->root, name, 0) < 0)
			return err_sys(e, "cannot link");
		return 0;
	}
	if (renameat(t->root, t->name, t->root, name) < 0)
		return err_sys(e, "cannot rename");
	fd_close_at(&t->fd);
	return 0;
}

/* Remove a temporary file unless somebody is writing it. */
static void sweep_one(int tmp, const char *name)
{
	autofd int fd = openat(tmp, name,
			       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(tmp, name, 0);
}

void temp_sweep(int root)
{
	autofd int fd =
		openat(root, TEMP_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL)
		return;
	fd_take(&fd);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			sweep_one(dirfd(dir), entry->d_name);
	closedir(dir);
}
