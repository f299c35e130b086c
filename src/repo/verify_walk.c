/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/node.h"
#include "repo/verify_internal.h"

/* ---- looking up ------------------------------------------------------ */

/* Notes are believed, unless packs are read and tell themselves; but what is
 * noted is taken only where there is nothing else. */
static bool is_bad(const struct verify *v, const struct place *p, bool noted)
{
	return damage_has_blob(&v->bad, &p->pack, p->blob) ||
	       (!noted && damage_has_blob(&v->known, &p->pack, p->blob));
}

/* The pack of a place that would have been needed. */
static void note_hurt(struct verify *v, const struct place *p)
{
	struct usage_pack *pack = usage_find(&v->usage, &p->pack);

	if (pack != NULL)
		pack->hurts = true;
}

/* A place that is in the index, of which its pack says the same, and whose
 * blob is not known to be damaged.  1; 0; -1 when that is not known now. */
static int find_place(struct verify *v, enum blob_class class,
		      const struct hash *id, bool noted, struct place *place,
		      struct err *e)
{
	struct index_ask ask = { .most = TIER_FRAIL };
	struct index_hit hit;
	int found;

	while ((found = index_find(v->repo->index, &ask, class, id, &hit, e)) ==
	       1) {
		if (!is_bad(v, &hit.place, noted)) {
			*place = hit.place;
			return 1;
		}
		err_set(e, ERR_INTEGRITY, "blob %u of its pack is damaged",
			hit.place.blob);
		ask.skip++;
	}
	return found;
}

static int find_good(struct verify *v, enum blob_class class,
		     const struct hash *id, struct place *place, struct err *e)
{
	int found = find_place(v, class, id, false, place, e);

	return found == 0 && verify_reads(v)
		       ? find_place(v, class, id, true, place, e)
		       : found;
}

/* The packs where it was, and no more is. */
static void blame(struct verify *v, enum blob_class class,
		  const struct hash *id)
{
	struct index_ask ask = { .most = TIER_FRAIL };
	struct err ignored = ERR_INIT;
	struct index_hit hit;

	while (index_find(v->repo->index, &ask, class, id, &hit, &ignored) ==
	       1) {
		note_hurt(v, &hit.place);
		ask.skip++;
	}
}

static int look_up(struct verify *v, enum blob_class class,
		   const struct hash *id, struct place *place, struct err *e)
{
	unsigned rounds = index_rounds(v->repo->index);
	struct err why = ERR_INIT;
	char hex[17];

	int found = find_good(v, class, id, place, &why);

	if (found == 0 && index_last_resort(v->repo->index, rounds))
		found = find_good(v, class, id, place, &why);
	if (found == 1)
		return 0;
	if (found < 0) {
		*e = why;
		return -1;
	}
	blame(v, class, id);
	hex_encode(id->b, 8, hex);
	if (why.code == ERR_NONE)
		index_trouble(v->repo->index, &why);
	if (why.code == ERR_NONE)
		err_set(&why, ERR_INTEGRITY, "it is in no index");
	return err_set(e, ERR_INTEGRITY, "%s...: %s", hex, why.msg);
}

/* Is it in use already?  The place was found: its pack is there. */
static bool is_used(struct verify *v, const struct place *p)
{
	struct err ignored = ERR_INIT;
	uint32_t slot;
	const struct usage_pack *pack =
		usage_slot(&v->usage, v->repo->footers, p, &slot, &ignored);

	return pack != NULL && usage_is(pack, slot);
}

static void set_used(struct verify *v, const struct place *p, uint64_t *count)
{
	struct err why = ERR_INIT;
	uint32_t slot;
	struct usage_pack *pack =
		usage_slot(&v->usage, v->repo->footers, p, &slot, &why);

	if (pack != NULL)
		*count += usage_set(pack, slot);
	else if (err_passing(&why))
		verify_unread(v, &why);
}

/* ---- nodes ----------------------------------------------------------- */

/* How it is below a node; of several the last counts. */
enum health {
	WELL,
	UNREAD, /* something could not be read for now */
	LOST,
};

static void worsen(enum health *h, enum health other)
{
	*h = other > *h ? other : *h;
}

static enum health check_run(struct verify *v, const struct run *run,
			     uint64_t at)
{
	struct err e = ERR_INIT;
	struct place p;

	if (run->hole)
		return WELL;
	if (look_up(v, BLOB_DATA, &run->id, &p, &e) == 0) {
		set_used(v, &p, &v->result->chunks);
		return WELL;
	}
	if (err_passing(&e)) {
		verify_unread(v, &e);
		return UNREAD;
	}
	verify_range_bad(v, at, run->pages * (uint64_t)PAGE_SIZE_BYTES, &e);
	return LOST;
}

static enum health check_runs(struct verify *v, const struct extent *x,
			      uint64_t number)
{
	uint64_t at = number * EXTENT_SIZE;
	enum health h = WELL;

	for (size_t i = 0; i < x->count; i++) {
		worsen(&h, check_run(v, &x->runs[i], at));
		at += x->runs[i].pages * (uint64_t)PAGE_SIZE_BYTES;
	}
	return h;
}

static enum health bad_node(struct verify *v, uint64_t number, uint64_t span,
			    const struct err *e)
{
	if (err_passing(e)) {
		verify_unread(v, e);
		return UNREAD;
	}
	verify_range_bad(v, number * EXTENT_SIZE, span * EXTENT_SIZE, e);
	return LOST;
}

/* The blob at a node's place does not open. */
static void bad_place(struct verify *v, const struct place *p)
{
	v->suspicious = true;
	damage_add_blob(&v->bad, p->class, &p->pack, p->blob);
	damage_sort(&v->bad);
	damage_add_blob(&v->found, p->class, &p->pack, p->blob);
}

/*
 * Fetch a node from a place where it can be read.  1; 0: it was walked already,
 * and all is well below; -1.
 */
static int get_node(struct verify *v, const struct hash *id, struct place *p,
		    const uint8_t **data, size_t *size, struct err *e)
{
	while (look_up(v, BLOB_NODE, id, p, e) == 0) {
		if (is_used(v, p))
			return 0;
		if (fetch_at(v->fetch, p, id, data, size, e) == 0)
			return 1;
		if (err_passing(e))
			break;
		bad_place(v, p);
	}
	return -1;
}

static enum health check_extent(struct verify *v, const uint8_t *data,
				size_t size, uint64_t number)
{
	autofree struct extent *x = mem_alloc(sizeof(*x));
	struct err e = ERR_INIT;

	if (extent_decode(data, size, x, &e) < 0)
		return bad_node(v, number, 1, &e);
	return check_runs(v, x, number);
}

static enum health check_node(struct verify *v, const struct hash *id,
			      unsigned level, uint64_t number);

static enum health check_inner(struct verify *v, const uint8_t *data,
			       size_t size, unsigned level, uint64_t number)
{
	autofree struct inner *n = mem_alloc(sizeof(*n));
	uint64_t span = tree_span(level);
	struct err e = ERR_INIT;
	enum health h = WELL;

	if (inner_decode(data, size, n, &e) < 0)
		return bad_node(v, number, span * TREE_FANOUT, &e);
	if (n->level != level) {
		err_set(&e, ERR_INTEGRITY, "a node of the wrong level");
		return bad_node(v, number, span * TREE_FANOUT, &e);
	}
	for (size_t i = 0; i < TREE_FANOUT; i++)
		if (n->present[i])
			worsen(&h, check_node(v, &n->child[i], level - 1,
					      number + i * span));
	return h;
}

/* Something below the node is lost: wherever it is, a writer must not take it
 * for known. */
static void note_frail(struct verify *v, const struct hash *id)
{
	struct index_ask ask = { .most = TIER_FRAIL };
	struct err ignored = ERR_INIT;
	struct index_hit hit;

	while (index_find(v->repo->index, &ask, BLOB_NODE, id, &hit,
			  &ignored) == 1) {
		damage_add_node(&v->found, &hit.place);
		ask.skip++;
	}
}

/* The depth is bounded by the format: at most TREE_MAX_DEPTH calls deep.  The
 * same subtree may stand anywhere: only its ids matter. */
static enum health check_node(struct verify *v, const struct hash *id,
			      unsigned level, uint64_t number)
{
	uint64_t span = level > 0 ? tree_span(level) * TREE_FANOUT : 1;
	struct err e = ERR_INIT;
	const uint8_t *data;
	struct place p;
	size_t size;

	if (verify_alive(v, &e) < 0)
		return UNREAD;
	int got = get_node(v, id, &p, &data, &size, &e);

	/* a failure is one of all that is below it */
	if (got <= 0)
		return got == 0 ? WELL : bad_node(v, number, span, &e);
	enum health h = level == 0 ? check_extent(v, data, size, number)
				   : check_inner(v, data, size, level, number);

	if (h == WELL)
		set_used(v, &p, &v->result->nodes);
	else if (h == LOST)
		note_frail(v, id);
	return h;
}

/* ---- images, points, sets -------------------------------------------- */

static void walk_image(struct verify *v, const struct image *image)
{
	struct err e = ERR_INIT;
	uint64_t extents = num_parts(image->root.size, EXTENT_SIZE);

	v->image = image;
	v->result->images++;
	if (tree_depth(extents) != image->root.depth) {
		err_set(&e, ERR_INTEGRITY, "the tree does not fit the size");
		verify_range_bad(v, 0, 0, &e);
	} else if (!image->root.hole) {
		check_node(v, &image->root.top, image->root.depth, 0);
	}
	v->image = NULL;
}

static void walk_set(struct verify *v, const struct set *set)
{
	v->set = set;
	v->result->sets++;
	for (size_t i = 0; i < set->point_count; i++) {
		const struct point *p = &set->points[i];

		if (v->o->only != NULL && v->o->only->point != p)
			continue;
		v->point = p;
		v->result->points++;
		for (size_t k = 0; k < p->image_count; k++)
			walk_image(v, &p->images[k]);
		v->point = NULL;
	}
}

/* A walk before has found the same, or less. */
static void forget(struct verify *v)
{
	struct verify_result *r = v->result;

	for (size_t i = 0; i < r->damage_count; i++) {
		free(r->damages[i].object);
		free(r->damages[i].point);
		free(r->damages[i].image);
	}
	r->damage_count = 0;
	r->sets = r->points = r->images = r->nodes = r->chunks = 0;
	v->damaged = NULL;
	usage_clear(&v->usage);
	for (size_t i = 0; i < v->usage.count; i++)
		v->usage.packs[i].hurts = false;
}

int verify_walk(struct verify *v, struct err *e)
{
	const struct catalog *c = v->catalog;

	forget(v);
	v->walked = true;
	damage_sort(&v->bad);
	if (v->o->only != NULL) {
		walk_set(v, v->o->only->set);
		return verify_alive(v, e);
	}
	for (size_t i = 0; i < c->count && verify_alive(v, e) == 0; i++)
		walk_set(v, &c->sets[i]);
	return verify_alive(v, e);
}
