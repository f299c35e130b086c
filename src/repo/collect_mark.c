/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/collect_internal.h"
#include "repo/node.h"

/* ---- from an id to an entry --------------------------------------------- */

struct spot {
	struct place place;
	const struct index_segment *segment;
	struct marked *in; /* of the segment */
	uint64_t entry;
	bool damaged; /* noted so: kept, but not to be relied on */
};

/* Is what lies there still there when the next generation is, too? */
static bool will_stay(struct step *s, const struct place *p)
{
	return pack_find(s, &p->pack) != NULL &&
	       !locations_has(&s->now.doomed, &p->pack, p->blob);
}

/*
 * Look-ups of an id.  What n lists comes first, so that it stays where it is;
 * then what n - 1 or a session has; then, in the same order, places that are
 * noted as damaged, or as frail: another copy may be whole, and whole below.
 */
enum phase {
	PHASE_LISTED,
	PHASE_OTHERS,
	PHASE_NOTED,
	PHASE_NOTED_OTHERS,
	PHASES,
};

struct search {
	enum blob_class class;
	const struct hash *id;
	unsigned phase;
	unsigned skip;
	struct err why; /* why nothing was found, where that is known */
};

static bool fits(struct step *s, const struct search *w,
		 const struct index_hit *hit)
{
	bool listed = hit->tier == TIER_INDEX || hit->tier == TIER_FRAIL;

	if (damage_has(&s->damage, &hit->place))
		return w->phase == (listed ? PHASE_NOTED : PHASE_NOTED_OTHERS);
	return w->phase == (listed ? PHASE_LISTED : PHASE_OTHERS);
}

static void fill_spot(struct step *s, const struct index_hit *hit,
		      struct spot *spot)
{
	*spot = (struct spot){
		.place = hit->place,
		.segment = hit->segment,
		.in = marked_of(s, hit->segment),
		.entry = hit->entry,
		.damaged = damage_has_blob(&s->damage, &hit->place.pack,
					   hit->place.blob),
	};
}

/* The next place that stays: 1, or 0. */
static int find_spot(struct step *s, struct search *w, struct spot *spot)
{
	struct index_ask ask = { .generation = s->number };
	struct index_hit hit;

	for (; w->phase < PHASES; w->phase++, w->skip = 0) {
		ask.most = w->phase == PHASE_LISTED && !s->any_frail
				   ? TIER_INDEX
				   : TIER_FRAIL;
		ask.skip = w->skip;
		if (w->phase >= PHASE_NOTED && damage_empty(&s->damage))
			break;
		while (index_find(s->view.index, &ask, w->class, w->id, &hit,
				  &w->why) == 1) {
			w->skip = ++ask.skip;
			if (!fits(s, w, &hit) || !will_stay(s, &hit.place))
				continue;
			fill_spot(s, &hit, spot);
			return 1;
		}
	}
	return 0;
}

static void set_mark(struct spot *spot, bool weak)
{
	struct marked *m = spot->in;
	uint64_t entries = m->about.nodes + m->about.chunks;

	m->count += !bit_get(m->bits, spot->entry);
	bit_set(m->bits, spot->entry);
	if (!weak)
		return;
	if (m->weak == NULL)
		m->weak = mem_zalloc(bit_words(entries) + 1, sizeof(uint64_t));
	m->weak_count += !bit_get(m->weak, spot->entry);
	bit_set(m->weak, spot->entry);
}

static bool is_weak(const struct spot *spot)
{
	return spot->in->weak != NULL && bit_get(spot->in->weak, spot->entry);
}

/* ---- places that cannot be confirmed ------------------------------------ */

/* The first entry of a part whose prefix is not less; by halving. */
static int seek_prefix(const struct marked *m, uint64_t lo, uint64_t hi,
		       const struct hash *id, uint64_t *at, struct err *e)
{
	struct segment_entry_new n;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (index_segment_entries(m->segment, mid, &n, 1, e) < 0)
			return -1;
		if (memcmp(n.prefix, id->b, sizeof(n.prefix)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return 0;
}

static bool is_missing(struct step *s, const struct id *pack)
{
	const struct pack_rec *p = pack_find(s, pack);

	return p != NULL && p->missing;
}

/*
 * An entry that has the id's prefix, in a pack that stays and whose footer is
 * damaged: it is kept, for who says that it can never be read?  A footer that
 * could not be read for another reason is a failure.  1 kept, 0 it is another
 * id's, -1.
 */
static int keep_entry(struct step *s, size_t segment, uint64_t i,
		      const struct segment_entry_new *n, enum blob_class class,
		      const struct hash *id, struct err *e)
{
	struct spot spot = { .in = &s->marked[segment], .entry = i };
	struct segment_pack p;

	if (index_segment_packs(spot.in->segment, n->pack, &p, 1, e) < 0)
		return -1;
	spot.place = (struct place){
		.pack = p.id, .class = class, .blob = n->blob, .slot = n->slot
	};
	if (p.class != class || !will_stay(s, &spot.place))
		return 0;
	int same = footers_check(s->view.footers, &spot.place, id, e);

	if (same < 0 && e->code != ERR_INTEGRITY &&
	    !(e->code == ERR_NOT_FOUND && is_missing(s, &p.id)))
		return -1;
	err_clear(e);
	if (same == 0)
		return 0;
	/* found now, though not before: kept as well */
	set_mark(&spot, true);
	return 1;
}

static int keep_in(struct step *s, size_t segment, enum blob_class class,
		   const struct hash *id, struct err *e)
{
	const struct marked *m = &s->marked[segment];
	uint64_t i = class == BLOB_NODE ? 0 : m->about.nodes;
	uint64_t end =
		m->about.nodes + (class == BLOB_NODE ? 0 : m->about.chunks);
	struct segment_entry_new n;
	int kept = 0;

	if (seek_prefix(m, i, end, id, &i, e) < 0)
		return -1;
	for (; i < end; i++) {
		if (index_segment_entries(m->segment, i, &n, 1, e) < 0)
			return -1;
		if (memcmp(n.prefix, id->b, sizeof(n.prefix)) != 0)
			break;
		int got = keep_entry(s, segment, i, &n, class, id, e);

		if (got < 0)
			return -1;
		kept |= got;
	}
	return kept;
}

/* Nothing was found: what may be it is kept; where n lists it, only there, or
 * the next generation would never be the same as this one. */
static int keep_doubtful(struct step *s, enum blob_class class,
			 const struct hash *id, struct err *e)
{
	int kept = 0;

	for (int listed = 1; listed >= 0 && kept == 0; listed--)
		for (size_t i = 0; i < s->marked_count; i++) {
			int got = s->marked[i].listed == listed
					  ? keep_in(s, i, class, id, e)
					  : 0;

			if (got < 0)
				return -1;
			kept |= got;
		}
	return 0;
}

/* ---- trees --------------------------------------------------------------- */

static bool same_blob(const struct place *a, const struct place *b)
{
	return same_id(&a->pack, &b->pack) && a->blob == b->blob &&
	       a->slot == b->slot;
}

/* Is it the same place as one that was seen?  Then it is not a copy. */
static bool is_seen(struct copies *c, const struct place *p)
{
	for (size_t i = 0; i < c->count; i++)
		if (same_blob(&c->seen[i], p))
			return true;
	if (c->count == c->room) {
		c->room = c->room > 0 ? 2 * c->room : 8;
		c->seen = mem_grow(c->seen, c->room, sizeof(*c->seen));
	}
	c->seen[c->count++] = *p;
	return false;
}

/*
 * Is another copy of a chunk kept as well?  All that n lists are.  Of those
 * that sessions have stored, unless n lists one and the session knew that, or n
 * has given the place up.  What is noted as damaged though its pack is as it
 * was written, for who can tell which copy is the good one?
 */
static bool keeps_copy(struct step *s, const struct spot *spot,
		       enum phase phase, bool listed)
{
	const struct place *p = &spot->place;

	switch (phase) {
	case PHASE_LISTED:
		return true;
	case PHASE_OTHERS:
		return !spot->in->before &&
		       !(listed && spot->in->about.generation == s->number) &&
		       !locations_has(&s->now.condemned, &p->pack, p->blob);
	case PHASE_NOTED:
	case PHASE_NOTED_OTHERS:
		return damage_has_blob(&s->doubted, &p->pack, p->blob);
	case PHASES:
		break;
	}
	return false;
}

/*
 * Whoever can write can store anything under a chunk's id, and a collector,
 * who cannot read, cannot tell.  So where there are several who write, no copy
 * takes the place of another.  (Nodes can be told by their ids.)
 */
static void mark_copies(struct step *s, struct search *w, struct spot *spot)
{
	bool listed = w->phase == PHASE_LISTED;

	s->copies.count = 0;
	is_seen(&s->copies, &spot->place);
	while (find_spot(s, w, spot) == 1)
		if (!is_seen(&s->copies, &spot->place) &&
		    keeps_copy(s, spot, (enum phase)w->phase, listed))
			set_mark(spot, w->phase >= PHASE_NOTED);
}

/* 1 fine, 0 lost or damaged, -1. */
static int mark_chunk(struct step *s, const struct hash *id, struct err *e)
{
	struct search w = { .class = BLOB_DATA, .id = id, .why = ERR_INIT };
	struct spot spot;
	int found = find_spot(s, &w, &spot);
	bool damaged = found == 1 && spot.damaged;

	if (found == 1)
		set_mark(&spot, damaged);
	if (found == 1 && s->many_write)
		mark_copies(s, &w, &spot);
	if (err_passing(&w.why) && (found == 0 || s->many_write)) {
		*e = w.why;
		return -1;
	}
	if (found == 1)
		return !damaged;
	return keep_doubtful(s, BLOB_DATA, id, e) < 0 ? -1 : 0;
}

static int mark_node(struct step *s, const struct hash *id, unsigned level,
		     struct err *e);

static int mark_runs(struct step *s, const struct extent *x, struct err *e)
{
	int fine = 1;

	for (size_t i = 0; i < x->count; i++) {
		int got =
			x->runs[i].hole ? 1 : mark_chunk(s, &x->runs[i].id, e);

		if (got < 0)
			return -1;
		fine &= got;
	}
	return fine;
}

static int mark_extent(struct step *s, const uint8_t *data, size_t size,
		       struct err *e)
{
	autofree struct extent *x = mem_alloc(sizeof(*x));

	if (extent_decode(data, size, x, e) < 0)
		return -1;
	return mark_runs(s, x, e);
}

static int mark_inner(struct step *s, const uint8_t *data, size_t size,
		      unsigned level, struct err *e)
{
	autofree struct inner *n = mem_alloc(sizeof(*n));
	int fine = 1;

	if (inner_decode(data, size, n, e) < 0)
		return -1;
	if (n->level != level)
		return err_set(e, ERR_INTEGRITY, "a node of the wrong level");
	for (size_t i = 0; i < TREE_FANOUT; i++) {
		int got = n->present[i]
				  ? mark_node(s, &n->child[i], level - 1, e)
				  : 1;

		if (got < 0)
			return -1;
		fine &= got;
	}
	return fine;
}

static int no_node(struct step *s, const struct hash *id, struct err *why,
		   struct err *e)
{
	char hex[17];
	bool missing;

	if (why->code == ERR_NONE)
		index_trouble(s->view.index, why);
	missing = why->code == ERR_NONE || why->code == ERR_NOT_FOUND;
	hex_encode(id->b, 8, hex);
	return err_set(e, missing ? ERR_INTEGRITY : why->code,
		       "node %s... cannot be read%s%s", hex,
		       why->msg[0] != '\0' ? ": " : "", why->msg);
}

/* Find the node where it can be read: 1 and its bytes, 2 when it has been
 * marked before, -1. */
static int read_node(struct step *s, const struct hash *id, struct spot *spot,
		     const uint8_t **data, size_t *size, struct err *e)
{
	struct search w = { .class = BLOB_NODE, .id = id, .why = ERR_INIT };

	while (find_spot(s, &w, spot) == 1) {
		if (bit_get(spot->in->bits, spot->entry))
			return 2;
		if (fetch_at(s->fetch, &spot->place, id, data, size, &w.why) ==
		    0)
			return 1;
		if (w.why.code != ERR_INTEGRITY) {
			*e = w.why;
			return -1;
		}
	}
	return no_node(s, id, &w.why, e);
}

/* The depth is bounded by the format: at most TREE_MAX_DEPTH calls deep. */
static int mark_node(struct step *s, const struct hash *id, unsigned level,
		     struct err *e)
{
	const uint8_t *data;
	struct spot spot;
	size_t size;

	if (++s->nodes_seen % 256 == 0 && step_alive(s, e) < 0)
		return -1;
	int got = read_node(s, id, &spot, &data, &size, e);

	if (got == 2)
		return !is_weak(&spot);
	if (got < 0)
		return -1;
	int fine = level == 0 ? mark_extent(s, data, size, e)
			      : mark_inner(s, data, size, level, e);

	if (fine < 0)
		return -1;
	if (damage_has(&s->damage, &spot.place))
		fine = 0;
	/* opening more segments has moved the table */
	spot.in = marked_of(s, spot.segment);
	set_mark(&spot, fine == 0);
	s->c->result->frail += fine == 0;
	return fine;
}

/* ---- points ---------------------------------------------------------------
 */

static int mark_image(struct step *s, const struct point *p,
		      const struct image *image, struct err *e)
{
	if (image->root.hole)
		return 0;
	if (mark_node(s, &image->root.top, image->root.depth, e) >= 0)
		return 0;
	if (e->code != ERR_INTEGRITY)
		return -1;
	char hex[ID_TEXT];

	hex_encode(p->id.b, ID_SIZE, hex);
	return err_ctx(e,
		       "nothing was collected, for '%s' of point %.12s of '%s' "
		       "is damaged ('vmkeep repair', back it up once more, or "
		       "'vmkeep forget %.12s')",
		       image->name, hex, p->name, hex);
}

static int mark_point(struct step *s, const struct set *set,
		      const struct point *p, struct err *e)
{
	const struct tombs *t = &s->c->tombs;
	bool no_ram = tombs_find(t, &set->session, &p->id, TOMB_RAM) != NULL;

	if (tombs_find(t, &set->session, &p->id, TOMB_POINT) != NULL)
		return 0;
	for (size_t i = 0; i < p->image_count; i++)
		if (!(no_ram && image_is_ram(&p->images[i])) &&
		    mark_image(s, p, &p->images[i], e) < 0)
			return -1;
	return 0;
}

static int mark_set(struct step *s, const struct set *set, struct err *e)
{
	for (size_t i = 0; i < set->point_count; i++)
		if (mark_point(s, set, &set->points[i], e) < 0)
			return -1;
	return 0;
}

int mark_all(struct step *s, struct err *e)
{
	struct collect *c = s->c;

	for (size_t i = 0; i < c->known_count; i++) {
		struct known *k = &c->known[i];
		int valid = known_valid(c, k, e);

		talk_progress(c->o.talk, "points", i, c->known_count);
		if (valid < 0 || step_alive(s, e) < 0 ||
		    (valid == 1 && mark_set(s, &k->set, e) < 0))
			return -1;
	}
	return 0;
}
