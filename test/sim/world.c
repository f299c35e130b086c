/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "threads.h"

/* ---- a store that lets others go on ---------------------------------- */

enum trouble { NONE, FAIL, FORGET, KILLED };

struct sim_store {
	struct store store;
	struct store *inner;
	struct world *world;
	enum trouble trouble;
	unsigned at; /* the call that it strikes, counted down */
	bool dead;
};

static struct sim_store *sim_of(struct store *s)
{
	return (struct sim_store *)s;
}

static int broken(struct err *e)
{
	return err_set(e, ERR_FAILED, "fault on purpose");
}

/* Others first.  Then: NONE, or what is to happen to this call. */
static enum trouble next_call(struct sim_store *s)
{
	sim_yield();
	if (s->dead)
		return FAIL;
	if (s->trouble == NONE || --s->at > 0)
		return NONE;
	enum trouble t = s->trouble;

	s->trouble = NONE;
	s->world->faults++;
	s->dead = t == KILLED;
	/* killed before or after the deed */
	if (t == KILLED)
		return sim_random(2) == 0 ? FAIL : FORGET;
	return t;
}

static void sim_close(struct store *s)
{
	store_close(sim_of(s)->inner);
	free(s);
}

static int sim_get(struct store *s, const char *name, uint64_t offset,
		   size_t size, void *to, struct err *e)
{
	if (next_call(sim_of(s)) != NONE)
		return broken(e);
	return store_get(sim_of(s)->inner, name, offset, size, to, e);
}

static int sim_load(struct store *s, const char *name, size_t max,
		    struct buf *b, struct err *e)
{
	if (next_call(sim_of(s)) != NONE)
		return broken(e);
	return store_load(sim_of(s)->inner, name, max, b, e);
}

static int sim_put(struct store *s, const char *name, const struct iovec *iov,
		   size_t count, bool only_if_absent, struct err *e)
{
	struct store *inner = sim_of(s)->inner;
	enum trouble t = next_call(sim_of(s));

	if (t == FAIL)
		return broken(e);
	int put = only_if_absent ? store_put_new(inner, name, iov, count, e)
				 : store_put(inner, name, iov, count, e);

	return t == NONE ? put : broken(e);
}

static int sim_stat(struct store *s, const char *name, struct store_stat *st,
		    struct err *e)
{
	if (next_call(sim_of(s)) != NONE)
		return broken(e);
	return store_stat(sim_of(s)->inner, name, st, e);
}

static int sim_list(struct store *s, const char *prefix, store_visit *visit,
		    void *ctx, struct err *e)
{
	if (next_call(sim_of(s)) != NONE)
		return broken(e);
	return store_list(sim_of(s)->inner, prefix, visit, ctx, e);
}

static int sim_del(struct store *s, const char *name, struct err *e)
{
	enum trouble t = next_call(sim_of(s));

	if (t == FAIL)
		return broken(e);
	int done = store_del(sim_of(s)->inner, name, e);

	return t == NONE ? done : broken(e);
}

static const struct store_ops sim_ops = {
	.close = sim_close,
	.get = sim_get,
	.load = sim_load,
	.put = sim_put,
	.stat = sim_stat,
	.list = sim_list,
	.del = sim_del,
};

struct store *world_store(struct world *w, bool faults)
{
	struct sim_store *s = mem_zalloc(1, sizeof(*s));

	s->store.ops = &sim_ops;
	s->inner = store_mem_share(w->store);
	s->world = w;
	if (faults && sim_random(3) == 0) {
		s->trouble = (enum trouble)(FAIL + sim_random(3));
		s->at = 1 + (unsigned)sim_random(sim_random(2) == 0 ? 12 : 80);
	}
	return &s->store;
}

struct repo *world_open(struct world *w, bool faults, struct err *e)
{
	return kit_try_open(w->kit, world_store(w, faults), NULL, e);
}

/* ---- promises -------------------------------------------------------- */

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->failure[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(w->failure, sizeof(w->failure), fmt, ap);
	va_end(ap);
}

/* ---- pictures -------------------------------------------------------- */

/* A piece is pages of noise, whose first one tells all. */
static void draw_piece(int piece, uint8_t *to)
{
	uint64_t x = kit_mix((uint64_t)piece + 1000);

	for (size_t i = 0; i < PIECE_PAGES * PAGE_SIZE_BYTES; i += sizeof(x)) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		memcpy(to + i, &x, sizeof(x));
	}
}

/* Pieces stand apart by a page of zeroes: each is a run of chunks of its
 * own. */
#define PIECE_STEP ((PIECE_PAGES + 1) * (size_t)PAGE_SIZE_BYTES)

void picture_draw(const struct picture *p, unsigned extent, uint8_t *to)
{
	memset(to, 0, PIECES * PIECE_STEP);
	for (size_t i = 0; i < PIECES; i++)
		if (p->pieces[extent][i] >= 0)
			draw_piece(p->pieces[extent][i], to + i * PIECE_STEP);
}

size_t picture_size(const struct picture *p, unsigned extent)
{
	return extent + 1 < p->extents ? EXTENT_SIZE : LAST_SIZE;
}

bool picture_hole(const struct picture *p, unsigned extent)
{
	for (size_t i = 0; i < PIECES; i++)
		if (p->pieces[extent][i] >= 0)
			return false;
	return true;
}

int picture_check(struct repo *r, const struct set *set,
		  const struct image *image, const struct picture *p,
		  struct err *e)
{
	AUTO(reader_close_at)
	struct reader_image *img = reader_open(r, set, &image->root, e);
	AUTO(reader_thread_free_at)
	struct reader_thread *t = reader_thread_new(r, e);
	autofree uint8_t *got = mem_alloc(EXTENT_SIZE);
	uint8_t want[PIECES * PIECE_STEP];

	if (img == NULL || t == NULL)
		return -1;
	for (unsigned i = 0; i < p->extents; i++) {
		size_t size = picture_size(p, i);
		const struct extent *x;
		int node = reader_node(img, t, i, &x, e);

		if (node < 0)
			return -1;
		if (picture_hole(p, i) != (node == 0))
			return err_set(e, ERR_INTEGRITY, "a wrong hole");
		if (node == 0)
			continue;
		if (reader_extent(img, t, i, got, NULL, e) < 0)
			return -1;
		picture_draw(p, i, want);
		if (memcmp(got, want, sizeof(want)) != 0 ||
		    !bytes_zero(got + sizeof(want), size - sizeof(want)))
			return err_set(e, ERR_INTEGRITY, "wrong bytes");
	}
	return 0;
}
