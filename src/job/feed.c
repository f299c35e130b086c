/* SPDX-License-Identifier: Apache-2.0 */
#include "job/feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/file.h"
#include "base/num.h"
#include "base/team.h"
#include "job/open.h"

#define FILE_THREADS 2

/* One source being read by several threads. */
struct reading {
	const struct feed *f;
	const struct feed_source *s;
	struct intake_image *image;
	pthread_mutex_t lock; /* all below */
	uint64_t next;        /* offset from where nobody reads yet */
	uint64_t done;        /* bytes read, or known to be holes */
	bool stopped;
};

/* ---- what to read next ----------------------------------------------- */

static int alive(struct reading *r, struct err *e)
{
	const struct feed *f = r->f;

	if (job_stopped(f->job, e) < 0)
		return -1;
	return f->check != NULL ? f->check(f->check_ctx, e) : 0;
}

/* Skip what surely reads as zeroes; a whole extent is the least we read. */
static int skip_holes(struct reading *r, struct err *e)
{
	const struct feed_source *s = r->s;
	uint64_t size = s->hole != NULL;

	while (r->next < s->size && size > 0) {
		if (s->hole(s->ctx, r->next, &size, e) < 0)
			return -1;
		r->next += size;
	}
	if (r->next < s->size)
		r->next -= r->next % EXTENT_SIZE;
	return 0;
}

/* Under the lock: 1 and the extent's number, 0 at the end. */
static int next_extent(struct reading *r, uint64_t *number, struct err *e)
{
	if (r->stopped)
		return 0;
	if (alive(r, e) < 0)
		return -1;
	uint64_t before = r->next;

	if (skip_holes(r, e) < 0)
		return -1;
	r->done += r->next - before;
	talk_progress(r->f->job->talk, r->f->what, num_min(r->done, r->s->size),
		      r->s->size);
	if (r->next >= r->s->size)
		return 0;
	*number = r->next / EXTENT_SIZE;
	r->next += EXTENT_SIZE;
	r->done += EXTENT_SIZE;
	return 1;
}

static void stop(void *ctx)
{
	struct reading *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->stopped = true;
	pthread_mutex_unlock(&r->lock);
}

/* ---- reading it ------------------------------------------------------ */

static int read_extent(struct reading *r, unsigned thread, uint64_t number,
		       struct err *e)
{
	struct intake *in = r->f->in;
	uint64_t offset = number * EXTENT_SIZE;
	size_t size = num_min(EXTENT_SIZE, r->s->size - offset);
	uint8_t *buffer = intake_buffer(in, e);

	if (buffer == NULL)
		return -1;
	if (r->s->read(r->s->ctx, thread, offset, size, buffer, e) < 0) {
		intake_unbuffer(in, buffer);
		return -1;
	}
	return intake_put(in, r->image, number, buffer, e);
}

static int work(void *ctx, unsigned thread, struct err *e)
{
	struct reading *r = ctx;

	for (;;) {
		uint64_t number;

		pthread_mutex_lock(&r->lock);
		int more = next_extent(r, &number, e);

		pthread_mutex_unlock(&r->lock);
		if (more <= 0)
			return more;
		if (read_extent(r, thread, number, e) < 0)
			return -1;
	}
}

int feed_source(const struct feed *f, const struct feed_source *s,
		struct image_root *root, struct err *e)
{
	struct reading r = { .f = f, .s = s };
	const struct team team = {
		.ctx = &r,
		.members = (unsigned)num_min(s->threads, TEAM_MAX),
		.work = work,
		.stop = stop,
	};

	r.image = intake_image(f->in, s->size);
	pthread_mutex_init(&r.lock, NULL);
	int ok = team_run(&team, e);

	pthread_mutex_destroy(&r.lock);
	if (ok < 0)
		return -1;
	return intake_finish(f->in, r.image, root, e);
}

/* ---- disks ----------------------------------------------------------- */

static int disk_source_read(void *ctx, unsigned thread, uint64_t offset,
			    size_t size, uint8_t *to, struct err *e)
{
	struct disk *d = ctx;
	unsigned connection = disk_connections(d) > 1 ? thread + 1 : 0;

	return disk_read(d, connection, offset, size, to, e);
}

static int disk_source_hole(void *ctx, uint64_t offset, uint64_t *size,
			    struct err *e)
{
	bool data;

	if (disk_extent(ctx, offset, size, &data, e) < 0)
		return -1;
	if (data)
		*size = 0;
	return 0;
}

struct feed_source feed_of_disk(struct disk *d)
{
	unsigned n = disk_connections(d);

	return (struct feed_source){
		.ctx = d,
		.size = disk_size(d),
		.threads = n > 1 ? n - 1 : 1,
		.read = disk_source_read,
		.hole = disk_source_hole,
	};
}

int feed_disk(const struct feed *f, struct disk *d, struct image_root *root,
	      struct err *e)
{
	const struct feed_source s = feed_of_disk(d);

	return feed_source(f, &s, root, e);
}

/* ---- files ----------------------------------------------------------- */

static int file_source_read(void *ctx, unsigned thread, uint64_t offset,
			    size_t size, uint8_t *to, struct err *e)
{
	const struct feed_file *f = ctx;

	(void)thread;
	return fd_pread_full(f->fd, to, size, offset, e);
}

static int file_source_hole(void *ctx, uint64_t offset, uint64_t *size,
			    struct err *e)
{
	const struct feed_file *f = ctx;
	off_t at = lseek(f->fd, (off_t)offset, SEEK_DATA);

	(void)e;
	*size = 0;
	if (at >= 0)
		*size = (uint64_t)at - offset;
	else if (errno == ENXIO) /* no data up to the end */
		*size = f->size - offset;
	return 0;
}

struct feed_source feed_of_file(struct feed_file *f)
{
	return (struct feed_source){
		.ctx = f,
		.size = f->size,
		.threads = FILE_THREADS,
		.read = file_source_read,
		.hole = file_source_hole,
	};
}

int feed_file(const struct feed *f, int fd, uint64_t size,
	      struct image_root *root, struct err *e)
{
	struct feed_file file = { .fd = fd, .size = size };
	const struct feed_source s = feed_of_file(&file);

	return feed_source(f, &s, root, e);
}

/* ---- streams --------------------------------------------------------- */

/* 1 when there was something, 0 at the end. */
static int stream_extent(const struct feed *f, int fd,
			 struct intake_image *image, uint64_t number,
			 struct err *e)
{
	uint8_t *buffer = intake_buffer(f->in, e);
	size_t got;

	if (buffer == NULL)
		return -1;
	if (job_stopped(f->job, e) < 0 ||
	    fd_read_some(fd, buffer, EXTENT_SIZE, &got, e) < 0) {
		intake_unbuffer(f->in, buffer);
		return -1;
	}
	if (got == 0) {
		intake_unbuffer(f->in, buffer);
		return 0;
	}
	intake_grow(f->in, image, number * EXTENT_SIZE + got);
	if (intake_put(f->in, image, number, buffer, e) < 0)
		return -1;
	talk_progress(f->job->talk, f->what, number * EXTENT_SIZE + got, 0);
	return got == EXTENT_SIZE;
}

int feed_stream(const struct feed *f, int fd, struct image_root *root,
		struct err *e)
{
	struct intake_image *image = intake_image(f->in, 0);
	uint64_t number = 0;
	int more;

	do
		more = stream_extent(f, fd, image, number++, e);
	while (more > 0);
	return more < 0 ? -1 : intake_finish(f->in, image, root, e);
}
