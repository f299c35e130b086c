/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "repo/damage.h"
#include "repo/fetch.h"
#include "repo/generation.h"
#include "repo/idset.h"
#include "repo/node.h"

/*
 * The packs that a point leans on are collected while its tree is walked;
 * with read_data each is then read whole once, front to back.  When a blob is
 * damaged the trees are walked again, so that it can be said whom that hurts:
 * nobody, where the same chunk is in another blob; then that one's pack is
 * read, too.
 */
struct verify {
	struct repo *repo;
	const struct verify_options *o;
	struct verify_result *result;
	struct fetch *fetch;
	struct idset nodes;  /* walked, and fine below */
	struct idset chunks; /* looked up, and there */
	struct idset packs;
	struct place *pack_list;
	size_t pack_count;
	struct idset bad;    /* blobs that cannot be read */
	struct damage known; /* notes that are there */
	struct damage found; /* what was found now */
	uint64_t generation;
	size_t walk_start, walk_end; /* damages that the walk has found */
	const struct image *damaged; /* that the last damage is of, or NULL */

	/* where the walk is */
	const struct set *set;
	const struct point *point;
	const struct image *image;
};

/* Is it the last damage that goes on?  A pack that is gone is many chunks. */
static bool damage_extend(struct verify *v, uint64_t offset, uint64_t size)
{
	struct verify_result *r = v->result;

	if (v->image == NULL || v->image != v->damaged)
		return false;
	struct verify_damage *last = &r->damages[r->damage_count - 1];

	if (last->size == 0 || size == 0 || last->offset + last->size != offset)
		return false;
	last->size += size;
	return true;
}

static void damage_add(struct verify *v, const char *object, uint64_t offset,
		       uint64_t size, const struct err *why)
{
	struct verify_result *r = v->result;
	char when[CLOCK_TEXT];
	char hex[ID_TEXT];

	if (damage_extend(v, offset, size))
		return;
	v->damaged = v->image;
	r->damages =
		mem_grow(r->damages, r->damage_count + 1, sizeof(*r->damages));
	struct verify_damage *d = &r->damages[r->damage_count++];

	memset(d, 0, sizeof(*d));
	d->object = mem_strdup(object);
	d->offset = offset;
	d->size = size;
	memcpy(d->msg, why->msg, sizeof(d->msg));
	d->image = mem_strdup(v->image != NULL ? v->image->name : "");
	if (v->point == NULL) {
		d->point = mem_strdup("");
		return;
	}
	clock_text(v->point->time_ns, when);
	hex_encode(v->point->id.b, ID_SIZE, hex);
	d->point = mem_fmt("%s@%s (%.8s)", v->point->name, when, hex);
}

/* ---- walking the trees ----------------------------------------------- */

static void remember_pack(struct verify *v, const struct place *p)
{
	if (!idset_add(&v->packs, p->pack.b))
		return;
	v->pack_list = mem_grow(v->pack_list, v->pack_count + 1,
				sizeof(*v->pack_list));
	v->pack_list[v->pack_count++] = *p;
}

/* A blob's name in v->bad. */
static struct id blob_key(const struct id *pack, uint32_t blob)
{
	struct id key = *pack;

	for (size_t i = 0; i < 4; i++)
		key.b[ID_SIZE - 1 - i] ^= (uint8_t)(blob >> 8 * i);
	return key;
}

/* What is noted as damaged is asked only where its content is read, too. */
static bool is_bad(const struct verify *v, const struct place *p, bool noted)
{
	struct id key = blob_key(&p->pack, p->blob);

	return idset_has(&v->bad, key.b) ||
	       (!noted && damage_has_blob(&v->known, &p->pack, p->blob));
}

/* A place that is in the index, of which its pack says the same, and whose
 * blob is not known to be damaged. */
static bool find_place(struct verify *v, enum blob_class class,
		       const struct hash *id, bool noted, struct err *e)
{
	struct index_ask ask = { .most = TIER_FRAIL };
	struct index_hit hit;

	while (index_find(v->repo->index, &ask, class, id, &hit, e) == 1) {
		if (!is_bad(v, &hit.place, noted)) {
			remember_pack(v, &hit.place);
			return true;
		}
		err_set(e, ERR_INTEGRITY, "blob %u of its pack is damaged",
			hit.place.blob);
		ask.skip++;
	}
	return false;
}

static bool find_good(struct verify *v, enum blob_class class,
		      const struct hash *id, struct err *e)
{
	return find_place(v, class, id, false, e) ||
	       (v->o->read_data && find_place(v, class, id, true, e));
}

static int look_up(struct verify *v, enum blob_class class,
		   const struct hash *id, struct err *e)
{
	struct err why = ERR_INIT;
	char hex[17];

	if (find_good(v, class, id, &why))
		return 0;
	hex_encode(id->b, 8, hex);
	if (why.code == ERR_NONE)
		index_trouble(v->repo->index, &why);
	if (why.code == ERR_NONE)
		err_set(&why, ERR_INTEGRITY, "it is in no index");
	return err_set(e, ERR_INTEGRITY, "%s...: %s", hex, why.msg);
}

static bool check_runs(struct verify *v, const struct extent *x,
		       uint64_t number)
{
	uint64_t at = number * EXTENT_SIZE;
	bool fine = true;

	for (size_t i = 0; i < x->count; i++) {
		uint64_t size = x->runs[i].pages * (uint64_t)PAGE_SIZE_BYTES;
		struct err e = ERR_INIT;

		if (!x->runs[i].hole &&
		    !idset_has(&v->chunks, x->runs[i].id.b)) {
			if (look_up(v, BLOB_DATA, &x->runs[i].id, &e) < 0) {
				damage_add(v, "", at, size, &e);
				fine = false;
			} else {
				idset_add(&v->chunks, x->runs[i].id.b);
			}
		}
		at += size;
	}
	return fine;
}

/* Fetch a node; a failure is a damage of all that is below it. */
static int get_node(struct verify *v, const struct hash *id, uint64_t number,
		    uint64_t span, const uint8_t **data, size_t *size)
{
	struct err e = ERR_INIT;

	if (look_up(v, BLOB_NODE, id, &e) == 0 &&
	    fetch_get(v->fetch, BLOB_NODE, id, data, size, &e) == 0)
		return 0;
	damage_add(v, "", number * EXTENT_SIZE, span * EXTENT_SIZE, &e);
	return -1;
}

static bool bad_node(struct verify *v, uint64_t number, uint64_t span,
		     const struct err *e)
{
	damage_add(v, "", number * EXTENT_SIZE, span * EXTENT_SIZE, e);
	return false;
}

static bool check_extent(struct verify *v, const struct hash *id,
			 uint64_t number)
{
	autofree struct extent *x = mem_alloc(sizeof(*x));
	struct err e = ERR_INIT;
	const uint8_t *data;
	size_t size;

	if (get_node(v, id, number, 1, &data, &size) < 0)
		return false;
	if (extent_decode(data, size, x, &e) < 0)
		return bad_node(v, number, 1, &e);
	return check_runs(v, x, number);
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

/* The depth is bounded by the format: at most TREE_MAX_DEPTH calls deep. */
static bool check_node(struct verify *v, const struct hash *id, unsigned level,
		       uint64_t number)
{
	bool fine = true;

	/* the same subtree may stand anywhere: only its ids matter */
	if (idset_has(&v->nodes, id->b))
		return true;
	if (level == 0) {
		fine = check_extent(v, id, number);
	} else {
		autofree struct inner *n = mem_alloc(sizeof(*n));
		uint64_t span = tree_span(level);
		struct err e = ERR_INIT;
		const uint8_t *data;
		size_t size;

		if (get_node(v, id, number, span * TREE_FANOUT, &data, &size) <
		    0)
			return false;
		if (inner_decode(data, size, n, &e) < 0)
			return bad_node(v, number, span * TREE_FANOUT, &e);
		for (size_t i = 0; i < TREE_FANOUT; i++)
			if (n->present[i] &&
			    !check_node(v, &n->child[i], level - 1,
					number + i * span))
				fine = false;
	}
	if (fine)
		idset_add(&v->nodes, id->b);
	else
		note_frail(v, id);
	return fine;
}

static void walk_image(struct verify *v, const struct image *image)
{
	struct err e = ERR_INIT;
	uint64_t extents = num_parts(image->root.size, EXTENT_SIZE);

	v->image = image;
	v->result->images++;
	if (tree_depth(extents) != image->root.depth) {
		err_set(&e, ERR_INTEGRITY, "the tree does not fit the size");
		damage_add(v, "", 0, 0, &e);
	} else if (!image->root.hole) {
		check_node(v, &image->root.top, image->root.depth, 0);
	}
	v->image = NULL;
}

/* A segment that is not there may have been merged into the index of a later
 * generation. */
static void open_segments(struct verify *v, const struct set *set)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		const char *name = set->segments[i];
		struct err e = ERR_INIT;

		if (index_open_segment(v->repo->index, name, &e) < 0 &&
		    (e.code != ERR_NOT_FOUND ||
		     set->generation >= v->generation))
			damage_add(v, name, 0, 0, &e);
	}
}

static void walk_set(struct verify *v, const struct set *set)
{
	v->set = set;
	v->result->sets++;
	open_segments(v, set);
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

static void walk_all(struct verify *v, const struct catalog *c)
{
	v->walk_start = v->result->damage_count;
	if (v->o->only != NULL)
		walk_set(v, v->o->only->set);
	for (size_t i = 0; v->o->only == NULL && i < c->count; i++)
		walk_set(v, &c->sets[i]);
	v->walk_end = v->result->damage_count;
}

static void verify_damage_fini(struct verify_damage *d)
{
	free(d->object);
	free(d->point);
	free(d->image);
}

/* Before another walk, which finds the same and more. */
static void forget_walk(struct verify *v)
{
	struct verify_result *r = v->result;

	for (size_t i = v->walk_start; i < v->walk_end; i++)
		verify_damage_fini(&r->damages[i]);
	if (v->walk_end > v->walk_start)
		memmove(r->damages + v->walk_start, r->damages + v->walk_end,
			(r->damage_count - v->walk_end) * sizeof(*r->damages));
	r->damage_count -= v->walk_end - v->walk_start;
	v->damaged = NULL;
	r->sets = r->points = r->images = 0;
	idset_fini(&v->nodes);
	idset_fini(&v->chunks);
}

/* ---- reading the packs ----------------------------------------------- */

static void mark_blob(struct verify *v, const struct footer_use *use,
		      uint32_t number)
{
	struct id key = blob_key(&use->header.pack, number);

	idset_add(&v->bad, key.b);
	damage_add_blob(&v->found, use->header.class, &use->header.pack,
			number);
}

/* Is it a part of what was asked for?  Points share packs. */
static bool concerns(const struct verify *v, const struct footer *f,
		     const struct blob *b)
{
	const struct slot *slots = f->slots + b->first;

	for (size_t i = 0; v->o->only != NULL && i < b->slots; i++)
		if (idset_has(&v->chunks, slots[i].id.b) ||
		    idset_has(&v->nodes, slots[i].id.b))
			return true;
	return v->o->only == NULL;
}

static void check_blobs(struct verify *v, const char *name,
			const struct footer_use *use, const uint8_t *data)
{
	for (uint32_t i = 0; i < use->footer.blob_count; i++) {
		const struct blob *b = &use->footer.blobs[i];
		struct err e = ERR_INIT;

		if (!concerns(v, &use->footer, b))
			continue;
		if (fetch_check_blob(v->fetch, use, i, data + b->offset, &e) ==
		    0)
			continue;
		err_ctx(&e, "blob %u", i);
		damage_add(v, name, b->offset, b->stored, &e);
		mark_blob(v, use, i);
	}
}

/* The sum first: it finds damage also where no blob is.  That is no damage of
 * the one point that was asked for. */
static void check_pack(struct verify *v, const char *name,
		       const struct footer_use *use)
{
	size_t body = (size_t)use->size - PACK_TRAILER;
	autofree uint8_t *data = mem_try(body, 1);
	struct err e = ERR_INIT;
	struct hash sum;

	if (data == NULL)
		err_set(&e, ERR_FAILED, "no memory to read it");
	if (data == NULL ||
	    store_get(v->repo->store, name, 0, body, data, &e) < 0) {
		damage_add(v, name, 0, use->size, &e);
		for (uint32_t i = 0; i < use->footer.blob_count; i++)
			mark_blob(v, use, i);
		return;
	}
	v->result->bytes_read += body;
	hash_sha256(data, body, &sum);
	if (v->o->only == NULL && !hash_equal(&sum, &use->sum)) {
		err_set(&e, ERR_INTEGRITY, "its checksum is wrong");
		damage_add(v, name, 0, 0, &e);
	}
	check_blobs(v, name, use, data);
}

static void read_pack(struct verify *v, const struct place *p)
{
	struct footer_use use;
	struct err e = ERR_INIT;
	char name[PACK_NAME];

	pack_name(p->class, &p->pack, name);
	if (footer_load(v->repo->store, v->repo->keys->meta_key, p->class,
			&p->pack, &use, &e) < 0) {
		damage_add(v, name, 0, 0, &e);
		return;
	}
	check_pack(v, name, &use);
	footer_fini(&use.footer);
}

/* Those that the walk has found, and those that it finds in their stead. */
static void read_packs(struct verify *v, const struct catalog *c)
{
	size_t done = 0;

	while (done < v->pack_count) {
		size_t bad = v->bad.count;

		for (; done < v->pack_count; done++) {
			struct place p = v->pack_list[done];

			talk_progress(v->o->talk, "packs", done, v->pack_count);
			read_pack(v, &p);
		}
		if (v->bad.count > bad) {
			forget_walk(v);
			walk_all(v, c);
		}
	}
	talk_progress(v->o->talk, "packs", done, v->pack_count);
}

/* ---- all ------------------------------------------------------------- */

static void note_damaged_sets(struct verify *v, const struct catalog *c)
{
	for (size_t i = 0; i < c->damaged_count; i++) {
		struct err e = ERR_INIT;

		err_set(&e, ERR_INTEGRITY, "%s", c->damaged[i].msg);
		damage_add(v, c->damaged[i].object, 0, 0, &e);
	}
}

/* Every segment that the newest generation lists. */
static int check_generation(struct verify *v, struct err *e)
{
	AUTO(generation_fini) struct generation g = { 0 };
	struct repo *r = v->repo;

	if (index_refresh(r->index, &v->generation, e) < 0 ||
	    generation_load(r->store, r->keys, v->generation, &g, e) < 0)
		return -1;
	for (size_t i = 0; i < g.segment_count; i++) {
		struct err why = ERR_INIT;

		if (index_open_segment(r->index, g.segments[i].name, &why) < 0)
			damage_add(v, g.segments[i].name, 0, 0, &why);
	}
	return 0;
}

/* What sessions have left that no point and no generation names is nobody's
 * concern: it is not looked at. */
static int prepare(struct verify *v, const struct catalog *c, struct err *e)
{
	if (v->o->only == NULL)
		note_damaged_sets(v, c);
	if (check_generation(v, e) < 0) {
		if (e->code != ERR_INTEGRITY && e->code != ERR_NOT_FOUND)
			return -1;
		damage_add(v, "gen/", 0, 0, e);
		err_clear(e);
		if (index_open_sessions(v->repo->index, e) < 0)
			return -1;
	}
	v->fetch = fetch_new(v->repo, e);
	return v->fetch != NULL ? damage_load(v->repo, &v->known, e) : -1;
}

static void verify_fini(struct verify *v)
{
	fetch_free(v->fetch);
	idset_fini(&v->nodes);
	idset_fini(&v->chunks);
	idset_fini(&v->packs);
	idset_fini(&v->bad);
	damage_fini(&v->known);
	damage_fini(&v->found);
	free(v->pack_list);
}

/* So that the next backup stores again what is lost. */
static int note_damage(struct verify *v, struct err *e)
{
	char name[DAMAGE_NAME];

	damage_sort(&v->found);
	if (damage_covers(&v->known, &v->found))
		return 0;
	return damage_put(v->repo, &v->found, name, e);
}

int verify_run(struct repo *r, const struct catalog *c,
	       const struct verify_options *o, struct verify_result *result,
	       struct err *e)
{
	AUTO(verify_fini)
	struct verify v = { .repo = r, .o = o, .result = result };

	memset(result, 0, sizeof(*result));
	if (prepare(&v, c, e) < 0)
		return -1;
	walk_all(&v, c);
	result->nodes = v.nodes.count;
	result->chunks = v.chunks.count;
	if (o->read_data)
		read_packs(&v, c);
	result->packs = v.pack_count;
	return note_damage(&v, e);
}

void verify_result_fini(struct verify_result *r)
{
	for (size_t i = 0; i < r->damage_count; i++)
		verify_damage_fini(&r->damages[i]);
	free(r->damages);
	memset(r, 0, sizeof(*r));
}
