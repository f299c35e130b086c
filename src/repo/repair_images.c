/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "repo/damage.h"
#include "repo/fetch.h"
#include "repo/intake_internal.h"
#include "repo/reader.h"
#include "repo/repair_internal.h"

/*
 * An image is put together again: extents that are whole here by their ids
 * alone, the others from the other repository, as a backup would.  The way in
 * stores what it does not know, and damaged places and frail nodes are not
 * known.  The set that this commits has no points: it is there for what was
 * stored to be found (FORMAT.md, 8).
 */

/* One image being put together. */
struct mend {
	struct repair *p;
	struct intake *in;
	struct intake_image *to;
	const struct image_root *root;
	uint64_t extents;
	struct damage damage; /* what notes say */
	struct fetch *fetch;  /* from here */
	struct reader_image *from;
	struct reader_thread *thread;
};

static void mend_fini(struct mend *m)
{
	damage_fini(&m->damage);
	fetch_free(m->fetch);
	reader_close(m->from);
	reader_thread_free(m->thread);
}

/* ---- what is whole here ---------------------------------------------- */

/* 1, 0, -1: what cannot be read for now is not lost. */
static int find_good(struct mend *m, const struct hash *id, struct place *place,
		     struct err *e)
{
	struct index_ask ask = { .most = TIER_FRAIL };
	struct err why = ERR_INIT;
	struct index_hit hit;
	int found;

	while ((found = index_find(m->p->repo->index, &ask, BLOB_NODE, id, &hit,
				   &why)) == 1) {
		if (!damage_has_blob(&m->damage, &hit.place.pack,
				     hit.place.blob)) {
			*place = hit.place;
			return 1;
		}
		ask.skip++;
	}
	if (found < 0)
		*e = why;
	return found;
}

/* A node's bytes: 1; 0 where it is lost; -1. */
static int read_node(struct mend *m, const struct hash *id,
		     const uint8_t **data, size_t *size, struct err *e)
{
	struct place place;
	int found = find_good(m, id, &place, e);

	if (found <= 0 || fetch_at(m->fetch, &place, id, data, size, e) == 0)
		return found;
	if (err_passing(e))
		return -1;
	err_clear(e);
	return 0;
}

/*
 * Is an extent whole here, and may the session rely on it?  What another
 * session of this generation has stored is leaned on, as in a backup; what is
 * only in an older one's segments is stored again.  1, 0, -1.
 */
static int is_whole(struct mend *m, const struct hash *id, struct err *e)
{
	autofree struct extent *x = mem_alloc(sizeof(*x));
	struct err ignored = ERR_INIT;
	const uint8_t *data;
	size_t size;
	int found = read_node(m, id, &data, &size, e);

	if (found <= 0)
		return found;
	if (extent_decode(data, size, x, &ignored) < 0 ||
	    !intake_knows(m->in, BLOB_NODE, id))
		return 0;
	for (size_t i = 0; i < x->count; i++)
		if (!x->runs[i].hole &&
		    !intake_knows(m->in, BLOB_DATA, &x->runs[i].id))
			return 0;
	return 1;
}

/* ---- what is not ----------------------------------------------------- */

static int put_extent(struct mend *m, uint64_t number, struct err *e)
{
	uint8_t *b = intake_buffer(m->in, e);
	bool hole;

	if (b == NULL)
		return -1;
	if (reader_extent(m->from, m->thread, number, b, &hole, e) < 0) {
		intake_unbuffer(m->in, b);
		return err_ctx(e, "the other repository");
	}
	return intake_put(m->in, m->to, number, b, e);
}

/* All that the other repository has of a span of extents. */
static int put_span(struct mend *m, uint64_t first, uint64_t count,
		    struct err *e)
{
	uint64_t end = num_min(first + count, m->extents);
	uint64_t number;
	int more;

	while (first < end &&
	       (more = reader_next(m->from, first, &number, e)) == 1 &&
	       number < end) {
		if (put_extent(m, number, e) < 0)
			return -1;
		first = number + 1;
	}
	return first < end && more < 0 ? err_ctx(e, "the other repository") : 0;
}

/* ---- the tree -------------------------------------------------------- */

static int mend_node(struct mend *m, const struct hash *id, unsigned level,
		     uint64_t number, struct err *e);

static int mend_children(struct mend *m, const struct inner *n, unsigned level,
			 uint64_t number, struct err *e)
{
	uint64_t span = tree_span(level);

	for (size_t i = 0; i < TREE_FANOUT; i++)
		if (n->present[i] && mend_node(m, &n->child[i], level - 1,
					       number + i * span, e) < 0)
			return -1;
	return 0;
}

/* At most TREE_MAX_DEPTH calls deep. */
static int mend_node(struct mend *m, const struct hash *id, unsigned level,
		     uint64_t number, struct err *e)
{
	struct err ignored = ERR_INIT;
	const uint8_t *data;
	size_t size;

	if (m->p->o->cancel != NULL && *m->p->o->cancel)
		return err_set(e, ERR_STOPPED, "stopped");
	if (level == 0) {
		int whole = is_whole(m, id, e);

		if (whole <= 0)
			return whole < 0 ? -1 : put_extent(m, number, e);
		image_set(m->to, number, id);
		return 0;
	}
	autofree struct inner *n = mem_alloc(sizeof(*n));
	int found = read_node(m, id, &data, &size, e);

	if (found < 0)
		return -1;
	if (found == 1 && inner_decode(data, size, n, &ignored) == 0 &&
	    n->level == level)
		return mend_children(m, n, level, number, e);
	return put_span(m, number, tree_span(level) * TREE_FANOUT, e);
}

/* ---- an image -------------------------------------------------------- */

static bool same_root(const struct image_root *a, const struct image_root *b)
{
	return a->size == b->size && a->depth == b->depth &&
	       a->hole == b->hole && hash_equal(&a->top, &b->top);
}

/* The same point there: by its id in a copy, else by name and time. */
static const struct point *find_point(const struct catalog *c,
				      const struct point *p,
				      const struct set **set)
{
	const struct point *found = NULL;

	for (size_t i = 0; i < c->count; i++) {
		for (size_t k = 0; k < c->sets[i].point_count; k++) {
			const struct point *q = &c->sets[i].points[k];
			bool same = memcmp(p->id.b, q->id.b, ID_SIZE) == 0;

			if (!same &&
			    (found != NULL || strcmp(p->name, q->name) != 0 ||
			     p->time_ns != q->time_ns))
				continue;
			*set = &c->sets[i];
			found = q;
			if (same)
				return found;
		}
	}
	return found;
}

static int mend_open(struct mend *m, const struct set *set,
		     const struct image *there, struct err *e)
{
	struct repair *p = m->p;

	m->fetch = fetch_new(p->repo, e);
	if (m->fetch == NULL || damage_load(p->repo, &m->damage, e) < 0)
		return -1;
	m->from = reader_open(p->o->from, set, &there->root, e);
	m->thread = m->from != NULL ? reader_thread_new(p->o->from, e) : NULL;
	return m->thread != NULL ? 0 : -1;
}

static int mend_image(struct repair *p, struct intake *in,
		      const struct image *here, const struct set *set,
		      const struct image *there, struct err *e)
{
	AUTO(mend_fini)
	struct mend m = { .p = p, .in = in, .root = &here->root };
	struct image_root root;

	if (mend_open(&m, set, there, e) < 0)
		return -1;
	m.extents = num_parts(here->root.size, EXTENT_SIZE);
	m.to = intake_image(in, here->root.size);
	if (mend_node(&m, &here->root.top, here->root.depth, 0, e) < 0 ||
	    intake_finish(in, m.to, &root, e) < 0)
		return -1;
	if (same_root(&root, &here->root))
		return 0;
	return err_set(e, ERR_REFUSED,
		       "the other repository has another content there");
}

static int commit(struct repair *p, struct intake *in, struct err *e)
{
	AUTO(set_fini) struct set set = { .point_count = 0 };
	struct intake_stats st;

	attrs_set(&set.attrs, "repair", "yes");
	if (intake_commit(in, &set, e) < 0)
		return -1;
	intake_stats(in, &st);
	p->result->stored_bytes += st.stored_bytes;
	p->result->images++;
	return 0;
}

/* A session for each image: what cannot be had of one leaves the others. */
static int mend_one(struct repair *p, const struct verify_damage *d,
		    const struct catalog *there, struct err *e)
{
	const struct intake_options options = { .workers = 0 };
	const struct set *set = NULL;
	const struct point *point = find_point(there, d->of, &set);
	const struct image *image =
		point != NULL ? point_image(point, d->part->name) : NULL;

	if (image == NULL)
		return err_set(e, ERR_NOT_FOUND,
			       "the other repository does not have it");
	AUTO(intake_close_at)
	struct intake *in = intake_open(p->repo, &options, e);

	if (in == NULL || mend_image(p, in, d->part, set, image, e) < 0)
		return -1;
	return commit(p, in, e);
}

/* Damages of one image follow one another. */
static bool is_first(const struct verify_result *found, size_t i)
{
	return found->damages[i].part != NULL &&
	       (i == 0 || found->damages[i - 1].part != found->damages[i].part);
}

int repair_images(struct repair *p, const struct verify_result *found,
		  struct err *e)
{
	AUTO(catalog_fini) struct catalog there = { .count = 0 };

	if (catalog_load(p->o->from, &there, e) < 0)
		return err_ctx(e, "the other repository");
	for (size_t i = 0; i < found->damage_count; i++) {
		const struct verify_damage *d = &found->damages[i];
		struct err why = ERR_INIT;

		if (!is_first(found, i) || mend_one(p, d, &there, &why) == 0)
			continue;
		if (why.code == ERR_STOPPED) {
			*e = why;
			return -1;
		}
		talk_say(p->o->talk, TALK_WARN, "'%s' of %s: %s", d->image,
			 d->point, why.msg);
	}
	return 0;
}
