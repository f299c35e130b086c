/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/generation.h"
#include "repo/idset.h"
#include "repo/issued.h"
#include "repo/obj.h"
#include "repo/session.h"
#include "repo/tomb.h"
#include "repo/verify_internal.h"

/* Entries of a segment's table that are read at once. */
#define BATCH 1024

/* ---- what a list of the store shows ---------------------------------- */

/* Small objects by name, data keys that are whole. */
struct seen {
	struct verify *v;
	char **names;
	size_t count, room;
	struct idset keys;
	bool key_unread; /* some may be whole, and not in keys */
};

static void seen_fini(struct seen *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->names[i]);
	free(s->names);
	idset_fini(&s->keys);
}

static bool starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* "data/7f/7f00..." */
static bool pack_of(const char *name, struct id *pack)
{
	return strlen(name) == 5 + 3 + 2 * ID_SIZE &&
	       hex_decode(name + 8, pack->b, ID_SIZE);
}

static int see(void *ctx, const char *name, const struct store_stat *st,
	       struct err *e)
{
	struct seen *s = ctx;
	struct usage_pack *p = NULL;
	struct id pack;

	(void)e;
	if (starts(name, "data/") || starts(name, "meta/")) {
		if (pack_of(name, &pack))
			p = usage_find(&s->v->usage, &pack);
		if (p != NULL && (p->class == BLOB_NODE) == starts(name, "m"))
			p->seen = (uint32_t)num_min(st->size, UINT32_MAX);
		return 0;
	}
	if (s->count == s->room) {
		s->room = s->room > 0 ? 2 * s->room : 64;
		s->names = mem_grow(s->names, s->room, sizeof(char *));
	}
	s->names[s->count++] = mem_strdup(name);
	return 0;
}

static bool has_name(const struct seen *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->names[i], name) == 0)
			return true;
	return false;
}

/* ---- small objects --------------------------------------------------- */

static int check_generation(struct seen *s, const char *name, struct err *e)
{
	AUTO(generation_fini) struct generation g = { 0 };
	struct repo *r = s->v->repo;
	char *end;
	uint64_t number = strtoull(name + 4, &end, 16);

	if (*end != '\0')
		return 0; /* nobody's */
	return generation_load(r->store, r->keys, number, &g, e);
}

static int check_session(struct seen *s, const char *name, struct err *e)
{
	AUTO(session_record_fini) struct session_record rec = { .host = NULL };

	return session_load(s->v->repo, name, &rec, e);
}

static int check_ring(struct seen *s, const char *name, struct err *e)
{
	struct id key, session;

	if (data_key_session(s->v->repo, name, &key, &session, e) < 0)
		return -1;
	idset_add(&s->keys, key.b);
	return 0;
}

static int check_note(struct seen *s, const char *name, struct err *e)
{
	AUTO(damage_fini) struct damage d = { .count = 0 };

	return damage_load_note(s->v->repo, name, &d, e);
}

static int check_checked(struct seen *s, const char *name, struct err *e)
{
	return checked_check(s->v->repo, name, e);
}

/* A data key that nothing in use needs is no loss; a box for one more reader
 * is. */
static enum verify_kind kind_of(const char *name)
{
	return starts(name, "ring/") && strchr(name, '-') == NULL
		       ? VERIFY_KEY
		       : VERIFY_SMALL;
}

static void check_small(struct seen *s)
{
	static const struct {
		const char *prefix;
		int (*check)(struct seen *s, const char *name, struct err *e);
	} kinds[] = {
		{ "gen/", check_generation },
		{ "sess/", check_session },
		{ "ring/", check_ring },
		{ DAMAGE_PREFIX, check_note },
		{ CHECKED_PREFIX, check_checked },
	};

	for (size_t i = 0; i < s->count; i++) {
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			struct err e = ERR_INIT;

			if (!starts(s->names[i], kinds[k].prefix) ||
			    kinds[k].check(s, s->names[i], &e) == 0)
				continue;
			s->key_unread |= kind_of(s->names[i]) == VERIFY_KEY &&
					 err_passing(&e);
			if (e.code != ERR_NOT_FOUND) /* gone since */
				verify_object_failed(s->v, s->names[i],
						     kind_of(s->names[i]), &e);
		}
	}
}

/* Those that were read as a whole, by others. */
static int check_lists(struct seen *s, struct err *e)
{
	AUTO(slots_fini) struct slots slots = { .count = 0 };
	AUTO(tombs_fini) struct tombs tombs = { .count = 0 };
	const struct issued *issued = s->v->repo->issued;
	struct repo *r = s->v->repo;
	struct err why = ERR_INIT;

	if (slots_list(r->store, &slots, e) < 0 || tombs_load(r, &tombs, e) < 0)
		return -1;
	err_set(&why, ERR_INTEGRITY, "it is damaged");
	for (size_t i = 0; i < slots.count; i++)
		if (slots.slots[i].damaged)
			verify_object_bad(s->v, slots.slots[i].name,
					  VERIFY_SMALL, NULL, &why);
	for (size_t i = 0; issued != NULL && i < issued->damaged_count; i++)
		verify_object_bad(s->v, issued->damaged[i], VERIFY_SMALL, NULL,
				  &why);
	for (size_t i = 0; i < tombs.trouble_count; i++) {
		err_set(&why, ERR_INTEGRITY, "%s", tombs.troubles[i].msg);
		verify_object_bad(s->v, tombs.troubles[i].name, VERIFY_SMALL,
				  NULL, &why);
	}
	return 0;
}

/* ---- segments -------------------------------------------------------- */

/* As it is in the store, whatever the cache has. */
static int check_stored(struct verify *v, const char *name, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct repo *r = v->repo;
	struct segment s;

	if (obj_load(r->store, r->keys, name, SIGN_WRITE | SIGN_KEEP,
		     OBJECT_MAX_SEGMENT, &b, e) < 0)
		return -1;
	return segment_parse(b.p, b.len, &s, e);
}

static void take_pack(struct verify *v, const struct segment_pack *p)
{
	struct usage_pack *u = usage_add(&v->usage, p->class, &p->id);

	u->size = p->size;
	u->key = p->key;
}

static int take_table(struct verify *v, const char *name, struct err *e)
{
	const struct index_segment *s =
		index_segment_named(v->repo->index, name);
	autofree struct segment_pack *packs = mem_alloc(BATCH * sizeof(*packs));
	struct index_about about;

	if (s == NULL)
		return 0;
	index_segment_about(s, &about);
	for (uint32_t at = 0; at < about.packs;) {
		uint32_t n = (uint32_t)num_min(BATCH, about.packs - at);

		if (index_segment_packs(s, at, packs, n, e) < 0)
			return -1;
		for (uint32_t i = 0; i < n; i++)
			take_pack(v, &packs[i]);
		at += n;
	}
	return 0;
}

/* gone: it may be, for a collector has merged it into the index of a later
 * generation. */
static void check_segment(struct verify *v, const char *name, bool gone,
			  struct idset *seen)
{
	struct err e = ERR_INIT;
	struct hash sum;

	hash_sha256(name, strlen(name), &sum);
	if (!idset_add(seen, sum.b))
		return;
	if (index_open_segment(v->repo->index, name, &e) == 0 &&
	    (v->repo->cache_dir == NULL || check_stored(v, name, &e) == 0) &&
	    take_table(v, name, &e) == 0)
		return;
	if (e.code == ERR_NOT_FOUND && gone)
		return;
	v->suspicious |= !err_passing(&e);
	verify_object_failed(v, name, VERIFY_SMALL, &e);
}

static void check_listed(struct verify *v, const struct generation *g,
			 struct idset *seen)
{
	for (size_t i = 0; i < g->segment_count; i++)
		check_segment(v, g->segments[i].name, false, seen);
}

static void check_sets(struct verify *v, struct idset *seen)
{
	const struct catalog *c = v->catalog;

	for (size_t i = 0; i < c->count; i++) {
		const struct set *set = &c->sets[i];

		for (size_t k = 0; k < set->segment_count; k++)
			check_segment(v, set->segments[k],
				      set->generation + 1 < v->generation,
				      seen);
	}
}

/* Without the newest generation all segments there are may help. */
static int open_index(struct verify *v, struct generation *g, struct err *e)
{
	struct repo *r = v->repo;

	if (index_refresh(r->index, &v->generation, e) == 0 &&
	    generation_load(r->store, r->keys, v->generation, g, e) == 0)
		return 0;
	if (e->code != ERR_INTEGRITY && e->code != ERR_NOT_FOUND)
		return -1;
	v->suspicious = true;
	verify_object_bad(v, "gen/", VERIFY_SMALL, NULL, e);
	err_clear(e);
	return index_open_sessions(r->index, e);
}

static int check_index(struct verify *v, struct err *e)
{
	AUTO(generation_fini) struct generation g = { 0 };
	struct idset seen = IDSET_INIT;

	if (open_index(v, &g, e) < 0)
		return -1;
	check_listed(v, &g, &seen);
	check_sets(v, &seen);
	idset_fini(&seen);
	return 0;
}

/* ---- packs, as far as the list shows them ---------------------------- */

static void bad_pack(struct verify *v, const struct usage_pack *p,
		     const struct err *why)
{
	char name[PACK_NAME];

	pack_name(p->class, &p->id, name);
	v->suspicious = true;
	damage_add_pack(&v->bad, p->class, &p->id);
	if (p->seen != 0) /* a pack that is not there needs no note */
		damage_add_pack(&v->found, p->class, &p->id);
	verify_object_bad(v, name, VERIFY_PACK_LOST, &p->id, why);
}

static void check_size(struct verify *v, const struct usage_pack *p)
{
	struct err e = ERR_INIT;

	if (p->seen == p->size)
		return;
	if (p->seen == 0)
		err_set(&e, ERR_INTEGRITY, "it is missing, or empty");
	else
		err_set(&e, ERR_INTEGRITY,
			"it has %" PRIu32 " bytes instead of %" PRIu32, p->seen,
			p->size);
	bad_pack(v, p, &e);
}

/* A data key that is lost is as bad as all that is sealed under it. */
static void check_key(struct seen *s, const struct usage_pack *p,
		      struct idset *lost)
{
	struct verify *v = s->v;
	struct err e = ERR_INIT;
	char hex[ID_TEXT];
	char name[64];

	if (bytes_zero(p->key.b, ID_SIZE) || idset_has(&s->keys, p->key.b))
		return;
	hex_encode(p->key.b, ID_SIZE, hex);
	snprintf(name, sizeof(name), "ring/%s", hex);
	if (s->key_unread && has_name(s, name))
		return;
	v->suspicious = true;
	damage_add_pack(&v->bad, p->class, &p->id);
	damage_add_pack(&v->found, p->class, &p->id);
	if (!idset_add(lost, p->key.b))
		return;
	err_set(&e, ERR_INTEGRITY,
		"this data key is lost, and all that is sealed under it");
	if (!has_name(s, name))
		verify_object_bad(v, name, VERIFY_KEY, &p->key, &e);
}

static void check_packs(struct seen *s)
{
	struct verify *v = s->v;
	struct idset lost = IDSET_INIT;

	for (size_t i = 0; i < v->usage.count; i++) {
		check_size(v, &v->usage.packs[i]);
		if (v->usage.packs[i].seen != 0)
			check_key(s, &v->usage.packs[i], &lost);
	}
	idset_fini(&lost);
}

/* ---- sets ------------------------------------------------------------ */

static void damaged_sets(struct verify *v)
{
	const struct catalog *c = v->catalog;

	for (size_t i = 0; i < c->damaged_count; i++) {
		struct err e = ERR_INIT;

		err_set(&e, ERR_INTEGRITY, "%s", c->damaged[i].msg);
		verify_object_bad(v, c->damaged[i].object, VERIFY_SMALL, NULL,
				  &e);
	}
}

/*
 * A set without its session does not count, and a collector deletes it.  That
 * is how it forgets one, but then all its points have tombs, which go last.
 */
static void check_orphan(struct seen *s, const char *name,
			 const struct tombs *tombs)
{
	AUTO(set_fini) struct set set = { .point_count = 0 };
	struct err e = ERR_INIT;
	char session[OUTCOME_NAME];

	snprintf(session, sizeof(session), "sess/%s", name + strlen("points/"));
	if (has_name(s, session))
		return;
	int got = outcome_load(s->v->repo, name, &set, &e);

	if (got < 0 && err_passing(&e))
		verify_unread(s->v, &e);
	if (got != 1)
		return;
	for (size_t i = 0; i < set.point_count; i++) {
		if (tombs_find(tombs, &set.session, &set.points[i].id,
			       TOMB_POINT) != NULL)
			continue;
		err_set(&e, ERR_INTEGRITY,
			"it is lost, and so '%s' does not count: put it back "
			"from a copy of the repository before the next "
			"'vmkeep gc'",
			name);
		verify_object_bad(s->v, session, VERIFY_SMALL, NULL, &e);
		return;
	}
}

static int check_orphans(struct seen *s, struct err *e)
{
	AUTO(tombs_fini) struct tombs tombs = { .count = 0 };

	if (tombs_load(s->v->repo, &tombs, e) < 0)
		return -1;
	for (size_t i = 0; i < s->count; i++)
		if (starts(s->names[i], "points/"))
			check_orphan(s, s->names[i], &tombs);
	return 0;
}

/* ---- all ------------------------------------------------------------- */

int verify_objects(struct verify *v, struct err *e)
{
	AUTO(seen_fini) struct seen s = { .v = v };

	if (check_index(v, e) < 0 || store_list(v->repo->store, "", see, &s, e))
		return -1;
	check_small(&s);
	check_packs(&s);
	if (v->o->only != NULL)
		return 0;
	damaged_sets(v);
	return check_lists(&s, e) < 0 ? -1 : check_orphans(&s, e);
}
