/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/generation.h"
#include "repo/index_segment.h"

/* A segment that could not be opened, last time. */
struct trouble {
	char *name;
	struct err why;
};

struct index {
	struct index_parts parts;
	pthread_rwlock_t lock; /* all below */
	struct index_segment **segments;
	size_t count;
	struct trouble *troubles;
	size_t trouble_count;
	bool reloaded; /* index_reload() was done */
	bool resorted; /* index_last_resort() */
};

struct index *index_new(const struct index_parts *parts)
{
	struct index *ix = mem_zalloc(1, sizeof(*ix));

	ix->parts = *parts;
	pthread_rwlock_init(&ix->lock, NULL);
	return ix;
}

void index_free(struct index *ix)
{
	if (ix == NULL)
		return;
	for (size_t i = 0; i < ix->count; i++)
		index_segment_free(ix->segments[i]);
	for (size_t i = 0; i < ix->trouble_count; i++)
		free(ix->troubles[i].name);
	free(ix->segments);
	free(ix->troubles);
	pthread_rwlock_destroy(&ix->lock);
	free(ix);
}

/* ---- trouble --------------------------------------------------------- */

/* Under the lock: the number of the trouble with this segment, or the count. */
static size_t trouble_of(const struct index *ix, const char *name)
{
	size_t i = 0;

	while (i < ix->trouble_count && strcmp(ix->troubles[i].name, name) != 0)
		i++;
	return i;
}

static void note_trouble(struct index *ix, const char *name,
			 const struct err *why)
{
	pthread_rwlock_wrlock(&ix->lock);
	size_t i = trouble_of(ix, name);

	if (i == ix->trouble_count) {
		ix->troubles = mem_grow(ix->troubles, ++ix->trouble_count,
					sizeof(*ix->troubles));
		ix->troubles[i].name = mem_strdup(name);
	}
	ix->troubles[i].why = *why;
	pthread_rwlock_unlock(&ix->lock);
}

/* Under the lock: it is over. */
static void drop_trouble(struct index *ix, const char *name)
{
	size_t i = trouble_of(ix, name);

	if (i == ix->trouble_count)
		return;
	free(ix->troubles[i].name);
	ix->troubles[i] = ix->troubles[--ix->trouble_count];
}

bool index_trouble(struct index *ix, struct err *why)
{
	pthread_rwlock_rdlock(&ix->lock);
	bool any = ix->trouble_count > 0;

	if (any)
		*why = ix->troubles[0].why;
	pthread_rwlock_unlock(&ix->lock);
	return any;
}

/* ---- opening --------------------------------------------------------- */

/* Under the lock. */
static struct index_segment *find_open(const struct index *ix, const char *name)
{
	for (size_t i = 0; i < ix->count; i++)
		if (strcmp(ix->segments[i]->name, name) == 0)
			return ix->segments[i];
	return NULL;
}

static bool is_open(struct index *ix, const char *name)
{
	pthread_rwlock_rdlock(&ix->lock);
	bool open = find_open(ix, name) != NULL;

	pthread_rwlock_unlock(&ix->lock);
	return open;
}

/* Takes the segment; another thread may have been faster. */
static void add_segment(struct index *ix, struct index_segment *s)
{
	pthread_rwlock_wrlock(&ix->lock);
	struct index_segment *there = find_open(ix, s->name);

	drop_trouble(ix, s->name);
	if (there == NULL) {
		ix->segments = mem_grow(ix->segments, ix->count + 1,
					sizeof(struct index_segment *));
		ix->segments[ix->count++] = s;
	}
	pthread_rwlock_unlock(&ix->lock);
	if (there != NULL)
		index_segment_free(s);
}

int index_open_segment(struct index *ix, const char *name, struct err *e)
{
	if (is_open(ix, name))
		return 0;
	struct index_segment *s = index_segment_open(&ix->parts, name, e);

	if (s == NULL) {
		err_ctx(e, "index segment '%s'", name);
		note_trouble(ix, name, e);
		return -1;
	}
	add_segment(ix, s);
	return 0;
}

/* What cannot be opened is left out: the rest still helps, and verify
 * reports it. */
static void try_segment(struct index *ix, const char *name)
{
	struct err ignored = ERR_INIT;

	index_open_segment(ix, name, &ignored);
}

static void mark_listed(struct index *ix, const struct generation *g)
{
	pthread_rwlock_wrlock(&ix->lock);
	for (size_t i = 0; i < ix->count; i++)
		ix->segments[i]->listed = false;
	for (size_t i = 0; i < g->segment_count; i++) {
		struct index_segment *s = find_open(ix, g->segments[i].name);

		if (s == NULL)
			continue;
		s->listed = true;
		s->frail = g->segments[i].frail;
	}
	pthread_rwlock_unlock(&ix->lock);
}

int index_refresh(struct index *ix, uint64_t *generation, struct err *e)
{
	AUTO(generation_fini) struct generation g = { 0 };
	uint64_t n;

	if (generation_newest(ix->parts.store, &n, e) < 0 ||
	    generation_load(ix->parts.store, ix->parts.keys, n, &g, e) < 0)
		return -1;
	for (size_t i = 0; i < g.segment_count; i++)
		try_segment(ix, g.segments[i].name);
	mark_listed(ix, &g);
	*generation = n;
	return 0;
}

int index_open_generation(struct index *ix, uint64_t number, struct err *e)
{
	AUTO(generation_fini) struct generation g = { 0 };
	struct err why = ERR_INIT;

	if (generation_load(ix->parts.store, ix->parts.keys, number, &g, e) < 0)
		return -1;
	for (size_t i = 0; i < g.segment_count; i++)
		if (index_open_segment(ix, g.segments[i].name, &why) < 0 &&
		    e->code == ERR_NONE)
			*e = why;
	return e->code == ERR_NONE ? 0 : -1;
}

static int open_one(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	(void)st;
	(void)e;
	try_segment(ctx, name);
	return 0;
}

int index_open_sessions(struct index *ix, struct err *e)
{
	return store_list(ix->parts.store, "idx/", open_one, ix, e);
}

bool index_reload(struct index *ix)
{
	bool any = false;

	pthread_rwlock_wrlock(&ix->lock);
	for (size_t i = 0; i < ix->count && !ix->reloaded; i++)
		any |= index_segment_reload(&ix->parts, ix->segments[i]);
	ix->reloaded = true;
	pthread_rwlock_unlock(&ix->lock);
	return any;
}

bool index_last_resort(struct index *ix)
{
	struct err ignored = ERR_INIT;

	pthread_rwlock_wrlock(&ix->lock);
	bool first = !ix->resorted;

	ix->resorted = true;
	pthread_rwlock_unlock(&ix->lock);
	if (!first)
		return false;
	index_reload(ix);
	index_open_sessions(ix, &ignored);
	return true;
}

/* ---- looking up ------------------------------------------------------ */

static enum index_tier tier_of(const struct index_segment *s,
			       const struct index_ask *ask)
{
	if (s->listed && s->frail)
		return TIER_FRAIL;
	if (s->listed || (ask->own != NULL &&
			  memcmp(ask->own->b, s->view.session.b, ID_SIZE) == 0))
		return TIER_INDEX;
	return s->view.generation == ask->generation ? TIER_SIBLING
						     : TIER_OTHER;
}

/* What is looked for. */
struct sought {
	enum blob_class class;
	const struct hash *id;
	unsigned skip; /* hits that are still to be passed over */
};

static int find_in(struct index *ix, const struct index_segment *s,
		   struct sought *w, struct index_hit *hit, struct err *why)
{
	struct place p;

	for (uint64_t i = segment_find(&s->view, w->class, w->id);
	     segment_entry(&s->view, i, w->id, &p) && p.class == w->class;
	     i++) {
		if (footers_check(ix->parts.footers, &p, w->id, why) == 1 &&
		    w->skip-- == 0) {
			hit->place = p;
			hit->segment = s;
			hit->entry = i;
			return 1;
		}
	}
	return 0;
}

static int find_locked(struct index *ix, const struct index_ask *ask,
		       struct sought *w, struct index_hit *hit, struct err *why)
{
	/* the nearest tier first; in it, the newest segment first */
	for (int t = TIER_INDEX; t <= (int)ask->most; t++) {
		for (size_t i = ix->count; i > 0; i--) {
			const struct index_segment *s = ix->segments[i - 1];

			if ((int)tier_of(s, ask) == t &&
			    find_in(ix, s, w, hit, why) == 1) {
				hit->tier = (enum index_tier)t;
				return 1;
			}
		}
	}
	return 0;
}

int index_find(struct index *ix, const struct index_ask *ask,
	       enum blob_class class, const struct hash *id,
	       struct index_hit *hit, struct err *why)
{
	struct sought w = { class, id, ask->skip };

	pthread_rwlock_rdlock(&ix->lock);
	int found = find_locked(ix, ask, &w, hit, why);

	pthread_rwlock_unlock(&ix->lock);
	return found;
}

const struct index_segment *index_segment_named(struct index *ix,
						const char *name)
{
	pthread_rwlock_rdlock(&ix->lock);
	const struct index_segment *s = find_open(ix, name);

	pthread_rwlock_unlock(&ix->lock);
	return s;
}

const char *index_segment_name(const struct index_segment *s)
{
	return s->name;
}

const struct segment *index_segment_view(const struct index_segment *s)
{
	return &s->view;
}

/* ---- what is in a segment -------------------------------------------- */

void index_segment_about(const struct index_segment *s,
			 struct index_about *about)
{
	*about = (struct index_about){
		.session = s->view.session,
		.generation = s->view.generation,
		.packs = s->view.packs,
		.nodes = s->view.nodes,
		.chunks = s->view.chunks,
		.leans = s->view.leans,
	};
}

int index_segment_entries(const struct index_segment *s, uint64_t from,
			  struct segment_entry_new *out, size_t count,
			  struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (!segment_raw(&s->view, from + i, &out[i]))
			return err_set(e, ERR_INTEGRITY,
				       "segment '%s' has no such entry",
				       s->name);
	return 0;
}

int index_segment_packs(const struct index_segment *s, uint32_t from,
			struct segment_pack *out, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (!segment_pack(&s->view, from + (uint32_t)i, &out[i]))
			return err_set(e, ERR_INTEGRITY,
				       "segment '%s' has no such pack",
				       s->name);
	return 0;
}
