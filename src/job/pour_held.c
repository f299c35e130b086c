/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/team.h"
#include "job/amend.h"
#include "job/held.h"
#include "job/open.h"
#include "job/pour_internal.h"
#include "repo/format.h"

/* From a source on this host to a target: each thread takes the next extent
 * that may have data, reads it and writes it. */
struct giving {
	const struct pour *p;
	const struct feed_source *from;
	struct outlet *outlet;
	pthread_mutex_t lock; /* all below */
	uint64_t next;
	uint64_t done;
	uint64_t written;
	bool stopped;
};

struct giver {
	struct giving *g;
	struct amend amend;
	unsigned thread;
	uint8_t *data;
};

/* A range that has data, or surely none. */
struct range {
	uint64_t offset, size;
	bool hole;
};

static void stop(void *ctx)
{
	struct giving *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->stopped = true;
	pthread_mutex_unlock(&g->lock);
}

/* 1 and the next range, 0 at the end.  Under the lock. */
static int next_range(struct giving *g, struct range *r, struct err *e)
{
	uint64_t size = g->from->size;
	uint64_t hole = 0;

	if (g->stopped || g->next >= size)
		return 0;
	if (g->from->hole != NULL &&
	    g->from->hole(g->from->ctx, g->next, &hole, e) < 0)
		return -1;
	*r = (struct range){ .offset = g->next, .hole = hole > 0 };
	r->size = hole > 0 ? num_min(hole, size - g->next)
			   : num_min(EXTENT_SIZE - g->next % EXTENT_SIZE,
				     size - g->next);
	g->next += r->size;
	return 1;
}

static int take(struct giving *g, struct range *r, struct err *e)
{
	if (job_stopped(g->p->job, e) < 0)
		return -1;
	pthread_mutex_lock(&g->lock);
	int more = next_range(g, r, e);

	pthread_mutex_unlock(&g->lock);
	return more;
}

static void advance(struct giving *g, uint64_t size)
{
	pthread_mutex_lock(&g->lock);
	g->done += size;
	talk_progress(g->p->job->talk, g->p->what, g->done, g->from->size);
	pthread_mutex_unlock(&g->lock);
}

static int give_hole(struct giver *v, const struct range *r, struct err *e)
{
	const struct pour *p = v->g->p;

	if (p->fresh)
		return 0;
	if (p->in_place)
		return amend_zero(&v->amend, r->offset, r->size, e);
	return outlet_zero(v->g->outlet, v->thread, r->offset, r->size, e);
}

/* Into a fresh target: only pages that are not zero. */
static int give_fresh(struct giver *v, const struct range *r, struct err *e)
{
	for (uint64_t at = 0, end; at < r->size; at = end) {
		end = num_min(at + PAGE_SIZE_BYTES, r->size);
		if (bytes_zero(v->data + at, end - at))
			continue;
		while (end < r->size &&
		       !bytes_zero(v->data + end,
				   num_min(PAGE_SIZE_BYTES, r->size - end)))
			end = num_min(end + PAGE_SIZE_BYTES, r->size);
		if (outlet_write(v->g->outlet, v->thread, r->offset + at,
				 end - at, v->data + at, e) < 0)
			return -1;
		v->amend.written += end - at;
	}
	return 0;
}

static int give_data(struct giver *v, const struct range *r, struct err *e)
{
	const struct feed_source *from = v->g->from;

	if (from->read(from->ctx, v->thread % from->threads, r->offset, r->size,
		       v->data, e) < 0)
		return -1;
	if (v->g->p->in_place)
		return amend_write(&v->amend, r->offset, v->data, r->size, e);
	if (v->g->p->fresh)
		return give_fresh(v, r, e);
	v->amend.written += r->size;
	return outlet_write(v->g->outlet, v->thread, r->offset, r->size,
			    v->data, e);
}

static void giver_fini(struct giver *v)
{
	struct giving *g = v->g;

	pthread_mutex_lock(&g->lock);
	g->written += v->amend.written;
	pthread_mutex_unlock(&g->lock);
	free(v->data);
	free(v->amend.scratch);
}

static int work(void *ctx, unsigned thread, struct err *e)
{
	struct giving *g = ctx;
	AUTO(giver_fini)
	struct giver v = {
		.g = g,
		.thread = thread,
		.amend = { .outlet = g->outlet, .thread = thread },
	};
	struct range r;
	int more;

	v.data = mem_try_pages(EXTENT_SIZE);
	v.amend.scratch = mem_try_pages(EXTENT_SIZE);
	if (v.data == NULL || v.amend.scratch == NULL)
		return err_set(e, ERR_FAILED, "no memory for a buffer");
	while ((more = take(g, &r, e)) > 0) {
		int ok = r.hole ? give_hole(&v, &r, e) : give_data(&v, &r, e);

		if (ok < 0)
			return -1;
		advance(g, r.size);
	}
	return more;
}

static int give_all(struct giving *g, struct err *e)
{
	const struct team team = {
		.ctx = g,
		.members = (unsigned)num_min(g->from->threads,
					     outlet_threads(g->outlet)),
		.work = work,
		.stop = stop,
	};

	pthread_mutex_init(&g->lock, NULL);
	int ok = team_run(&team, e);

	pthread_mutex_destroy(&g->lock);
	return ok;
}

/* What was made to read it goes; the first error is the one. */
static int close_held(struct held *h, int ok, struct err *e)
{
	struct err second = ERR_INIT;

	if (held_close(h, &second) == 0 || ok < 0)
		return ok;
	*e = second;
	return -1;
}

static int give_to(const struct pour *p, const struct held *h, struct outlet *o,
		   struct err *e)
{
	struct giving g = { .p = p, .from = held_source(h), .outlet = o };
	int ok = give_all(&g, e);

	if (p->written != NULL)
		*p->written += g.written;
	return ok < 0 ? -1 : outlet_sync(o, e);
}

int pour_held(const struct pour *p, struct outlet *o, struct err *e)
{
	struct held *h = held_open(p->job, p->set, p->held, false, e);

	if (h == NULL)
		return -1;
	return close_held(h, give_to(p, h, o, e), e);
}

/* ---- byte for byte ------------------------------------------------------ */

static int check_room(int fd, uint64_t size, struct err *e)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return err_sys(e, "cannot tell its size");
	if ((uint64_t)end < size)
		return err_set(
			e, ERR_FAILED, "it has %llu bytes by now, and had %llu",
			(unsigned long long)end, (unsigned long long)size);
	return 0;
}

static int fits(const struct held *h, const char *path, struct err *e)
{
	autofd int fd = fd_open(path, O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if (S_ISREG(st.st_mode) || check_room(fd, held_source(h)->size, e) == 0)
		return 0;
	return err_ctx(e, "'%s'", path);
}

int pour_fits(const struct pour *p, const char *path, struct err *e)
{
	struct held *h = held_open(p->job, p->set, p->held, true, e);

	if (h == NULL)
		return -1;
	return close_held(h, fits(h, path, e), e);
}

/* 1 when the two share all blocks now. */
static int share(const struct held *h, int fd, uint64_t size, struct err *e)
{
	int from = held_fd(h);

	if (from < 0 || ioctl(fd, FICLONE, from) < 0)
		return 0;
	if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0)
		return err_sys(e, "cannot write");
	return 1;
}

static int make_same(const struct pour *p, const struct held *h, int fd,
		     struct err *e)
{
	uint64_t size = held_source(h)->size;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at it");
	if (!S_ISREG(st.st_mode)) {
		if (check_room(fd, size, e) < 0)
			return -1;
	} else {
		int shared = share(h, fd, size, e);

		if (shared != 0)
			return shared < 0 ? -1 : 0;
		if (ftruncate(fd, (off_t)size) < 0)
			return err_sys(e, "cannot set its size");
	}
	AUTO(outlet_free_at) struct outlet *o = outlet_file(fd);

	return give_to(p, h, o, e);
}

int pour_as_is(const struct pour *p, int fd, struct err *e)
{
	struct held *h = held_open(p->job, p->set, p->held, true, e);

	if (h == NULL)
		return -1;
	return close_held(h, make_same(p, h, fd, e), e);
}

/* ---- in order ----------------------------------------------------------- */

static int give_in_order(const struct pour *p, const struct feed_source *from,
			 pour_sink *sink, void *ctx, struct err *e)
{
	autofree uint8_t *data = mem_try_pages(EXTENT_SIZE);

	if (data == NULL)
		return err_set(e, ERR_FAILED, "no memory for a buffer");
	for (uint64_t at = 0, n; at < from->size; at += n) {
		n = num_min(EXTENT_SIZE, from->size - at);
		if (job_stopped(p->job, e) < 0 ||
		    from->read(from->ctx, 0, at, n, data, e) < 0 ||
		    sink(ctx, at, data, n, e) < 0)
			return -1;
		if (p->written != NULL)
			*p->written += n;
		talk_progress(p->job->talk, p->what, at + n, from->size);
	}
	return 0;
}

int pour_held_ordered(const struct pour *p, pour_sink *sink, void *ctx,
		      struct err *e)
{
	struct held *h = held_open(p->job, p->set, p->held, false, e);

	if (h == NULL)
		return -1;
	int ok = give_in_order(p, held_source(h), sink, ctx, e);

	return close_held(h, ok, e);
}
