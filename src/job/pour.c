/* SPDX-License-Identifier: Apache-2.0 */
#include "job/pour.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/team.h"
#include "job/amend.h"
#include "job/batch.h"
#include "job/open.h"
#include "job/pour_internal.h"
#include "repo/haul.h"

/* Chunks in a window.  The first one is small, so that writing begins at
 * once. */
#define FIRST_WINDOW (8u << 10)
#define WINDOW       (64u << 10)

/* Extents of a hole that are done at once: 1 GiB. */
#define HOLE_EXTENTS 256

/* Opened blobs that wait to be written: of one thread at most, of all. */
#define OPENED_ONE (8u << 20)
#define OPENED_ALL (48u << 20)

struct window {
	struct haul *haul;
	size_t pieces;
	size_t max;
	size_t next;  /* part that nobody carries yet */
	size_t users; /* who look for it, then who carry */
};

struct pouring {
	const struct pour *p;
	struct reader_image *image;
	struct outlet *outlet;
	uint64_t extents;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	struct window *coming; /* extents are looked at for it */
	struct window *now;    /* its parts are carried; or NULL */
	uint64_t next;         /* extent that nobody has looked at */
	uint64_t done;         /* bytes that are as they should be */
	uint64_t written;
	bool stopped;
};

struct hand {
	struct pouring *r;
	unsigned number;
	struct reader_thread *reader;
	struct amend amend; /* in place; its scratch: what is there now */
	struct batch batch; /* else */
	struct haul_piece pieces[EXTENT_PAGES];
	size_t count;
};

enum kind {
	TASK_NONE,
	TASK_HOLE,  /* extents without data */
	TASK_LOOK,  /* an extent with data */
	TASK_CARRY, /* a part of a window */
};

struct task {
	enum kind kind;
	uint64_t first; /* extent */
	uint64_t count;
	struct window *window;
	size_t part;
};

/* ---- windows --------------------------------------------------------- */

static struct window *window_new(size_t max, struct err *e)
{
	struct haul *h = haul_new(max, e);
	struct window *w;

	if (h == NULL)
		return NULL;
	w = mem_zalloc(1, sizeof(*w));
	w->haul = h;
	w->max = max;
	return w;
}

static void window_free(struct window *w)
{
	if (w == NULL)
		return;
	haul_free(w->haul);
	free(w);
}

/* Every extent that is being looked at may need room for all its pages. */
static bool has_room(const struct window *w)
{
	return w->pieces + (w->users + 1) * EXTENT_PAGES <= w->max;
}

/* Carry what was gathered.  The one before is freed by its last user. */
static int turn_over(struct pouring *r, struct err *e)
{
	struct window *fresh = window_new(WINDOW, e);

	if (fresh == NULL)
		return -1;
	haul_sort(r->coming->haul);
	if (r->now != NULL && r->now->users == 0)
		window_free(r->now);
	r->now = r->coming;
	r->coming = fresh;
	pthread_cond_broadcast(&r->change);
	return 0;
}

/* ---- what to do next, all under the lock ----------------------------- */

static void advance(struct pouring *r, uint64_t bytes)
{
	r->done += bytes;
	talk_progress(r->p->job->talk, r->p->what,
		      num_min(r->done, r->p->root->size), r->p->root->size);
}

static bool take_part(struct pouring *r, struct task *t)
{
	struct window *w = r->now;

	if (w == NULL || w->next >= haul_parts(w->haul))
		return false;
	*t = (struct task){ .kind = TASK_CARRY, .window = w, .part = w->next };
	w->next++;
	w->users++;
	return true;
}

/* The next extents that nobody has looked at. */
static int take_extents(struct pouring *r, struct task *t, struct err *e)
{
	uint64_t data;
	int more = reader_next(r->image, r->next, &data, e);

	if (more < 0)
		return -1;
	if (more == 0)
		data = r->extents;
	*t = (struct task){ .kind = TASK_HOLE, .first = r->next };
	t->count = data - r->next;
	if (r->p->fresh) {
		advance(r, t->count * EXTENT_SIZE);
		r->next = data;
		*t = (struct task){ .kind = TASK_NONE, .first = data };
	}
	if (t->first == data && more == 1) {
		t->kind = TASK_LOOK;
		t->count = 1;
		t->window = r->coming;
		r->coming->users++;
	}
	if (t->count > HOLE_EXTENTS)
		t->count = HOLE_EXTENTS;
	r->next = t->first + t->count;
	return 0;
}

/* Parts first; when there are none, gather more of them. */
static int take(struct pouring *r, struct task *t, struct err *e)
{
	*t = (struct task){ .kind = TASK_NONE };
	while (!r->stopped && t->kind == TASK_NONE) {
		if (take_part(r, t))
			return 0;
		if (r->next < r->extents && has_room(r->coming)) {
			if (take_extents(r, t, e) < 0)
				return -1;
		} else if (r->coming->users > 0) {
			pthread_cond_wait(&r->change, &r->lock);
		} else if (r->coming->pieces == 0) {
			return 0;
		} else if (turn_over(r, e) < 0) {
			return -1;
		}
	}
	return 0;
}

/* ---- writing --------------------------------------------------------- */

/* The last page of an image may be less than one. */
static int take_bytes(void *ctx, uint64_t offset, const uint8_t *data,
		      size_t size, struct err *e)
{
	struct hand *h = ctx;
	size_t n = num_min(size, h->r->p->root->size - offset);

	return h->r->p->in_place ? amend_write(&h->amend, offset, data, n, e)
				 : batch_add(&h->batch, offset, data, n, e);
}

static int flush(void *ctx, struct err *e)
{
	struct hand *h = ctx;

	return batch_write(&h->batch, e);
}

/* What is amended goes at once. */
static size_t opened_room(const struct hand *h)
{
	size_t share = OPENED_ALL / outlet_threads(h->r->outlet);

	return h->r->p->in_place ? 0 : num_min(share, OPENED_ONE);
}

/* ---- holes ----------------------------------------------------------- */

static int pour_hole(struct hand *h, const struct task *t, struct err *e)
{
	struct pouring *r = h->r;
	uint64_t offset = t->first * EXTENT_SIZE;
	uint64_t size =
		num_min(t->count * EXTENT_SIZE, r->p->root->size - offset);
	int ok = r->p->in_place
			 ? amend_zero(&h->amend, offset, size, e)
			 : outlet_zero(r->outlet, h->number, offset, size, e);

	if (ok < 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	advance(r, size);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

/* ---- looking --------------------------------------------------------- */

static int look_hole(struct hand *h, uint64_t offset, const uint8_t *is,
		     size_t size, struct err *e)
{
	const struct pour *p = h->r->p;

	if (p->fresh || offset >= p->root->size)
		return 0;
	size = num_min(size, p->root->size - offset);
	if (p->in_place)
		return amend_clear(&h->amend, offset, is, size, e);
	return outlet_zero(h->r->outlet, h->number, offset, size, e);
}

/* Note what an extent needs; *there are the bytes that need nothing. */
static int look_runs(struct hand *h, const struct extent *x, uint64_t offset,
		     uint64_t *there, struct err *e)
{
	const uint8_t *is = h->amend.scratch;

	h->count = 0;
	for (size_t i = 0; i < x->count; i++) {
		const struct run *run = &x->runs[i];
		size_t size = run->pages * (size_t)PAGE_SIZE_BYTES;

		if (run->hole && look_hole(h, offset, is, size, e) < 0)
			return -1;
		if (run->hole || (h->r->p->in_place &&
				  reader_holds(h->reader, is, size, &run->id)))
			*there += size;
		else
			h->pieces[h->count++] = (struct haul_piece){
				.offset = offset,
				.size = (uint32_t)size,
				.id = run->id,
			};
		offset += size;
		is += size;
	}
	return 0;
}

/* Have blocks for all data of an extent. */
static void reserve(struct hand *h, const struct extent *x, uint64_t offset)
{
	uint64_t begin = offset;

	for (size_t i = 0; i < x->count; i++) {
		uint64_t end =
			offset + x->runs[i].pages * (uint64_t)PAGE_SIZE_BYTES;
		bool last = i + 1 == x->count;

		if (x->runs[i].hole) {
			begin = end;
		} else if (last || x->runs[i + 1].hole) {
			outlet_reserve(h->r->outlet, begin,
				       num_min(end, h->r->p->root->size) -
					       begin);
		}
		offset = end;
	}
}

static int look_extent(struct hand *h, uint64_t number, uint64_t *there,
		       struct err *e)
{
	struct pouring *r = h->r;
	uint64_t offset = number * EXTENT_SIZE;
	const struct extent *x;
	int got = reader_node(r->image, h->reader, number, &x, e);

	if (got < 0)
		return -1;
	assert(got == 1); /* reader_next() has said so */
	if (r->p->in_place && outlet_read(r->outlet, h->number, offset,
					  EXTENT_SIZE, h->amend.scratch, e) < 0)
		return -1;
	if (look_runs(h, x, offset, there, e) < 0)
		return -1;
	if (r->p->fresh)
		reserve(h, x, offset);
	haul_locate(h->reader, h->pieces, h->count);
	return 0;
}

static int pour_look(struct hand *h, const struct task *t, struct err *e)
{
	struct pouring *r = h->r;
	struct window *w = t->window;
	uint64_t there = 0;
	int ok = look_extent(h, t->first, &there, e);

	pthread_mutex_lock(&r->lock);
	if (ok == 0) {
		bool room = haul_add(w->haul, h->pieces, h->count);

		assert(room);
		w->pieces += h->count;
		advance(r, there);
	}
	w->users--;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
	return ok;
}

static int pour_part(struct hand *h, const struct task *t, struct err *e)
{
	struct pouring *r = h->r;
	struct window *w = t->window;
	const struct haul_sink sink = {
		.ctx = h,
		.room = opened_room(h),
		.take = take_bytes,
		.flush = flush,
	};
	int ok = haul_carry(w->haul, t->part, h->reader, &sink, e);

	pthread_mutex_lock(&r->lock);
	if (ok == 0)
		advance(r, haul_part_bytes(w->haul, t->part));
	w->users--;
	if (w->users == 0 && w != r->now)
		window_free(w);
	pthread_mutex_unlock(&r->lock);
	return ok;
}

/* ---- all hands ------------------------------------------------------- */

static int do_task(struct hand *h, const struct task *t, struct err *e)
{
	switch (t->kind) {
	case TASK_HOLE:
		return pour_hole(h, t, e);
	case TASK_LOOK:
		return pour_look(h, t, e);
	case TASK_CARRY:
		return pour_part(h, t, e);
	case TASK_NONE:
		break;
	}
	return 0;
}

static int hand_work(struct hand *h, struct err *e)
{
	struct pouring *r = h->r;
	struct task t;

	do {
		if (job_stopped(r->p->job, e) < 0)
			return -1;
		pthread_mutex_lock(&r->lock);
		int ok = take(r, &t, e);

		pthread_mutex_unlock(&r->lock);
		if (ok < 0 || do_task(h, &t, e) < 0)
			return -1;
	} while (t.kind != TASK_NONE);
	return 0;
}

static void hand_free(struct hand *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->r->lock);
	h->r->written += h->amend.written + h->batch.written;
	pthread_mutex_unlock(&h->r->lock);
	reader_thread_free(h->reader);
	free(h->amend.scratch);
	free(h);
}

DEFINE_AUTO(hand_free, struct hand *);

static int work(void *ctx, unsigned number, struct err *e)
{
	struct pouring *r = ctx;
	AUTO(hand_free_at) struct hand *h = mem_zalloc(1, sizeof(*h));

	h->r = r;
	h->number = number;
	h->amend = (struct amend){ .outlet = r->outlet, .thread = number };
	h->batch.outlet = r->outlet;
	h->batch.thread = number;
	h->reader = reader_thread_new(r->p->repo, e);
	if (h->reader == NULL)
		return -1;
	h->amend.scratch = mem_try_pages(EXTENT_SIZE);
	if (h->amend.scratch == NULL)
		return err_set(e, ERR_FAILED, "no memory for a buffer");
	return hand_work(h, e);
}

static void stop(void *ctx)
{
	struct pouring *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->stopped = true;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
}

static int run_team(struct pouring *r, struct err *e)
{
	const struct team team = {
		.ctx = r,
		.members = outlet_threads(r->outlet),
		.work = work,
		.stop = stop,
	};

	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->change, NULL);
	int ok = team_run(&team, e);

	pthread_cond_destroy(&r->change);
	pthread_mutex_destroy(&r->lock);
	return ok;
}

static int pour_stored(const struct pour *p, struct outlet *o, struct err *e)
{
	AUTO(reader_close_at)
	struct reader_image *image = reader_open(p->repo, p->set, p->root, e);
	struct pouring r = {
		.p = p,
		.image = image,
		.outlet = o,
		.extents = num_parts(p->root->size, EXTENT_SIZE),
	};

	if (image == NULL)
		return -1;
	r.coming = window_new(FIRST_WINDOW, e);
	if (r.coming == NULL)
		return -1;
	int ok = run_team(&r, e);

	window_free(r.coming);
	window_free(r.now);
	if (p->written != NULL)
		*p->written += r.written;
	return ok < 0 ? -1 : outlet_sync(o, e);
}

static int pour(const struct pour *p, struct outlet *o, struct err *e)
{
	return p->held != NULL ? pour_held(p, o, e) : pour_stored(p, o, e);
}

static int check_size(const struct pour *p, uint64_t size, struct err *e)
{
	if (size >= p->root->size)
		return 0;
	return err_set(e, ERR_FAILED,
		       "the target has %llu bytes, the image %llu: nothing "
		       "was written",
		       (unsigned long long)size,
		       (unsigned long long)p->root->size);
}

int pour_disk(const struct pour *p, struct disk *d, struct err *e)
{
	AUTO(outlet_free_at) struct outlet *o = outlet_disk(d);

	return check_size(p, disk_size(d), e) < 0 ? -1 : pour(p, o, e);
}

/* A device is as large as it is. */
static int set_size(const struct pour *p, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at the target");
	if (!S_ISREG(st.st_mode)) {
		off_t end = lseek(fd, 0, SEEK_END);

		return end < 0 ? err_sys(e, "cannot tell the target's size")
			       : check_size(p, (uint64_t)end, e);
	}
	if ((p->fresh || p->in_place) &&
	    ftruncate(fd, (off_t)p->root->size) < 0)
		return err_sys(e, "cannot set the file's size");
	return 0;
}

int pour_file(const struct pour *p, int fd, struct err *e)
{
	AUTO(outlet_free_at) struct outlet *o = outlet_file(fd);

	return set_size(p, fd, e) < 0 ? -1 : pour(p, o, e);
}
