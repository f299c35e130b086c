/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/team.h"
#include "repo/generation.h"
#include "repo/index_internal.h"
#include "repo/index_keep.h"

/* So many missing segments are fetched at a time: each needs three times its
 * size in memory while it is. */
#define FETCHERS 2

struct index *index_new(const struct index_parts *parts)
{
	const struct view_new empty = { .listed = NULL };
	struct index *ix = mem_zalloc(1, sizeof(*ix));

	index_local_init(&ix->local, parts);
	pthread_mutex_init(&ix->lock, NULL);
	pthread_mutex_init(&ix->resort_lock, NULL);
	troubles_init(&ix->troubles);
	atomic_init(&ix->rounds, 0);
	atomic_init(&ix->whole, false);
	atomic_init(&ix->view, view_new(&empty));
	return ix;
}

void index_free(struct index *ix)
{
	if (ix == NULL)
		return;
	view_free(atomic_load(&ix->view));
	for (size_t i = 0; i < ix->count; i++)
		index_segment_free(ix->segments[i]);
	generation_fini(&ix->listed);
	free(ix->segments);
	free(ix->by_name);
	troubles_fini(&ix->troubles);
	pthread_mutex_destroy(&ix->resort_lock);
	pthread_mutex_destroy(&ix->lock);
	free(ix);
}

bool index_trouble(struct index *ix, struct err *why)
{
	return troubles_first(&ix->troubles, why);
}

/* ---- views: under the lock ------------------------------------------- */

/* Where the name is in by_name, or would be. */
static size_t name_at(const struct index *ix, const char *name, bool *found)
{
	size_t lo = 0, hi = ix->count;

	*found = false;
	while (lo < hi && !*found) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(ix->by_name[mid]->name, name);

		*found = c == 0;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return hi;
}

static struct index_segment *find_open(const struct index *ix, const char *name)
{
	bool found;
	size_t at = name_at(ix, name, &found);

	return found ? ix->by_name[at] : NULL;
}

/* Open, and nothing was wrong with it so far. */
static bool can_read(struct index *ix, const char *name)
{
	return find_open(ix, name) != NULL &&
	       !troubles_has(&ix->troubles, name);
}

static void publish(struct index *ix, struct view *v)
{
	v->older = atomic_load(&ix->view);
	atomic_store(&ix->view, v);
}

/* Those that the generation lists, and that are open, apart from the others. */
static void renew_view(struct index *ix)
{
	const struct generation *g = &ix->listed;
	size_t most = g->segment_count + ix->count;
	autofree const struct index_segment **all =
		mem_zalloc(3 * most, sizeof(*all));
	struct view_new n = { .listed = all,
			      .frail = all + most,
			      .others = all + 2 * most };
	bool whole = ix->has_listed;

	for (size_t i = 0; i < ix->count; i++)
		ix->segments[i]->listed = false;
	for (size_t i = 0; i < g->segment_count; i++) {
		struct index_segment *s = find_open(ix, g->segments[i].name);

		if (!g->segments[i].frail)
			whole &= can_read(ix, g->segments[i].name);
		if (s == NULL || s->listed)
			continue;
		s->listed = true;
		if (g->segments[i].frail)
			n.frail[n.frail_count++] = s;
		else
			n.listed[n.listed_count++] = s;
	}
	for (size_t i = 0; i < ix->count; i++)
		if (!ix->segments[i]->listed)
			n.others[n.other_count++] = ix->segments[i];
	atomic_store(&ix->whole, whole);
	publish(ix, view_new(&n));
}

static bool is_listed(const struct index *ix, const char *name)
{
	for (size_t i = 0; i < ix->listed.segment_count; i++)
		if (strcmp(ix->listed.segments[i].name, name) == 0)
			return true;
	return false;
}

static void insert(struct index *ix, struct index_segment *s, size_t at)
{
	ix->segments = mem_grow(ix->segments, ix->count + 1,
				sizeof(struct index_segment *));
	ix->by_name = mem_grow(ix->by_name, ix->count + 1,
			       sizeof(struct index_segment *));
	ix->segments[ix->count] = s;
	memmove(ix->by_name + at + 1, ix->by_name + at,
		(ix->count - at) * sizeof(struct index_segment *));
	ix->by_name[at] = s;
	ix->count++;
}

/* ---- opening --------------------------------------------------------- */

const struct index_segment *index_segment_named(struct index *ix,
						const char *name)
{
	pthread_mutex_lock(&ix->lock);
	const struct index_segment *s = find_open(ix, name);

	pthread_mutex_unlock(&ix->lock);
	return s;
}

const struct index_segment *index_segment_at(struct index *ix, size_t i)
{
	pthread_mutex_lock(&ix->lock);
	const struct index_segment *s = i < ix->count ? ix->segments[i] : NULL;

	pthread_mutex_unlock(&ix->lock);
	return s;
}

/* Takes the segment; another thread may have been faster. */
static void add_segment(struct index *ix, struct index_segment *s)
{
	bool there;

	pthread_mutex_lock(&ix->lock);
	size_t at = name_at(ix, s->name, &there);

	troubles_drop(&ix->troubles, s->name);
	if (!there) {
		insert(ix, s, at);
		if (is_listed(ix, s->name) ||
		    !view_add(atomic_load(&ix->view), s))
			renew_view(ix);
	}
	pthread_mutex_unlock(&ix->lock);
	if (there)
		index_segment_free(s);
}

int index_open_segment(struct index *ix, const char *name, struct err *e)
{
	if (index_segment_named(ix, name) != NULL)
		return 0;
	struct index_segment *s = index_segment_open(&ix->local, name, e);

	if (s == NULL) {
		err_ctx(e, "index segment '%s'", name);
		troubles_note(&ix->troubles, name, e);
		return -1;
	}
	add_segment(ix, s);
	return 0;
}

/* Many of them, by several threads. */
struct opening {
	struct index *ix;
	const struct index_names *names;
	atomic_size_t next;
	pthread_mutex_t lock; /* why */
	struct err *why;      /* the first failure */
};

static int open_next(void *ctx, unsigned number, struct err *e)
{
	struct opening *o = ctx;
	struct err why = ERR_INIT;
	size_t i;

	(void)number;
	(void)e;
	while ((i = atomic_fetch_add(&o->next, 1)) < o->names->count) {
		err_clear(&why);
		if (index_open_segment(o->ix, o->names->names[i], &why) == 0)
			continue;
		pthread_mutex_lock(&o->lock);
		if (o->why->code == ERR_NONE)
			*o->why = why;
		pthread_mutex_unlock(&o->lock);
	}
	return 0;
}

static void stop_nobody(void *ctx)
{
	(void)ctx;
}

/* What cannot be opened is left out: the rest still helps, and verify reports
 * it.  -1 with the first failure. */
static int open_many(struct index *ix, const struct index_names *names,
		     struct err *e)
{
	struct opening o = { .ix = ix, .names = names, .why = e };
	struct team t = {
		.ctx = &o,
		.members = (unsigned)num_min(team_size(0), FETCHERS),
		.work = open_next,
		.stop = stop_nobody,
	};
	struct err ignored = ERR_INIT;

	atomic_init(&o.next, 0);
	pthread_mutex_init(&o.lock, NULL);
	if (names->count < 2 || team_run(&t, &ignored) < 0)
		open_next(&o, 0, &ignored);
	pthread_mutex_destroy(&o.lock);
	return e->code == ERR_NONE ? 0 : -1;
}

static int open_generation(struct index *ix, const struct generation *g,
			   struct err *e)
{
	AUTO(index_names_fini) struct index_names names = { .names = NULL };

	for (size_t i = 0; i < g->segment_count; i++)
		index_names_add(&names, g->segments[i].name);
	return open_many(ix, &names, e);
}

/* Takes its place; g gets the old one.  What was opened of the same one has
 * found its place already. */
static void list_generation(struct index *ix, struct generation *g)
{
	pthread_mutex_lock(&ix->lock);
	if (!ix->has_listed || ix->listed.number != g->number) {
		struct generation old = ix->listed;

		ix->listed = *g;
		*g = old;
		ix->has_listed = true;
		renew_view(ix);
	}
	pthread_mutex_unlock(&ix->lock);
}

int index_refresh(struct index *ix, uint64_t *generation, struct err *e)
{
	AUTO(generation_fini) struct generation g = { 0 };
	struct err ignored = ERR_INIT;
	uint64_t n;

	if (generation_newest(ix->local.parts.store, &n, e) < 0 ||
	    generation_load(ix->local.parts.store, ix->local.parts.keys, n, &g,
			    e) < 0)
		return -1;
	open_generation(ix, &g, &ignored);
	list_generation(ix, &g);
	*generation = n;
	return 0;
}

int index_open_generation(struct index *ix, uint64_t number, struct err *e)
{
	AUTO(generation_fini) struct generation g = { 0 };

	if (generation_load(ix->local.parts.store, ix->local.parts.keys, number,
			    &g, e) < 0)
		return -1;
	return open_generation(ix, &g, e);
}

static int note_name(void *ctx, const char *name, const struct store_stat *st,
		     struct err *e)
{
	(void)st;
	(void)e;
	index_names_add(ctx, name);
	return 0;
}

/* What is in the store; the cache loses what is not. */
static int list_stored(struct index *ix, struct index_names *stored,
		       struct err *e)
{
	AUTO(index_names_fini) struct index_names kept = { .names = NULL };

	index_keep_list(&ix->local, &kept);
	if (store_list(ix->local.parts.store, "idx/", note_name, stored, e) < 0)
		return -1;
	index_keep_clean(&ix->local, &kept, stored);
	return 0;
}

int index_open_sessions(struct index *ix, struct err *e)
{
	AUTO(index_names_fini) struct index_names stored = { .names = NULL };
	struct err ignored = ERR_INIT;

	if (list_stored(ix, &stored, e) < 0)
		return -1;
	open_many(ix, &stored, &ignored);
	return 0;
}

/* Take out the names that a generation lists; none where it is gone. */
static void leave_out(struct index *ix, uint64_t number,
		      struct index_names *names)
{
	AUTO(generation_fini) struct generation g = { 0 };
	struct err ignored = ERR_INIT;

	if (generation_load(ix->local.parts.store, ix->local.parts.keys, number,
			    &g, &ignored) < 0)
		return;
	for (size_t i = 0; i < g.segment_count; i++)
		index_names_remove(names, g.segments[i].name);
}

int index_open_siblings(struct index *ix, uint64_t generation, struct err *e)
{
	AUTO(index_names_fini) struct index_names stored = { .names = NULL };
	struct err ignored = ERR_INIT;

	if (list_stored(ix, &stored, e) < 0)
		return -1;
	if (generation > 0)
		leave_out(ix, generation - 1, &stored);
	open_many(ix, &stored, &ignored);
	return 0;
}

/* ---- is it all there? ------------------------------------------------ */

bool index_whole(const struct index *ix)
{
	return atomic_load(&ix->whole);
}

bool index_leans_open(struct index *ix, const struct index_segment *s)
{
	char *const *leans = index_segment_leans(s);
	bool open = true;

	pthread_mutex_lock(&ix->lock);
	for (uint32_t i = 0; open && i < s->about.leans; i++)
		open = can_read(ix, leans[i]);
	pthread_mutex_unlock(&ix->lock);
	return open;
}

/* It cannot be read any more, after it was opened. */
static void note_unreadable(struct index *ix, const struct index_segment *s,
			    const struct err *why)
{
	troubles_note(&ix->troubles, s->name, why);
	pthread_mutex_lock(&ix->lock);
	if (s->listed)
		atomic_store(&ix->whole, false);
	pthread_mutex_unlock(&ix->lock);
}

/* ---- looking up ------------------------------------------------------ */

/* Of a segment that is not listed. */
static enum index_tier tier_of(const struct index_segment *s,
			       const struct index_ask *ask)
{
	const struct index_about *a = &s->about;

	if (ask->own != NULL && memcmp(ask->own->b, a->session.b, ID_SIZE) == 0)
		return TIER_INDEX;
	return a->generation == ask->generation ? TIER_SIBLING : TIER_OTHER;
}

/* What is looked for. */
struct sought {
	struct index *ix;
	const struct index_ask *ask;
	enum blob_class class;
	const struct hash *id;
	unsigned skip; /* hits that are still to be passed over */
	struct index_hit *hit;
	struct err *why;
	bool unsure; /* somewhere it could not be looked for */
};

/* It may be there next time; of several reasons this is the one to tell. */
static void note_why(struct sought *w, const struct err *why)
{
	bool passing = err_passing(why);

	if (passing || !w->unsure)
		*w->why = *why;
	w->unsure |= passing;
}

static bool check(struct sought *w)
{
	struct footers *f = w->ix->local.parts.footers;
	struct err trouble = ERR_INIT;

	if (f == NULL)
		return true;
	int same = footers_check(f, &w->hit->place, w->id, &trouble);

	if (same < 0)
		note_why(w, &trouble);
	return same == 1;
}

static bool find_in(struct sought *w, const struct index_segment *s)
{
	struct err trouble = ERR_INIT;
	struct index_walk walk;
	int found = index_walk_begin(&walk, s, w->class, w->id, &trouble);

	while (found == 1) {
		found = index_walk_next(&walk, w->hit, &trouble);
		if (found == 1 && check(w) && w->skip-- == 0)
			return true;
	}
	if (found < 0 && !err_passing(&trouble))
		note_unreadable(w->ix, s, &trouble);
	if (found < 0)
		note_why(w, &trouble);
	return false;
}

static bool find_listed(struct sought *w, const struct view *v)
{
	const struct runs *r = &v->listed[w->class == BLOB_NODE ? 0 : 1];
	uint64_t key = shelf_key(w->id->b);

	for (size_t i = 0; i < r->count; i++) {
		const struct index_segment *s = run_find(&r->runs[i], key);

		if (s != NULL && find_in(w, s))
			return true;
	}
	return false;
}

/* In a tier, the newest segment first. */
static bool find_tier(struct sought *w, const struct view *v, size_t others,
		      enum index_tier tier)
{
	if (tier == TIER_INDEX && find_listed(w, v))
		return true;
	for (size_t i = v->frail_count; tier == TIER_FRAIL && i > 0; i--)
		if (find_in(w, v->frail[i - 1]))
			return true;
	for (size_t i = others; i > 0; i--)
		if (tier_of(v->others[i - 1], w->ask) == tier &&
		    find_in(w, v->others[i - 1]))
			return true;
	return false;
}

/* May it be in a segment that could not be opened for now? */
static bool in_unopened(struct sought *w)
{
	struct troubles *t = &w->ix->troubles;
	struct err why = ERR_INIT;

	if (!troubles_passing(t) || !troubles_first(t, &why))
		return false;
	note_why(w, &why);
	return w->unsure;
}

int index_find(struct index *ix, const struct index_ask *ask,
	       enum blob_class class, const struct hash *id,
	       struct index_hit *hit, struct err *why)
{
	struct index_hit got;
	struct sought w = { .ix = ix,
			    .ask = ask,
			    .class = class,
			    .id = id,
			    .skip = ask->skip,
			    .hit = &got,
			    .why = why };
	const struct view *v =
		atomic_load_explicit(&ix->view, memory_order_acquire);
	size_t others = atomic_load_explicit(&v->count, memory_order_acquire);

	/* the nearest tier first */
	for (int t = TIER_INDEX; t <= (int)ask->most; t++) {
		if (find_tier(&w, v, others, (enum index_tier)t)) {
			got.tier = (enum index_tier)t;
			*hit = got;
			return 1;
		}
	}
	return w.unsure || in_unopened(&w) ? -1 : 0;
}
