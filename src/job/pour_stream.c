/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/team.h"
#include "job/open.h"
#include "job/pour_internal.h"

/* Each thread reads an extent, and waits for its turn to give it away. */
struct flow {
	const struct pour *p;
	struct reader_image *image;
	pour_sink *sink;
	void *sink_ctx;
	uint64_t extents;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	uint64_t next; /* extent that nobody has taken yet */
	uint64_t turn; /* whose turn it is */
	uint64_t written;
	bool stopped;
};

static void stop(void *ctx)
{
	struct flow *f = ctx;

	pthread_mutex_lock(&f->lock);
	f->stopped = true;
	pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&f->lock);
}

static int write_in_turn(struct flow *f, uint64_t number, const uint8_t *data,
			 size_t size, struct err *e)
{
	pthread_mutex_lock(&f->lock);
	while (f->turn != number && !f->stopped)
		pthread_cond_wait(&f->change, &f->lock);
	bool stopped = f->stopped;

	pthread_mutex_unlock(&f->lock);
	if (stopped)
		return err_set(e, ERR_STOPPED, "stopped");
	if (f->sink(f->sink_ctx, number * EXTENT_SIZE, data, size, e) < 0)
		return -1;
	pthread_mutex_lock(&f->lock);
	f->turn++;
	f->written += size;
	talk_progress(f->p->job->talk, f->p->what, f->written,
		      f->p->root->size);
	pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

/* 1 and the extent's number, 0 at the end. */
static int take_next(struct flow *f, uint64_t *number, struct err *e)
{
	if (job_stopped(f->p->job, e) < 0)
		return -1;
	pthread_mutex_lock(&f->lock);
	bool more = !f->stopped && f->next < f->extents;

	*number = f->next;
	f->next += more;
	pthread_mutex_unlock(&f->lock);
	return more;
}

static int flow_work(void *ctx, unsigned thread, struct err *e)
{
	struct flow *f = ctx;
	AUTO(reader_thread_free_at)
	struct reader_thread *t = reader_thread_new(f->p->repo, e);
	autofree uint8_t *buffer = mem_try_pages(EXTENT_SIZE);
	uint64_t number;
	int more;

	(void)thread;
	if (t == NULL)
		return -1;
	if (buffer == NULL)
		return err_set(e, ERR_FAILED, "no memory for a buffer");
	while ((more = take_next(f, &number, e)) > 0) {
		uint64_t left = f->p->root->size - number * EXTENT_SIZE;

		if (reader_extent(f->image, t, number, buffer, NULL, e) < 0 ||
		    write_in_turn(f, number, buffer, num_min(EXTENT_SIZE, left),
				  e) < 0)
			return -1;
	}
	return more;
}

static int pour_stored(const struct pour *p, pour_sink *sink, void *ctx,
		       struct err *e)
{
	AUTO(reader_close_at)
	struct reader_image *image = reader_open(p->repo, p->set, p->root, e);
	struct flow f = {
		.p = p,
		.image = image,
		.sink = sink,
		.sink_ctx = ctx,
		.extents = num_parts(p->root->size, EXTENT_SIZE),
	};
	const struct team team = {
		.ctx = &f,
		.members = team_size(0),
		.work = flow_work,
		.stop = stop,
	};

	if (image == NULL)
		return -1;
	pthread_mutex_init(&f.lock, NULL);
	pthread_cond_init(&f.change, NULL);
	int ok = team_run(&team, e);

	pthread_cond_destroy(&f.change);
	pthread_mutex_destroy(&f.lock);
	if (p->written != NULL)
		*p->written += f.written;
	return ok;
}

int pour_ordered(const struct pour *p, pour_sink *sink, void *ctx,
		 struct err *e)
{
	return p->held != NULL ? pour_held_ordered(p, sink, ctx, e)
			       : pour_stored(p, sink, ctx, e);
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
