/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/collect_internal.h"

/*
 * Everything here may have been done by others, in part, or be done by others
 * at the same time.  Nothing is deleted because it is old: a pack goes because
 * a published generation dooms it, all else because of what stands in the
 * generations n and n - 1, or because it belongs to a session that is gone.
 */

/* The names that n and n - 1 list, to look them up. */
struct listed {
	const char **names;
	size_t count;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void listed_add(struct listed *l, const struct generation *g)
{
	l->names = mem_grow(l->names, l->count + g->segment_count + 1,
			    sizeof(char *));
	for (size_t i = 0; i < g->segment_count; i++)
		l->names[l->count++] = g->segments[i].name;
}

static bool listed_has(const struct listed *l, const char *name)
{
	return l->count > 0 && bsearch(&name, l->names, l->count,
				       sizeof(char *), by_text) != NULL;
}

int drop(struct collect *c, const char *name, struct err *e)
{
	if (store_del(c->repo->store, name, e) == 0)
		return 1;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	return 0;
}

/* ---- packs ------------------------------------------------------------- */

static int drop_pack(struct collect *c, const struct pack_locations *p,
		     struct err *e)
{
	char name[PACK_NAME];
	struct store_stat st;

	pack_name(p->class, &p->pack, name);
	if (store_stat(c->repo->store, name, &st, e) < 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	int dropped = drop(c, name, e);

	if (dropped == 1) {
		c->result->packs++;
		c->result->bytes += st.size;
	}
	return dropped < 0 ? -1 : 0;
}

static int drop_packs(struct collect *c, const struct generation *g,
		      struct err *e)
{
	for (size_t i = 0; i < g->doomed.count; i++)
		if (g->doomed.packs[i].whole &&
		    drop_pack(c, &g->doomed.packs[i], e) < 0)
			return -1;
	return 0;
}

/* ---- what sessions have left -------------------------------------------- */

/* Before generation n - 1, and ended. */
static bool is_past(const struct known *k, uint64_t n)
{
	return k->ended != ENDED_NOT && is_dated(k) &&
	       dated_generation(k) + 1 < n;
}

/* Is its session past, or gone?  1, 0, -1. */
static int is_over(struct collect *c, const char *name, uint64_t n,
		   struct err *e)
{
	struct id id;

	if (!name_id(name, &id))
		return 0;
	const struct known *k = known_find(c, &id);

	if (k != NULL && k->listed)
		return is_past(k, n);
	return session_gone(c, &id, e);
}

static int drop_if_over(struct collect *c, const char *name, uint64_t n,
			struct err *e)
{
	int over = is_over(c, name, n, e);

	return over == 1 ? drop(c, name, e) : over;
}

static void hold(struct collect *c, const char *segment)
{
	struct id id;
	struct known *k = name_id(segment, &id) ? known_find(c, &id) : NULL;

	if (k != NULL)
		k->holds = true;
}

static int drop_left(struct collect *c, const struct generation *g,
		     const struct listed *l, struct err *e)
{
	for (size_t i = 0; i < c->segments.count; i++) {
		const char *name = c->segments.items[i];

		if (listed_has(l, name))
			hold(c, name);
		else if (drop_if_over(c, name, g->number, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->beats.count; i++)
		if (drop_if_over(c, c->beats.items[i], g->number, e) < 0)
			return -1;
	return 0;
}

/* ---- sessions ----------------------------------------------------------- */

static int drop_tombs_of(struct collect *c, const struct id *set, struct err *e)
{
	for (size_t i = 0; i < c->tombs.count; i++) {
		const struct tomb *t = &c->tombs.items[i];
		char name[TOMB_NAME];

		if (!same_id(&t->set, set))
			continue;
		tomb_name(&t->point, t->scope, name);
		if (drop(c, name, e) < 0)
			return -1;
	}
	return 0;
}

/* The session first: from then on nobody takes the set for valid.  (It stays
 * as long as a segment of it does, so that it is known whose that is.) */
static int drop_session(struct collect *c, struct known *k, struct err *e)
{
	char name[OUTCOME_NAME];

	session_name(&k->id, name);
	if (drop(c, name, e) < 0)
		return -1;
	k->listed = false;
	outcome_name(&k->id, name);
	int dropped = drop(c, name, e);

	if (dropped < 0)
		return -1;
	if (dropped == 1)
		c->result->points += k->set.point_count;
	return drop_tombs_of(c, &k->id, e);
}

/* An outcome whose session is gone, and seen to be gone. */
static int drop_outcome(struct collect *c, const struct known *k, struct err *e)
{
	char name[OUTCOME_NAME];
	int gone = session_gone(c, &k->id, e);

	if (gone <= 0)
		return gone;
	outcome_name(&k->id, name);
	if (drop(c, name, e) < 0)
		return -1;
	return drop_tombs_of(c, &k->id, e);
}

static int drop_sessions(struct collect *c, uint64_t n, struct err *e)
{
	for (size_t i = 0; i < c->known_count; i++) {
		struct known *k = &c->known[i];
		bool spent = k->listed && is_past(k, n) && is_spent(c, k) &&
			     !k->holds;
		bool lost = !k->listed && k->ended != ENDED_NOT && !k->dropped;

		if (spent && drop_session(c, k, e) < 0)
			return -1;
		if (lost && drop_outcome(c, k, e) < 0)
			return -1;
		k->dropped |= spent || lost;
	}
	return 0;
}

/* Tombs of sets that have gone altogether. */
static int drop_tombs(struct collect *c, struct err *e)
{
	for (size_t i = 0; i < c->tombs.count; i++) {
		const struct tomb *t = &c->tombs.items[i];
		const struct known *k = known_find(c, &t->set);
		char name[TOMB_NAME];

		if (k != NULL && (k->listed || k->ended != ENDED_NOT))
			continue;
		int gone = session_gone(c, &t->set, e);

		tomb_name(&t->point, t->scope, name);
		if (gone < 0 || (gone == 1 && drop(c, name, e) < 0))
			return -1;
	}
	return 0;
}

/* ---- generations -------------------------------------------------------- */

static int drop_generations(struct collect *c, uint64_t n, struct err *e)
{
	AUTO(names_fini) struct names all = { NULL, 0, 0 };
	char least[GENERATION_NAME];

	if (n < 2)
		return 0;
	generation_name(n - 1, least);
	if (names_list(c, "gen/", &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.count; i++)
		if (strlen(all.items[i]) == strlen(least) &&
		    strcmp(all.items[i], least) < 0 &&
		    drop(c, all.items[i], e) < 0)
			return -1;
	return 0;
}

/* ---- all ---------------------------------------------------------------- */

/*
 * Segments of sessions that are gone may be a collector's, and listed by now,
 * where we are late: only while n is still the newest, after sessions were
 * listed, a session that is gone is one of before n - 1.
 */
static int still_newest(struct collect *c, uint64_t n, struct err *e)
{
	uint64_t newest;

	if (generation_newest(c->repo->store, &newest, e) < 0)
		return -1;
	return newest == n;
}

int clean_up(struct collect *c, const struct generation *g,
	     const struct generation *before, struct err *e)
{
	struct listed l = { NULL, 0 };
	int newest = still_newest(c, g->number, e);

	if (newest <= 0)
		return newest;
	listed_add(&l, g);
	listed_add(&l, before);
	qsort(l.names, l.count, sizeof(char *), by_text);
	int ok = drop_left(c, g, &l, e);

	free(l.names);
	if (ok < 0 || drop_packs(c, g, e) < 0 ||
	    drop_sessions(c, g->number, e) < 0 || drop_tombs(c, e) < 0 ||
	    drop_generations(c, g->number, e) < 0)
		return -1;
	return 1;
}
