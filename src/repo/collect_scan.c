/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/collect_internal.h"

bool same_id(const struct id *a, const struct id *b)
{
	return memcmp(a->b, b->b, ID_SIZE) == 0;
}

/* ---- names ------------------------------------------------------------- */

static void names_clear(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	n->count = 0;
}

static int names_add(void *ctx, const char *name, const struct store_stat *st,
		     struct err *e)
{
	struct names *n = ctx;

	(void)st;
	(void)e;
	if (n->count == n->room) {
		n->room = n->room > 0 ? 2 * n->room : 64;
		n->items = mem_grow(n->items, n->room, sizeof(char *));
	}
	n->items[n->count++] = mem_strdup(name);
	return 0;
}

void names_fini(struct names *n)
{
	names_clear(n);
	free(n->items);
	*n = (struct names){ .items = NULL };
}

int names_list(struct collect *c, const char *prefix, struct names *n,
	       struct err *e)
{
	names_clear(n);
	return store_list(c->repo->store, prefix, names_add, n, e);
}

bool name_id(const char *name, struct id *id)
{
	const char *hex = strchr(name, '/');
	char digits[ID_TEXT];

	if (hex == NULL || strlen(hex + 1) < ID_TEXT - 1)
		return false;
	memcpy(digits, hex + 1, ID_TEXT - 1);
	digits[ID_TEXT - 1] = '\0';
	return hex_decode(digits, id->b, ID_SIZE);
}

/* ---- sessions ---------------------------------------------------------- */

struct known *known_find(struct collect *c, const struct id *id)
{
	uint32_t i;

	return idmap_get(&c->by_id, id, &i) ? &c->known[i] : NULL;
}

static struct known *known_get(struct collect *c, const struct id *id)
{
	struct known *k = known_find(c, id);

	if (k != NULL)
		return k;
	if (c->known_count == c->known_room) {
		c->known_room = c->known_room > 0 ? 2 * c->known_room : 64;
		c->known = mem_grow(c->known, c->known_room, sizeof(*c->known));
	}
	idmap_put(&c->by_id, id, (uint32_t)c->known_count);
	k = &c->known[c->known_count++];
	*k = (struct known){ .id = *id };
	return k;
}

/* A record that cannot be read hides only how old the session is: as old as
 * can be, for then it is ended as soon as it is silent. */
static int read_record(struct collect *c, const char *name, struct known *k,
		       struct err *e)
{
	struct err why = ERR_INIT;

	if (session_load(c->repo, name, &k->record, &why) == 0) {
		k->recorded = true;
		return 0;
	}
	if (why.code == ERR_NOT_FOUND) {
		k->listed = false;
		return 0;
	}
	if (why.code != ERR_INTEGRITY && why.code != ERR_REFUSED) {
		*e = why;
		return -1;
	}
	talk_say(c->o.talk, TALK_WARN, "%s", why.msg);
	return 0;
}

static int see_session(void *ctx, const char *name, const struct store_stat *st,
		       struct err *e)
{
	struct collect *c = ctx;
	struct id id;

	(void)st;
	if (!name_id(name, &id))
		return 0;
	struct known *k = known_get(c, &id);

	k->listed = true;
	return k->recorded ? 0 : read_record(c, name, k, e);
}

/* ---- outcomes ---------------------------------------------------------- */

/* What only people read is not kept. */
static void drop_words(struct set *set)
{
	attrs_fini(&set->attrs);
	for (size_t i = 0; i < set->point_count; i++) {
		struct point *p = &set->points[i];

		attrs_fini(&p->attrs);
		for (size_t k = 0; k < p->image_count; k++)
			attrs_fini(&p->images[k].attrs);
	}
}

/* Without its session an outcome means nothing, whatever is in it. */
static int unreadable(struct collect *c, const struct known *k,
		      const char *name, const struct err *why, struct err *e)
{
	char session[OUTCOME_NAME];
	struct store_stat st;

	if (why->code == ERR_NOT_FOUND)
		return 0;
	session_name(&k->id, session);
	if (store_stat(c->repo->store, session, &st, e) < 0 &&
	    e->code == ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	*e = *why;
	if (why->code != ERR_INTEGRITY && why->code != ERR_REFUSED)
		return -1;
	return err_ctx(e,
		       "nothing was collected, for what the points in '%s' "
		       "need is not known (see 'vmkeep verify'; put it back "
		       "from a copy, or forget it: 'vmkeep forget %s')",
		       name, name);
}

static int see_outcome(void *ctx, const char *name, const struct store_stat *st,
		       struct err *e)
{
	struct collect *c = ctx;
	struct err why = ERR_INIT;
	struct id id;

	(void)st;
	if (!name_id(name, &id))
		return 0;
	struct known *k = known_get(c, &id);

	/* the first outcome stands */
	if (k->ended != ENDED_NOT)
		return 0;
	/* a set that cannot be read can be forgotten as a whole */
	if (tombs_find(&c->tombs, &id, &id, TOMB_POINT) != NULL) {
		k->set.session = id;
		k->ended = ENDED_COMMIT;
		return 0;
	}
	int got = outcome_load(c->repo, name, &k->set, &why);

	if (got < 0)
		return unreadable(c, k, name, &why, e);
	k->ended = got == 1 ? ENDED_COMMIT : ENDED_REVOKED;
	if (got == 1)
		drop_words(&k->set);
	return 0;
}

/* ---- all --------------------------------------------------------------- */

/* What was listed earlier and is not there any more has been cleaned up by
 * somebody. */
static void begin(struct collect *c)
{
	for (size_t i = 0; i < c->known_count; i++)
		c->known[i].listed = c->known[i].holds = false;
}

static void say_troubles(struct collect *c)
{
	for (size_t i = 0; i < c->tombs.trouble_count; i++)
		talk_say(c->o.talk, TALK_WARN, "not heeded: %s",
			 c->tombs.troubles[i].msg);
}

/*
 * The order matters: what belongs to sessions before the sessions, so that
 * what has none has lost it; tombs before points, so that none of a point that
 * we do not see is heeded; sessions before points.
 */
int scan(struct collect *c, struct err *e)
{
	begin(c);
	tombs_fini(&c->tombs);
	if (names_list(c, "idx/", &c->segments, e) < 0 ||
	    names_list(c, "beat/", &c->beats, e) < 0 ||
	    names_list(c, "ring/", &c->rings, e) < 0 ||
	    tombs_load(c->repo, &c->tombs, e) < 0 ||
	    store_list(c->repo->store, "sess/", see_session, c, e) < 0)
		return -1;
	say_troubles(c);
	return store_list(c->repo->store, "points/", see_outcome, c, e);
}

void scan_fini(struct collect *c)
{
	for (size_t i = 0; i < c->known_count; i++) {
		session_record_fini(&c->known[i].record);
		set_fini(&c->known[i].set);
	}
	free(c->known);
	idmap_fini(&c->by_id);
	tombs_fini(&c->tombs);
	names_fini(&c->segments);
	names_fini(&c->beats);
	names_fini(&c->rings);
}

/* ---- asking ------------------------------------------------------------ */

uint64_t known_generation(const struct known *k)
{
	return k->recorded ? k->record.generation : 0;
}

bool is_dated(const struct known *k)
{
	return k->recorded || (k->ended == ENDED_COMMIT && k->set.host != NULL);
}

uint64_t dated_generation(const struct known *k)
{
	return k->recorded ? k->record.generation : k->set.generation;
}

size_t points_left(const struct collect *c, const struct known *k)
{
	size_t left = 0;

	for (size_t i = 0; i < k->set.point_count; i++)
		left += tombs_find(&c->tombs, &k->id, &k->set.points[i].id,
				   TOMB_POINT) == NULL;
	return left;
}

bool is_spent(const struct collect *c, const struct known *k)
{
	if (k->ended == ENDED_COMMIT)
		return points_left(c, k) == 0;
	return k->ended == ENDED_REVOKED;
}

/* 1 there, 0 not, -1 not known. */
static int stat_session(struct collect *c, const struct id *id, struct err *e)
{
	char name[OUTCOME_NAME];
	struct store_stat st;

	session_name(id, name);
	if (store_stat(c->repo->store, name, &st, e) == 0)
		return 1;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	return 0;
}

int known_valid(struct collect *c, struct known *k, struct err *e)
{
	if (k->ended != ENDED_COMMIT)
		return 0;
	return k->listed ? 1 : stat_session(c, &k->id, e);
}

int session_gone(struct collect *c, const struct id *id, struct err *e)
{
	const struct known *k = known_find(c, id);
	int there = k != NULL && k->listed ? 1 : stat_session(c, id, e);

	return there < 0 ? -1 : !there;
}

int session_over(struct collect *c, const struct id *id, struct err *e)
{
	const struct known *k = known_find(c, id);

	if (k != NULL && (k->listed || k->ended != ENDED_NOT))
		return k->ended != ENDED_NOT;
	return session_gone(c, id, e);
}
