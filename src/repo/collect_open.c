/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/collect_internal.h"
#include "repo/issued.h"

/* ---- segments ---------------------------------------------------------- */

static size_t hash_of(const void *p, size_t room)
{
	return (size_t)(((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15u >> 32) &
	       (room - 1);
}

static void hash_put(struct step *s, const void *p, uint32_t number)
{
	size_t i = hash_of(p, s->marked_room);

	while (s->marked_hash[i] != NULL)
		i = (i + 1) & (s->marked_room - 1);
	s->marked_hash[i] = p;
	s->marked_number[i] = number;
}

static void hash_grow(struct step *s)
{
	s->marked_room = s->marked_room > 0 ? 2 * s->marked_room : 64;
	free(s->marked_hash);
	free(s->marked_number);
	s->marked_hash = mem_zalloc(s->marked_room, sizeof(void *));
	s->marked_number =
		mem_zalloc(s->marked_room, sizeof(*s->marked_number));
	for (size_t i = 0; i < s->marked_count; i++)
		hash_put(s, s->marked[i].segment, (uint32_t)i);
}

static struct marked *marked_new(struct step *s,
				 const struct index_segment *segment)
{
	if (2 * (s->marked_count + 1) > s->marked_room)
		hash_grow(s);
	s->marked =
		mem_grow(s->marked, s->marked_count + 1, sizeof(*s->marked));
	struct marked *m = &s->marked[s->marked_count];

	*m = (struct marked){ .segment = segment };
	index_segment_about(segment, &m->about);
	m->bits = mem_zalloc(bit_words(m->about.nodes + m->about.chunks) + 1,
			     sizeof(uint64_t));
	hash_put(s, segment, (uint32_t)s->marked_count++);
	return m;
}

struct marked *marked_of(struct step *s, const struct index_segment *segment)
{
	size_t i = s->marked_room > 0 ? hash_of(segment, s->marked_room) : 0;

	while (s->marked_room > 0 && s->marked_hash[i] != NULL) {
		if (s->marked_hash[i] == segment)
			return &s->marked[s->marked_number[i]];
		i = (i + 1) & (s->marked_room - 1);
	}
	return marked_new(s, segment);
}

void mark_fini(struct step *s)
{
	for (size_t i = 0; i < s->marked_count; i++) {
		free(s->marked[i].bits);
		free(s->marked[i].weak);
		free(s->marked[i].packs);
	}
	free(s->marked);
	free(s->marked_hash);
	free(s->marked_number);
}

static int open_segment(struct step *s, const char *name, struct marked **m,
			struct err *e)
{
	if (index_open_segment(s->view.index, name, e) < 0) {
		/* another collector may have been faster */
		if (e->code == ERR_INTEGRITY || e->code == ERR_REFUSED)
			err_ctx(e, "nothing was collected, for a part of the "
				   "index cannot be read (see 'vmkeep "
				   "verify' and 'vmkeep repair')");
		return -1;
	}
	*m = marked_of(s, index_segment_named(s->view.index, name));
	return 0;
}

/* Has this set what repair made of all footers?  Only a keeper can have signed
 * that.  1, 0, -1. */
static int is_rebuilt(struct step *s, const struct set *set, struct err *e)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		struct marked *m;

		if (open_segment(s, set->segments[i], &m, e) < 0)
			return -1;
		if (m->about.generation != SEGMENT_COLLECTED ||
		    !same_id(&m->about.session, &set->session))
			return 0;
	}
	return set->segment_count > 0;
}

/*
 * Segments of generation g are lost.  Where all footers were read while g, or a
 * later one, was the newest, what they named is found without them: blobs that
 * were given up before are found as well, and are as good as others unless n
 * dooms them.  1, 0, -1.
 */
static int was_rebuilt(struct step *s, uint64_t g, struct err *e)
{
	struct collect *c = s->c;
	int rebuilt = 0;

	for (size_t i = 0; rebuilt == 0 && i < c->known_count; i++) {
		struct known *k = &c->known[i];
		int valid = known_valid(c, k, e);

		if (valid < 0)
			return -1;
		if (valid == 1 && k->set.point_count == 0 &&
		    k->set.generation >= g)
			rebuilt = is_rebuilt(s, &k->set, e);
	}
	return rebuilt;
}

/* 1 open, 0 it is lost and can be done without, -1. */
static int open_one(struct step *s, const struct generation *g, size_t i,
		    struct marked **m, struct err *e)
{
	struct err why = ERR_INIT;

	if (open_segment(s, g->segments[i].name, m, &why) == 0)
		return 1;
	int rebuilt = why.code == ERR_INTEGRITY || why.code == ERR_NOT_FOUND
			      ? was_rebuilt(s, g->number, e)
			      : 0;

	if (rebuilt == 0)
		*e = why;
	s->lost_index |= rebuilt == 1;
	return rebuilt == 1 ? 0 : -1;
}

static int open_listed(struct step *s, const struct generation *g, bool now,
		       struct err *e)
{
	for (size_t i = 0; i < g->segment_count; i++) {
		struct marked *m;
		int open = open_one(s, g, i, &m, e);

		if (open < 0)
			return -1;
		if (open == 0)
			continue;
		m->listed |= now;
		m->frail |= now && g->segments[i].frail;
		s->any_frail |= m->frail;
		m->before |= !now;
	}
	return 0;
}

/* What a set of an earlier generation leans on is in the index by now. */
static int open_leans(struct step *s, const struct set *set, struct err *e)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		struct marked *m;

		if (open_segment(s, set->segments[i], &m, e) < 0)
			return err_ctx(e, "set '%s'", set->segments[i]);
	}
	return 0;
}

/* A repair is a set without points: what it has stored again is looked up. */
static bool is_of_use(const struct collect *c, const struct known *k)
{
	return k->set.point_count == 0 || points_left(c, k) > 0;
}

/* ---- notes of damage -----------------------------------------------------
 */

/* Can several keys write?  Removed ones could. */
static bool many_write(const struct issued *known)
{
	size_t count = 0;

	for (size_t i = 0; known != NULL && i < known->count; i++)
		count += known->keys[i].role == ROLE_OWNER ||
			 known->keys[i].role == ROLE_WRITER;
	return known == NULL || count != 1 || known->damaged_count > 0;
}

static bool has_key(const struct collect *c, const struct id *key)
{
	struct id id;

	for (size_t i = 0; i < c->rings.count; i++)
		if (name_id(c->rings.items[i], &id) && same_id(&id, key))
			return true;
	return false;
}

/* Are the data keys there that its blobs need? */
static bool has_keys(const struct collect *c, const struct footer_use *use)
{
	bool has = true;

	for (uint32_t i = 0; i < use->footer.blob_count && has; i++) {
		const struct blob *b = &use->footer.blobs[i];

		has = has_key(c, b->moved ? &b->origin.key : &use->header.key);
	}
	return has;
}

/* Is all there that whoever wrote the pack has put?  1, 0, -1. */
static int is_as_written(struct step *s, const struct id *pack, struct err *e)
{
	const struct footer_use *use =
		footers_get(s->view.footers, BLOB_DATA, pack, e);
	autofree uint8_t *data = NULL;

	if (use == NULL) {
		if (err_passing(e))
			return -1;
		err_clear(e);
		return 0;
	}
	int whole = pack_load(s, use, &data, e);

	if (whole == 1)
		whole = has_keys(s->c, use);
	footers_put(s->view.footers, use);
	if (whole < 0 && !err_passing(e)) {
		err_clear(e);
		return 0;
	}
	return whole;
}

/*
 * Nobody signs a note: it must not make us give up a place that is whole.  A
 * pack of chunks that is as it was written is doubted only by who can read, or
 * lies.
 */
static int load_notes(struct step *s, struct err *e)
{
	const struct locations *l = &s->damage.places;

	if (damage_load(s->c->repo, &s->damage, e) < 0)
		return -1;
	for (size_t i = 0; i < l->count && s->many_write; i++) {
		const struct pack_locations *p = &l->packs[i];
		int written = p->class == BLOB_DATA
				      ? is_as_written(s, &p->pack, e)
				      : 0;

		if (written < 0 || step_alive(s, e) < 0)
			return -1;
		if (written == 0)
			continue;
		if (p->whole)
			damage_add_pack(&s->doubted, p->class, &p->pack);
		for (uint32_t k = 0; k < p->count; k++)
			damage_add_blob(&s->doubted, p->class, &p->pack,
					p->blobs[k]);
	}
	damage_sort(&s->doubted);
	return 0;
}

int mark_open(struct step *s, struct err *e)
{
	struct collect *c = s->c;
	uint64_t number;

	s->many_write = many_write(c->repo->issued);
	if (index_refresh(s->view.index, &number, e) < 0 ||
	    load_notes(s, e) < 0)
		return -1;
	if (number != s->number)
		return err_set(e, ERR_NOT_FOUND, "the generation has moved");
	if (open_listed(s, &s->now, true, e) < 0 ||
	    open_listed(s, &s->before, false, e) < 0)
		return -1;
	for (size_t i = 0; i < c->known_count; i++) {
		struct known *k = &c->known[i];
		int valid = known_valid(c, k, e);

		if (valid < 0)
			return -1;
		if (valid == 1 && is_of_use(c, k) &&
		    k->set.generation + 1 >= s->number &&
		    open_leans(s, &k->set, e) < 0)
			return -1;
	}
	return packs_missing(s, e);
}
