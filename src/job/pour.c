/* SPDX-License-Identifier: Apache-2.0 */
#include "job/pour.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "job/open.h"

#define MAX_THREADS 16

enum target {
	TARGET_DISK,
	TARGET_FILE,
	TARGET_STREAM, /* in order, into a sink */
};

struct pouring {
	const struct pour *p;
	struct reader_image *image;
	enum target target;
	struct disk *disk;
	int fd;
	pour_sink *sink;
	void *sink_ctx;
	uint64_t extents;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	uint64_t next; /* extent that nobody has taken yet */
	uint64_t turn; /* streams: whose turn to write it is */
	uint64_t written;
	bool failed;
	struct err err;
};

struct pouring_thread {
	struct pouring *r;
	unsigned number;
	pthread_t thread;
	struct reader_thread *reader;
	uint8_t *buffer;
};

static void fail(struct pouring *r, const struct err *e)
{
	pthread_mutex_lock(&r->lock);
	if (!r->failed)
		r->err = *e;
	r->failed = true;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
}

/* ---- writing --------------------------------------------------------- */

static int write_bytes(struct pouring_thread *t, uint64_t offset, size_t size,
		       const uint8_t *from, struct err *e)
{
	struct pouring *r = t->r;

	if (r->target == TARGET_DISK)
		return disk_write(r->disk, t->number, offset, size, from, e);
	return fd_pwrite_full(r->fd, from, size, offset, e);
}

/* Files that cannot have holes get zeroes. */
static int file_zero(int fd, uint64_t offset, uint64_t size, struct err *e)
{
	static const uint8_t zeroes[64 << 10];

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)offset, (off_t)size) == 0)
		return 0;
	while (size > 0) {
		size_t n = num_min(size, sizeof(zeroes));

		if (fd_pwrite_full(fd, zeroes, n, offset, e) < 0)
			return -1;
		offset += n;
		size -= n;
	}
	return 0;
}

static int write_zeroes(struct pouring_thread *t, uint64_t offset,
			uint64_t size, struct err *e)
{
	struct pouring *r = t->r;

	if (r->p->fresh)
		return 0;
	if (r->target == TARGET_DISK)
		return disk_zero(r->disk, t->number, offset, size, e);
	return file_zero(r->fd, offset, size, e);
}

static bool zero_page(const uint8_t *buffer, size_t at, size_t size)
{
	return bytes_zero(buffer + at, num_min(PAGE_SIZE_BYTES, size - at));
}

/* Runs of pages that are zero, and of those that are not. */
static int write_runs(struct pouring_thread *t, uint64_t offset, size_t size,
		      struct err *e)
{
	size_t at = 0;

	while (at < size) {
		bool zero = zero_page(t->buffer, at, size);
		size_t end = at;

		while (end < size && zero_page(t->buffer, end, size) == zero)
			end += PAGE_SIZE_BYTES;
		end = num_min(end, size);
		int ok = zero ? write_zeroes(t, offset + at, end - at, e)
			      : write_bytes(t, offset + at, end - at,
					    t->buffer + at, e);

		if (ok < 0)
			return -1;
		if (!zero) {
			pthread_mutex_lock(&t->r->lock);
			t->r->written += end - at;
			pthread_mutex_unlock(&t->r->lock);
		}
		at = end;
	}
	return 0;
}

static int write_in_turn(struct pouring_thread *t, uint64_t number, size_t size,
			 struct err *e)
{
	struct pouring *r = t->r;

	pthread_mutex_lock(&r->lock);
	while (r->turn != number && !r->failed)
		pthread_cond_wait(&r->change, &r->lock);
	bool failed = r->failed;

	pthread_mutex_unlock(&r->lock);
	if (failed)
		return err_set(e, ERR_STOPPED, "stopped");
	int ok = r->sink(r->sink_ctx, number * EXTENT_SIZE, t->buffer, size, e);

	pthread_mutex_lock(&r->lock);
	r->turn++;
	r->written += size;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
	return ok;
}

/* ---- one extent after the other -------------------------------------- */

/* Under the lock: the next extent there is something to do for. */
static int take_next(struct pouring *r, uint64_t *number, struct err *e)
{
	bool every = r->target == TARGET_STREAM || !r->p->fresh;

	if (r->failed || r->next >= r->extents)
		return 0;
	if (job_stopped(r->p->job, e) < 0)
		return -1;
	*number = r->next;
	if (!every) {
		int more = reader_next(r->image, r->next, number, e);

		if (more <= 0)
			return more;
	}
	r->next = *number + 1;
	talk_progress(r->p->job->talk, r->p->what,
		      num_min(r->next * EXTENT_SIZE, r->p->root->size),
		      r->p->root->size);
	return 1;
}

static int pour_extent(struct pouring_thread *t, uint64_t number, struct err *e)
{
	struct pouring *r = t->r;
	uint64_t offset = number * EXTENT_SIZE;
	size_t size = num_min(EXTENT_SIZE, r->p->root->size - offset);
	bool hole;

	if (reader_extent(r->image, t->reader, number, t->buffer, &hole, e) < 0)
		return -1;
	if (r->target == TARGET_STREAM)
		return write_in_turn(t, number, size, e);
	if (hole)
		return write_zeroes(t, offset, size, e);
	return write_runs(t, offset, size, e);
}

static int prepare(struct pouring_thread *t, struct err *e)
{
	t->reader = reader_thread_new(t->r->p->repo, e);
	t->buffer = mem_try_pages(EXTENT_SIZE);
	if (t->buffer == NULL)
		return err_set(e, ERR_FAILED, "no memory for a buffer");
	return t->reader != NULL ? 0 : -1;
}

static void *pouring_main(void *arg)
{
	struct pouring_thread *t = arg;
	struct err e = ERR_INIT;
	int more = prepare(t, &e);

	while (more == 0) {
		uint64_t number;

		pthread_mutex_lock(&t->r->lock);
		more = take_next(t->r, &number, &e);
		pthread_mutex_unlock(&t->r->lock);
		if (more == 0)
			break;
		if (more == 1)
			more = pour_extent(t, number, &e);
	}
	if (more < 0)
		fail(t->r, &e);
	reader_thread_free(t->reader);
	free(t->buffer);
	return NULL;
}

static void run_threads(struct pouring *r, unsigned n)
{
	struct pouring_thread threads[MAX_THREADS];
	unsigned started = 0;

	for (; started < n; started++) {
		struct pouring_thread *t = &threads[started];
		struct err e = ERR_INIT;

		*t = (struct pouring_thread){ .r = r, .number = started };
		int sys = pthread_create(&t->thread, NULL, pouring_main, t);

		if (sys != 0) {
			err_sysno(&e, sys, "cannot start a thread");
			fail(r, &e);
			break;
		}
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i].thread, NULL);
}

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned)num_min(n > 0 ? (uint64_t)n : 1, MAX_THREADS);
}

static int pour(struct pouring *r, unsigned threads, struct err *e)
{
	const struct pour *p = r->p;
	AUTO(reader_close_at)
	struct reader_image *image = reader_open(p->repo, p->set, p->root, e);

	if (image == NULL)
		return -1;
	r->image = image;
	r->extents = num_parts(p->root->size, EXTENT_SIZE);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->change, NULL);
	run_threads(r, threads);
	pthread_cond_destroy(&r->change);
	pthread_mutex_destroy(&r->lock);
	if (p->written != NULL)
		*p->written += r->written;
	if (r->failed)
		*e = r->err;
	return r->failed ? -1 : 0;
}

int pour_disk(const struct pour *p, struct disk *d, struct err *e)
{
	struct pouring r = {
		.p = p, .target = TARGET_DISK, .disk = d, .fd = -1
	};

	if (disk_size(d) < p->root->size)
		return err_set(e, ERR_FAILED,
			       "the target has %llu bytes, the image %llu",
			       (unsigned long long)disk_size(d),
			       (unsigned long long)p->root->size);
	if (pour(&r, disk_connections(d), e) < 0)
		return -1;
	return disk_flush(d, e);
}

int pour_file(const struct pour *p, int fd, struct err *e)
{
	struct pouring r = { .p = p, .target = TARGET_FILE, .fd = fd };

	if (p->fresh && ftruncate(fd, (off_t)p->root->size) < 0)
		return err_sys(e, "cannot set the file's size");
	if (pour(&r, processors(), e) < 0)
		return -1;
	return fdatasync(fd) == 0 ? 0 : err_sys(e, "cannot sync");
}

int pour_ordered(const struct pour *p, pour_sink *sink, void *ctx,
		 struct err *e)
{
	struct pouring r = {
		.p = p,
		.target = TARGET_STREAM,
		.fd = -1,
		.sink = sink,
		.sink_ctx = ctx,
	};

	return pour(&r, processors(), e);
}

static int write_fd(void *ctx, uint64_t offset, const uint8_t *data,
		    size_t size, struct err *e)
{
	(void)offset;
	return fd_write_full(*(const int *)ctx, data, size, e);
}

int pour_stream(const struct pour *p, int fd, struct err *e)
{
	return pour_ordered(p, write_fd, &fd, e);
}
