/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/hash.h"
#include "repo/collect_internal.h"

/*
 * What one step has made its index of is in use in the next one, too, when all
 * points that it marked are still there: only those that came since must be
 * walked.  So the steps that let the condemned go, one after the other, do not
 * read every tree again.  Marks are carried only from a step of this process
 * whose generation is the newest.
 */

/* A point, as far as it matters what it needs. */
static void point_key(const struct collect *c, const struct set *set,
		      const struct point *p, struct hash *key)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	const struct tomb *ram =
		tombs_find(&c->tombs, &set->session, &p->id, TOMB_RAM);

	wr_bytes(&b, set->session.b, ID_SIZE);
	wr_bytes(&b, p->id.b, ID_SIZE);
	wr_u8(&b, ram != NULL);
	hash_sha256(b.p, b.len, key);
}

static void add_set(const struct collect *c, const struct set *set,
		    struct idset *to)
{
	for (size_t i = 0; i < set->point_count; i++) {
		const struct point *p = &set->points[i];
		struct hash key;

		if (tombs_find(&c->tombs, &set->session, &p->id, TOMB_POINT) !=
		    NULL)
			continue;
		point_key(c, set, p, &key);
		idset_add(to, key.b);
	}
}

/* Every point that there is. */
static int list_points(struct collect *c, struct idset *to, struct err *e)
{
	for (size_t i = 0; i < c->known_count; i++) {
		int valid = known_valid(c, &c->known[i], e);

		if (valid < 0)
			return -1;
		if (valid == 1)
			add_set(c, &c->known[i].set, to);
	}
	return 0;
}

static bool holds_all(const struct idset *all, const struct idset *some)
{
	for (size_t i = 0; i < some->room; i++)
		if (!bytes_zero(some->table[i].b, ID_SIZE) &&
		    !idset_has(all, some->table[i].b))
			return false;
	return true;
}

/* Are all packs there that a segment names?  1, 0, -1. */
static int packs_there(struct step *s, const struct marked *m, struct err *e)
{
	struct segment_pack p;

	for (uint32_t i = 0; i < m->about.packs; i++) {
		if (index_segment_packs(m->segment, i, &p, 1, e) < 0)
			return -1;
		if (pack_find(s, &p.id) == NULL)
			return 0;
	}
	return 1;
}

/* A point that came since, of a session that did not know n's index: what it
 * has stored may be another copy of what that lists. */
static int any_late(struct step *s, struct err *e)
{
	struct collect *c = s->c;

	for (size_t i = 0; i < c->known_count; i++) {
		struct known *k = &c->known[i];
		AUTO(idset_fini) struct idset points = IDSET_INIT;
		int valid = known_valid(c, k, e);

		if (valid < 0)
			return -1;
		if (valid == 0 || k->set.generation >= s->number)
			continue;
		add_set(c, &k->set, &points);
		if (!holds_all(&c->carried.points, &points))
			return 1;
	}
	return 0;
}

/* 1 when marks may be carried. */
static int is_unchanged(struct step *s, struct err *e)
{
	const struct collect *c = s->c;

	if (c->carried.generation != s->number || s->number == 0 ||
	    s->lost_index || !damage_empty(&s->damage) ||
	    !holds_all(&s->points, &c->carried.points))
		return 0;
	for (size_t i = 0; i < s->marked_count; i++) {
		int there = s->marked[i].listed
				    ? packs_there(s, &s->marked[i], e)
				    : 1;

		if (there <= 0)
			return there;
	}
	int late = s->many_write ? any_late(s, e) : 0;

	return late < 0 ? -1 : !late;
}

static void mark_whole(struct marked *m)
{
	uint64_t entries = m->about.nodes + m->about.chunks;

	for (uint64_t i = 0; i < entries; i++)
		bit_set(m->bits, i);
	m->count = entries;
	if (!m->frail)
		return;
	m->weak = mem_dup(m->bits, (bit_words(entries) + 1) * sizeof(uint64_t));
	m->weak_count = entries;
}

int carry_in(struct step *s, struct err *e)
{
	if (list_points(s->c, &s->points, e) < 0)
		return -1;
	int same = is_unchanged(s, e);

	if (same < 0)
		return -1;
	if (same == 0)
		s->c->result->frail = 0;
	for (size_t i = 0; same == 1 && i < s->marked_count; i++)
		if (s->marked[i].listed)
			mark_whole(&s->marked[i]);
	return 0;
}

void carry_out(struct step *s)
{
	struct carried *to = &s->c->carried;

	idset_fini(&to->points);
	*to = (struct carried){ .generation = s->next.number,
				.points = s->points };
	s->points = (struct idset)IDSET_INIT;
	/* what is lost may be found again: no carrying above it */
	if (s->c->result->frail > 0 || !damage_empty(&s->damage))
		to->generation = 0;
}
