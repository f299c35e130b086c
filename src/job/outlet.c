/* SPDX-License-Identifier: Apache-2.0 */
#include "job/outlet.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/team.h"
#include "codec/hash.h"

/* While some threads wait for the disk, others unpack. */
#define EXTRA_THREADS 4

struct outlet {
	struct disk *disk;      /* or NULL */
	pthread_mutex_t asking; /* disk_extent() */
	int fd;
	int direct;           /* the same past the page cache, or -1 */
	_Atomic bool refused; /* the file system does not take that */
	bool reserves;        /* outlet_reserve() helps */
};

struct outlet *outlet_disk(struct disk *d)
{
	struct outlet *o = mem_zalloc(1, sizeof(*o));

	o->disk = d;
	o->fd = -1;
	o->direct = -1;
	pthread_mutex_init(&o->asking, NULL);
	return o;
}

/* Another descriptor of the same file, for O_DIRECT goes with it. */
static int open_direct(int fd)
{
	int mode = fcntl(fd, F_GETFL);
	char path[32];

	if (mode < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (mode & O_ACCMODE) | O_DIRECT | O_CLOEXEC);
}

/*
 * ext4 and XFS write directly into blocks that are there with several threads
 * at once, into holes with one.  Elsewhere reserving does harm: btrfs never
 * compresses what was reserved.
 */
static bool gains_by_reserving(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC);
}

struct outlet *outlet_file(int fd)
{
	struct outlet *o = outlet_disk(NULL);

	o->fd = fd;
	o->direct = open_direct(fd);
	o->reserves = o->direct >= 0 && gains_by_reserving(fd);
	return o;
}

void outlet_free(struct outlet *o)
{
	if (o == NULL)
		return;
	fd_close_at(&o->direct);
	pthread_mutex_destroy(&o->asking);
	free(o);
}

void outlet_free_at(struct outlet **o)
{
	outlet_free(*o);
}

/* The first connection is there to ask where data is. */
unsigned outlet_threads(const struct outlet *o)
{
	if (o->disk == NULL)
		return team_size(EXTRA_THREADS);
	unsigned n = disk_connections(o->disk);

	return (unsigned)num_min(n > 1 ? n - 1 : 1, TEAM_MAX);
}

static unsigned connection(const struct outlet *o, unsigned thread)
{
	return disk_connections(o->disk) > 1 ? thread + 1 : 0;
}

/* ---- bytes ----------------------------------------------------------- */

static bool can_be_direct(const struct outlet *o, const uint8_t *p,
			  uint64_t offset, size_t size)
{
	return o->direct >= 0 && !atomic_load(&o->refused) &&
	       ((uintptr_t)p | offset | size) % PAGE_SIZE_BYTES == 0;
}

/* EINVAL: it was only said that O_DIRECT can be had, or blocks are larger. */
static bool is_refusal(struct outlet *o, struct err *e)
{
	if (e->sys != EINVAL)
		return false;
	atomic_store(&o->refused, true);
	err_clear(e);
	return true;
}

/* A failure to begin writing shows in fdatasync(). */
static int write_cached(int fd, uint64_t offset, size_t size,
			const uint8_t *from, struct err *e)
{
	if (fd_pwrite_full(fd, from, size, offset, e) < 0)
		return -1;
	(void)sync_file_range(fd, (off_t)offset, (off_t)size,
			      SYNC_FILE_RANGE_WRITE);
	return 0;
}

int outlet_write(struct outlet *o, unsigned thread, uint64_t offset,
		 size_t size, const uint8_t *from, struct err *e)
{
	if (o->disk != NULL)
		return disk_write(o->disk, connection(o, thread), offset, size,
				  from, e);
	if (!can_be_direct(o, from, offset, size))
		return write_cached(o->fd, offset, size, from, e);
	if (fd_pwrite_full(o->direct, from, size, offset, e) == 0)
		return 0;
	return is_refusal(o, e) ? write_cached(o->fd, offset, size, from, e)
				: -1;
}

static int write_each(struct outlet *o, unsigned thread, uint64_t offset,
		      const struct iovec *iov, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		if (outlet_write(o, thread, offset, iov[i].iov_len,
				 iov[i].iov_base, e) < 0)
			return -1;
		offset += iov[i].iov_len;
	}
	return 0;
}

int outlet_writev(struct outlet *o, unsigned thread, uint64_t offset,
		  const struct iovec *iov, size_t count, struct err *e)
{
	struct iovec left[OUTLET_PIECES]; /* is used up */
	bool direct = o->disk == NULL;

	assert(count <= OUTLET_PIECES);
	for (size_t i = 0; i < count && direct; i++)
		direct = can_be_direct(o, iov[i].iov_base, offset,
				       iov[i].iov_len);
	if (!direct)
		return write_each(o, thread, offset, iov, count, e);
	memcpy(left, iov, count * sizeof(*iov));
	if (fd_pwritev_full(o->direct, left, count, offset, e) == 0)
		return 0;
	return is_refusal(o, e) ? write_each(o, thread, offset, iov, count, e)
				: -1;
}

void outlet_reserve(struct outlet *o, uint64_t offset, uint64_t size)
{
	/* a full disk is told by who writes */
	if (o->reserves)
		(void)fallocate(o->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset,
				(off_t)size);
}

/* Up to the end of the file, and zeroes behind it. */
static int read_file(int fd, uint64_t offset, size_t size, uint8_t *to,
		     struct err *e)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(fd, to + done, size - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read at %" PRIu64,
				       offset + done);
		if (got == 0)
			break;
		done += (size_t)got;
	}
	memset(to + done, 0, size - done);
	return 0;
}

static int read_disk(struct outlet *o, unsigned thread, uint64_t offset,
		     size_t size, uint8_t *to, struct err *e)
{
	uint64_t end = disk_size(o->disk);
	size_t there = offset < end ? num_min(size, end - offset) : 0;

	memset(to + there, 0, size - there);
	return disk_read(o->disk, connection(o, thread), offset, there, to, e);
}

int outlet_read(struct outlet *o, unsigned thread, uint64_t offset, size_t size,
		uint8_t *to, struct err *e)
{
	if (o->disk != NULL)
		return read_disk(o, thread, offset, size, to, e);
	if (!can_be_direct(o, to, offset, size))
		return read_file(o->fd, offset, size, to, e);
	if (read_file(o->direct, offset, size, to, e) == 0)
		return 0;
	return is_refusal(o, e) ? read_file(o->fd, offset, size, to, e) : -1;
}

/* ---- zeroes ---------------------------------------------------------- */

static int write_zeroes(int fd, uint64_t offset, uint64_t size, struct err *e)
{
	static const uint8_t zeroes[64 << 10];

	while (size > 0) {
		size_t n = num_min(size, sizeof(zeroes));

		if (write_cached(fd, offset, n, zeroes, e) < 0)
			return -1;
		offset += n;
		size -= n;
	}
	return 0;
}

/* A hole, where there can be one; else zeroes that the device writes itself,
 * where it can. */
static int zero_file(int fd, uint64_t offset, uint64_t size, struct err *e)
{
	static const int ways[] = { FALLOC_FL_PUNCH_HOLE,
				    FALLOC_FL_ZERO_RANGE };

	for (size_t i = 0; i < 2; i++)
		if (fallocate(fd, ways[i] | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			      (off_t)size) == 0)
			return 0;
	return write_zeroes(fd, offset, size, e);
}

int outlet_zero(struct outlet *o, unsigned thread, uint64_t offset,
		uint64_t size, struct err *e)
{
	if (o->disk != NULL)
		return disk_zero(o->disk, connection(o, thread), offset, size,
				 e);
	return zero_file(o->fd, offset, size, e);
}

static int disk_hole(struct outlet *o, uint64_t offset, uint64_t *size,
		     struct err *e)
{
	bool data;

	pthread_mutex_lock(&o->asking);
	int ok = disk_extent(o->disk, offset, size, &data, e);

	pthread_mutex_unlock(&o->asking);
	if (ok == 0 && data)
		*size = 0;
	return ok;
}

int outlet_hole(struct outlet *o, uint64_t offset, uint64_t *size,
		struct err *e)
{
	if (o->disk != NULL)
		return disk_hole(o, offset, size, e);
	off_t end = lseek(o->fd, 0, SEEK_END);
	off_t at = lseek(o->fd, (off_t)offset, SEEK_DATA);

	*size = 0;
	if (at >= 0)
		*size = (uint64_t)at - offset;
	else if (errno == ENXIO) /* no data up to the end, and beyond */
		*size = end > 0 && (uint64_t)end > offset
				? (uint64_t)end - offset
				: UINT64_MAX - offset;
	return 0;
}

int outlet_sync(struct outlet *o, struct err *e)
{
	if (o->disk != NULL)
		return disk_flush(o->disk, e);
	return fdatasync(o->fd) == 0 ? 0 : err_sys(e, "cannot sync");
}
