/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/stats.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/fetch.h"
#include "repo/internal.h"
#include "repo/node.h"
#include "repo/usage.h"

/*
 * Who needs something: 0 nobody; a point's number and 1; above these a name's
 * number; or everybody.  What is below a node is needed by all who need the
 * node, so who adds nothing to a node need not look below.
 */
#define OWNER_NONE   0u
#define OWNER_SHARED UINT32_MAX

struct node_state {
	uint32_t owner;
	uint64_t data; /* bytes below that are not zero */
};

/* Behind usage_pack.more. */
struct shares {
	uint32_t *owners;         /* a blob's */
	struct node_state *nodes; /* a slot's; NULL: not of nodes */
	uint8_t room[];
};

struct walk {
	struct repo *repo;
	const struct stats_options *o;
	struct stats_result *result;
	struct fetch *fetch;
	struct usage usage;
	uint32_t *name_of; /* a point's */
	uint32_t point;    /* the one that is walked */
};

/* ---- owners ---------------------------------------------------------- */

static uint32_t point_owner(uint32_t point)
{
	return point + 1;
}

static uint32_t name_owner(const struct walk *w, uint32_t name)
{
	return (uint32_t)w->result->point_count + 1 + name;
}

/* Whoever it was, and the point, too. */
static uint32_t join(const struct walk *w, uint32_t owner)
{
	uint32_t own = point_owner(w->point);
	uint32_t name = w->name_of[w->point];

	if (owner == OWNER_NONE || owner == own)
		return own;
	if (owner == OWNER_SHARED)
		return OWNER_SHARED;
	if (owner <= w->result->point_count)
		return w->name_of[owner - 1] == name ? name_owner(w, name)
						     : OWNER_SHARED;
	return owner == name_owner(w, name) ? owner : OWNER_SHARED;
}

static struct shares *shares_new(const struct usage_pack *p)
{
	size_t owners = (p->blobs * sizeof(uint32_t) + 7) / 8 * 8;
	size_t nodes = p->class == BLOB_NODE
			       ? p->slots * sizeof(struct node_state)
			       : 0;
	struct shares *s = mem_zalloc(1, sizeof(*s) + owners + nodes);

	s->owners = (uint32_t *)(void *)s->room;
	if (p->class == BLOB_NODE)
		s->nodes = (struct node_state *)(void *)(s->room + owners);
	return s;
}

static struct shares *shares_of(struct usage_pack *p)
{
	if (p->more == NULL)
		p->more = shares_new(p);
	return p->more;
}

/* ---- looking up ------------------------------------------------------ */

/* What could not be read for now is not lost: nothing can be said then. */
static int is_lost(struct walk *w, const struct err *why, struct err *e)
{
	if (err_passing(why)) {
		*e = *why;
		return err_ctx(e, "it cannot be told now what is stored");
	}
	w->result->lost++;
	return 0;
}

/* Where an id is: 1, the pack, the slot; 0, it is lost; -1. */
static int look_up(struct walk *w, enum blob_class class, const struct hash *id,
		   struct place *place, struct usage_pack **p, uint32_t *slot,
		   struct err *e)
{
	const struct index_ask ask = { .most = TIER_FRAIL };
	struct err why = ERR_INIT;
	struct index_hit hit;
	unsigned rounds = index_rounds(w->repo->index);

	if (index_find(w->repo->index, &ask, class, id, &hit, &why) != 1 &&
	    (!index_last_resort(w->repo->index, rounds) ||
	     index_find(w->repo->index, &ask, class, id, &hit, &why) != 1))
		return is_lost(w, &why, e);
	*place = hit.place;
	*p = usage_slot(&w->usage, w->repo->footers, place, slot, &why);
	return *p != NULL ? 1 : is_lost(w, &why, e);
}

/* ---- trees ----------------------------------------------------------- */

static int take_chunk(struct walk *w, const struct hash *id, struct err *e)
{
	struct place place;
	struct usage_pack *p;
	uint32_t slot;
	int found = look_up(w, BLOB_DATA, id, &place, &p, &slot, e);

	if (found <= 0)
		return found;
	struct shares *s = shares_of(p);

	w->result->chunks += usage_set(p, slot);
	s->owners[place.blob] = join(w, s->owners[place.blob]);
	return 0;
}

static int take_runs(struct walk *w, const struct extent *x, uint64_t *data,
		     struct err *e)
{
	for (size_t i = 0; i < x->count; i++) {
		if (x->runs[i].hole)
			continue;
		*data += x->runs[i].pages * (uint64_t)PAGE_SIZE_BYTES;
		if (take_chunk(w, &x->runs[i].id, e) < 0)
			return -1;
	}
	return 0;
}

static int take_node(struct walk *w, const struct hash *id, unsigned level,
		     uint64_t *data, struct err *e);

static int take_inner(struct walk *w, const struct inner *n, unsigned level,
		      uint64_t *data, struct err *e)
{
	for (size_t i = 0; i < TREE_FANOUT; i++)
		if (n->present[i] &&
		    take_node(w, &n->child[i], level - 1, data, e) < 0)
			return -1;
	return 0;
}

/* What is below a node; a node that cannot be read has nothing below. */
static int take_below(struct walk *w, const struct place *place,
		      const struct hash *id, unsigned level, uint64_t *data,
		      struct err *e)
{
	autofree void *room =
		mem_alloc(num_max(sizeof(struct extent), sizeof(struct inner)));
	struct err why = ERR_INIT;
	struct inner *n = room;
	const uint8_t *bytes;
	size_t size;
	int ok = fetch_at(w->fetch, place, id, &bytes, &size, &why);

	if (ok == 0)
		ok = level == 0 ? extent_decode(bytes, size, room, &why)
				: inner_decode(bytes, size, n, &why);
	if (ok < 0 || (level > 0 && n->level != level))
		return is_lost(w, &why, e);
	return level > 0 ? take_inner(w, n, level, data, e)
			 : take_runs(w, room, data, e);
}

/* At most TREE_MAX_DEPTH calls deep.  Adds to *data what is below. */
static int take_node(struct walk *w, const struct hash *id, unsigned level,
		     uint64_t *data, struct err *e)
{
	struct usage_pack *p;
	struct place place;
	uint64_t below = 0;
	uint32_t slot;

	if (w->o->cancel != NULL && *w->o->cancel)
		return err_set(e, ERR_STOPPED, "stopped");
	int found = look_up(w, BLOB_NODE, id, &place, &p, &slot, e);

	if (found <= 0)
		return found;
	struct shares *s = shares_of(p);
	uint32_t owner = join(w, s->nodes[slot].owner);

	if (!usage_set(p, slot) && owner == s->nodes[slot].owner) {
		*data += s->nodes[slot].data;
		return 0;
	}
	w->result->nodes += s->nodes[slot].owner == OWNER_NONE;
	s->owners[place.blob] = join(w, s->owners[place.blob]);
	if (take_below(w, &place, id, level, &below, e) < 0)
		return -1;
	/* s stays where it is when the table of packs grows */
	s->nodes[slot] = (struct node_state){ owner, below };
	*data += below;
	return 0;
}

static int take_point(struct walk *w, uint32_t number, struct err *e)
{
	struct stats_point *sp = &w->result->points[number];

	w->point = number;
	for (size_t i = 0; i < sp->point->image_count; i++) {
		const struct image_root *root = &sp->point->images[i].root;
		uint64_t data = 0;

		sp->size += root->size;
		if (!root->hole && root->depth <= TREE_MAX_DEPTH &&
		    take_node(w, &root->top, root->depth, &data, e) < 0)
			return -1;
		/* the last page is a whole one in the tree */
		sp->data += num_min(data, root->size);
	}
	return 0;
}

/* ---- sums ------------------------------------------------------------ */

/* What is stored for this owner alone. */
static void give(struct walk *w, uint32_t owner, uint64_t bytes)
{
	struct stats_result *r = w->result;

	if (owner == OWNER_NONE || owner == OWNER_SHARED)
		return;
	if (owner <= r->point_count) {
		r->points[owner - 1].frees += bytes;
		r->names[w->name_of[owner - 1]].frees += bytes;
	} else {
		r->names[owner - 1 - r->point_count].frees += bytes;
	}
}

static void sum_slots(struct walk *w, const struct usage_pack *p,
		      const struct footer *f, const struct blob *b)
{
	for (uint32_t i = 0; i < b->slots; i++)
		if (p->class == BLOB_DATA && usage_is(p, b->first + i))
			w->result->unique += f->slots[b->first + i].size;
}

/* A pack that only one needs goes as a whole, footer and all. */
static void sum_footer(struct walk *w, const struct usage_pack *p,
		       const struct footer_use *use)
{
	const struct shares *s = p->more;
	const struct footer *f = &use->footer;
	uint64_t rest = use->size;
	uint32_t only = OWNER_NONE;

	for (uint32_t i = 0; i < f->blob_count && i < p->blobs; i++) {
		const struct blob *b = &f->blobs[i];

		rest -= num_min(rest, b->stored);
		if (s->owners[i] == OWNER_NONE)
			continue;
		only = only == OWNER_NONE || only == s->owners[i]
			       ? s->owners[i]
			       : OWNER_SHARED;
		give(w, s->owners[i], b->stored);
		w->result->stored += b->stored;
		w->result->tree += p->class == BLOB_NODE ? b->stored : 0;
		sum_slots(w, p, f, b);
	}
	give(w, only, rest);
}

static int sum_packs(struct walk *w, struct err *e)
{
	for (size_t i = 0; i < w->usage.count; i++) {
		const struct usage_pack *p = &w->usage.packs[i];

		if (p->more == NULL)
			continue;
		const struct footer_use *use =
			footers_get(w->repo->footers, p->class, &p->id, e);

		if (use == NULL)
			return -1;
		sum_footer(w, p, use);
		footers_put(w->repo->footers, use);
	}
	return 0;
}

static void sum_points(struct walk *w)
{
	struct stats_result *r = w->result;

	for (size_t i = 0; i < r->point_count; i++) {
		struct stats_name *n = &r->names[w->name_of[i]];

		n->points++;
		n->size += r->points[i].size;
		n->data += r->points[i].data;
		r->size += r->points[i].size;
		r->data += r->points[i].data;
	}
}

static int sum_object(void *ctx, const char *name, const struct store_stat *st,
		      struct err *e)
{
	struct stats_result *r = ctx;

	(void)e;
	r->objects++;
	r->bytes += st->size;
	if (strncmp(name, "data/", 5) == 0 || strncmp(name, "meta/", 5) == 0) {
		r->packs++;
		r->pack_bytes += st->size;
	}
	return 0;
}

/* ---- points and names ------------------------------------------------ */

static void list_points(const struct catalog *c, struct stats_result *r)
{
	size_t count = 0;

	for (size_t i = 0; i < c->count; i++)
		count += c->sets[i].point_count;
	r->points = mem_zalloc(count + 1, sizeof(*r->points));
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].point_count; k++)
			r->points[r->point_count++] = (struct stats_point){
				.set = &c->sets[i],
				.point = &c->sets[i].points[k]
			};
}

static int by_name(const void *va, const void *vb)
{
	const struct stats_name *a = va;
	const struct stats_name *b = vb;

	return strcmp(a->name, b->name);
}

static void list_names(struct walk *w)
{
	struct stats_result *r = w->result;
	size_t kept = 0;

	r->names = mem_zalloc(r->point_count + 1, sizeof(*r->names));
	for (size_t i = 0; i < r->point_count; i++)
		r->names[i].name = r->points[i].point->name;
	if (r->point_count > 0)
		qsort(r->names, r->point_count, sizeof(*r->names), by_name);
	for (size_t i = 0; i < r->point_count; i++)
		if (kept == 0 || by_name(&r->names[kept - 1], &r->names[i]))
			r->names[kept++] = r->names[i];
	r->name_count = kept;
	w->name_of = mem_zalloc(r->point_count + 1, sizeof(*w->name_of));
	for (size_t i = 0; i < r->point_count; i++) {
		const struct stats_name key = {
			.name = r->points[i].point->name
		};
		const struct stats_name *n = bsearch(
			&key, r->names, kept, sizeof(*r->names), by_name);

		w->name_of[i] = (uint32_t)(n - r->names);
	}
}

/* ---- all ------------------------------------------------------------- */

/* What cannot be opened makes things lost; they are counted.  (Where it is only
 * for now, looking things up will fail.) */
static int open_index(struct walk *w, const struct catalog *c, struct err *e)
{
	struct err ignored = ERR_INIT;
	uint64_t generation;

	w->fetch = fetch_new(w->repo, e);
	if (w->fetch == NULL)
		return -1;
	if (index_refresh(w->repo->index, &generation, &ignored) < 0 &&
	    err_passing(&ignored)) {
		*e = ignored;
		return -1;
	}
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].segment_count; k++)
			index_open_segment(w->repo->index,
					   c->sets[i].segments[k], &ignored);
	return 0;
}

static void walk_fini(struct walk *w)
{
	fetch_free(w->fetch);
	usage_fini(&w->usage);
	free(w->name_of);
}

int stats_run(struct repo *r, const struct catalog *c,
	      const struct stats_options *o, struct stats_result *result,
	      struct err *e)
{
	AUTO(walk_fini)
	struct walk w = { .repo = r, .o = o, .result = result };

	memset(result, 0, sizeof(*result));
	list_points(c, result);
	list_names(&w);
	if (open_index(&w, c, e) < 0)
		return -1;
	for (uint32_t i = 0; i < result->point_count; i++)
		if (take_point(&w, i, e) < 0)
			return -1;
	sum_points(&w);
	if (sum_packs(&w, e) < 0)
		return -1;
	return store_list(r->store, "", sum_object, result, e);
}

void stats_result_fini(struct stats_result *r)
{
	free(r->points);
	free(r->names);
	memset(r, 0, sizeof(*r));
}
