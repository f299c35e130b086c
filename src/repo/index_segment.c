/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index_segment.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/index_keep.h"

void index_segment_free(struct index_segment *s)
{
	if (s == NULL)
		return;
	struct kept *k = atomic_load(&s->keeping->kept);

	while (k != NULL) {
		struct kept *older = k->older;

		shelf_fini(&k->shelf);
		free(k);
		k = older;
	}
	pthread_mutex_destroy(&s->keeping->lock);
	free(s->keeping);
	free(s->name);
	free(s);
}

struct index_segment *index_segment_open(struct index_local *local,
					 const char *name, struct err *e)
{
	/* names come out of sets, too */
	if (strncmp(name, "idx/", 4) != 0 || strlen(name) >= SEGMENT_NAME ||
	    !store_name_ok(name)) {
		err_set(e, ERR_INTEGRITY, "not a segment's name");
		return NULL;
	}
	autofree struct kept *k = mem_zalloc(1, sizeof(*k));

	if (index_keep_open(local, name, &k->shelf) < 0 &&
	    index_keep_load(local, name, &k->shelf, e) < 0)
		return NULL;
	struct index_segment *s = mem_zalloc(1, sizeof(*s));

	s->name = mem_strdup(name);
	s->local = local;
	s->about = (struct index_about){
		.session = k->shelf.session,
		.generation = k->shelf.generation,
		.packs = k->shelf.packs,
		.nodes = k->shelf.nodes.count,
		.chunks = k->shelf.chunks.count,
		.leans = k->shelf.lean_count,
	};
	s->keeping = mem_zalloc(1, sizeof(*s->keeping));
	pthread_mutex_init(&s->keeping->lock, NULL);
	atomic_init(&s->keeping->kept, mem_take(&k));
	return s;
}

/* ---- damage ---------------------------------------------------------- */

static struct kept *kept_now(const struct index_segment *s)
{
	return atomic_load_explicit(&s->keeping->kept, memory_order_acquire);
}

/* So often a damaged cache is mended; then somebody is damaging it. */
#define MEND_MAX 3

/* Under the lock: another one from the store in the place of what failed. */
static int replace(const struct index_segment *s, struct kept *failed,
		   struct err *e)
{
	struct keeping *keeping = s->keeping;
	autofree struct kept *k = mem_zalloc(1, sizeof(*k));

	if (kept_now(s) != failed)
		return 0; /* another thread was faster */
	if (keeping->hopeless || keeping->mended == MEND_MAX)
		return err_set(e, ERR_INTEGRITY,
			       "index segment '%s' is damaged in the cache, "
			       "and cannot be read again",
			       s->name);
	if (index_keep_load(s->local, s->name, &k->shelf, e) < 0) {
		keeping->hopeless = !err_passing(e);
		return err_ctx(e, "index segment '%s'", s->name);
	}
	keeping->mended++;
	k->older = failed;
	atomic_store(&keeping->kept, mem_take(&k));
	return 0;
}

/* 0: what failed with e may be tried again.  Where there is nothing to mend it
 * with, it is the first failure that tells whether it was damage. */
static int mend(const struct index_segment *s, struct kept *failed,
		struct err *e)
{
	const struct err first = *e;

	err_clear(e);
	pthread_mutex_lock(&s->keeping->lock);
	int mended = replace(s, failed, e);

	pthread_mutex_unlock(&s->keeping->lock);
	if (mended < 0 && err_passing(&first))
		*e = first;
	return mended;
}

static int load_filters(const struct index_segment *s, struct kept *k,
			enum blob_class class, struct err *e)
{
	atomic_bool *ready = &k->ready[class == BLOB_NODE ? 0 : 1];
	int loaded = 0;

	if (atomic_load_explicit(ready, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&s->keeping->lock);
	if (!atomic_load(ready))
		loaded = shelf_load_filters(&k->shelf,
					    shelf_part(&k->shelf, class), e);
	if (loaded == 0)
		atomic_store_explicit(ready, true, memory_order_release);
	pthread_mutex_unlock(&s->keeping->lock);
	return loaded;
}

/* ---- looking up ------------------------------------------------------ */

bool index_segment_range(const struct index_segment *s, enum blob_class class,
			 uint64_t *low, uint64_t *high)
{
	struct kept *k = kept_now(s);
	const struct shelf_part *p = shelf_part(&k->shelf, class);

	*low = p->low;
	*high = p->high;
	return p->count > 0;
}

/* From the first entry of this prefix, in what is kept now. */
static int seek(struct index_walk *w, struct kept *k, struct err *e)
{
	struct shelf_part *p = shelf_part(&k->shelf, w->class);

	if (load_filters(w->s, k, w->class, e) < 0)
		return -1;
	if (!shelf_may_have(p, shelf_key(w->id->b)))
		return 0;
	w->cursor.shelf = &k->shelf;
	w->cursor.content = NULL;
	w->end = p->first + p->count;
	return shelf_seek(&w->cursor, p, w->id, &w->entry, e) < 0 ? -1 : 1;
}

int index_walk_begin(struct index_walk *w, const struct index_segment *s,
		     enum blob_class class, const struct hash *id,
		     struct err *e)
{
	w->s = s;
	w->class = class;
	w->id = id;
	for (;;) {
		struct kept *k = kept_now(s);
		int found = seek(w, k, e);

		if (found >= 0)
			return found;
		if (mend(s, k, e) < 0)
			return -1;
	}
}

/* Entry w->entry: 1 when it points somewhere, 0 when not, 2 when it has
 * another prefix. */
static int look(struct index_walk *w, struct index_hit *hit, struct err *e)
{
	struct segment_entry_new n;
	struct segment_pack p;

	if (shelf_entry(&w->cursor, w->entry, &n, e) < 0)
		return -1;
	if (memcmp(n.prefix, w->id->b, sizeof(n.prefix)) != 0)
		return 2;
	if (n.pack >= w->cursor.shelf->packs)
		return 0;
	if (shelf_pack(&w->cursor, n.pack, &p, e) < 0)
		return -1;
	hit->place = (struct place){
		.pack = p.id, .class = p.class, .blob = n.blob, .slot = n.slot
	};
	hit->segment = w->s;
	hit->entry = w->entry;
	return p.class == w->class;
}

/* What is kept was damaged: entries have the same numbers in what takes its
 * place. */
static int look_again(struct index_walk *w, struct index_hit *hit,
		      struct err *e)
{
	int found;

	while ((found = look(w, hit, e)) < 0) {
		struct kept *k = kept_now(w->s);

		if (&k->shelf == w->cursor.shelf && mend(w->s, k, e) < 0)
			return -1;
		w->cursor.shelf = &kept_now(w->s)->shelf;
		w->cursor.content = NULL;
	}
	return found;
}

int index_walk_next(struct index_walk *w, struct index_hit *hit, struct err *e)
{
	for (; w->entry < w->end; w->entry++) {
		int found = look_again(w, hit, e);

		if (found < 0)
			return -1;
		if (found == 2)
			return 0;
		if (found == 1) {
			w->entry++;
			return 1;
		}
	}
	return 0;
}

/* ---- what is in a segment -------------------------------------------- */

const char *index_segment_name(const struct index_segment *s)
{
	return s->name;
}

void index_segment_about(const struct index_segment *s,
			 struct index_about *about)
{
	*about = s->about;
}

char *const *index_segment_leans(const struct index_segment *s)
{
	return kept_now(s)->shelf.leans;
}

static int try_entries(struct kept *k, uint64_t from,
		       struct segment_entry_new *out, size_t count,
		       struct err *e)
{
	struct shelf_cursor c;

	c.shelf = &k->shelf;
	c.content = NULL;
	for (size_t i = 0; i < count; i++)
		if (shelf_entry(&c, from + i, &out[i], e) < 0)
			return -1;
	return 0;
}

int index_segment_entries(const struct index_segment *s, uint64_t from,
			  struct segment_entry_new *out, size_t count,
			  struct err *e)
{
	uint64_t all = s->about.nodes + s->about.chunks;

	if (from > all || count > all - from)
		return err_set(e, ERR_INTEGRITY,
			       "segment '%s' has no such entry", s->name);
	for (;;) {
		struct kept *k = kept_now(s);

		if (try_entries(k, from, out, count, e) == 0)
			return 0;
		if (mend(s, k, e) < 0)
			return -1;
	}
}

static int try_packs(struct kept *k, uint32_t from, struct segment_pack *out,
		     size_t count, struct err *e)
{
	struct shelf_cursor c;

	c.shelf = &k->shelf;
	c.content = NULL;
	for (size_t i = 0; i < count; i++)
		if (shelf_pack(&c, from + (uint32_t)i, &out[i], e) < 0)
			return -1;
	return 0;
}

int index_segment_packs(const struct index_segment *s, uint32_t from,
			struct segment_pack *out, size_t count, struct err *e)
{
	if (from > s->about.packs || count > s->about.packs - from)
		return err_set(e, ERR_INTEGRITY,
			       "segment '%s' has no such pack", s->name);
	for (;;) {
		struct kept *k = kept_now(s);

		if (try_packs(k, from, out, count, e) == 0)
			return 0;
		if (mend(s, k, e) < 0)
			return -1;
	}
}
