/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/idset.h"
#include "repo/internal.h"
#include "repo/session.h"
#include "repo/tomb.h"

#define MIN_PREFIX 4

/* ---- loading --------------------------------------------------------- */

struct load {
	struct repo *repo;
	struct catalog *c;
};

void catalog_add_damage(struct catalog *c, const char *object,
			const struct err *why)
{
	c->damaged =
		mem_grow(c->damaged, c->damaged_count + 1, sizeof(*c->damaged));
	struct catalog_damage *d = &c->damaged[c->damaged_count++];

	d->object = mem_strdup(object);
	memcpy(d->msg, why->msg, sizeof(d->msg));
}

void catalog_add(struct catalog *c, struct set *set)
{
	c->sets = mem_grow(c->sets, c->count + 1, sizeof(*c->sets));
	c->sets[c->count++] = *set;
	*set = (struct set){ 0 };
}

static int load_one(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	struct load *l = ctx;
	struct set set = { 0 };
	struct err why = ERR_INIT;

	(void)st;
	int got = outcome_load(l->repo, name, &set, &why);

	if (got < 0 && err_passing(&why)) {
		*e = why;
		return -1;
	}
	if (got < 0) {
		/* gone between listing and reading: forgotten, not damaged */
		if (why.code != ERR_NOT_FOUND)
			catalog_add_damage(l->c, name, &why);
		return 0;
	}
	if (got == 0)
		return 0;
	catalog_add(l->c, &set);
	return 0;
}

static int64_t set_time(const struct set *s)
{
	return s->point_count > 0 ? s->points[0].time_ns : s->time_ns;
}

static int by_time(const void *va, const void *vb)
{
	const struct set *a = va;
	const struct set *b = vb;
	int64_t ta = set_time(a);
	int64_t tb = set_time(b);

	if (ta != tb)
		return ta < tb ? -1 : 1;
	return memcmp(a->session.b, b->session.b, ID_SIZE);
}

void catalog_sort(struct catalog *c)
{
	if (c->count > 0)
		qsort(c->sets, c->count, sizeof(*c->sets), by_time);
}

static int see_session(void *ctx, const char *name, const struct store_stat *st,
		       struct err *e)
{
	struct id id;

	(void)st;
	(void)e;
	if (hex_decode(name + strlen("sess/"), id.b, ID_SIZE) &&
	    strlen(name) == strlen("sess/") + ID_TEXT - 1)
		idset_add(ctx, id.b);
	return 0;
}

/* Damage of a set that does not count any more is none. */
static void drop_damage(struct catalog *c, const struct idset *sessions,
			const struct tombs *tombs)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->damaged_count; i++) {
		const char *hex = strchr(c->damaged[i].object, '/') + 1;
		struct id id;

		if (strlen(hex) == ID_TEXT - 1 &&
		    hex_decode(hex, id.b, ID_SIZE) &&
		    (!idset_has(sessions, id.b) ||
		     tombs_find(tombs, &id, &id, TOMB_POINT) != NULL))
			free(c->damaged[i].object);
		else
			c->damaged[kept++] = c->damaged[i];
	}
	c->damaged_count = kept;
}

/* Sets whose session is gone, and what is forgotten, are left out. */
static int drop_gone(struct repo *r, struct catalog *c,
		     const struct tombs *tombs, struct err *e)
{
	AUTO(idset_fini) struct idset sessions = IDSET_INIT;
	size_t kept = 0;

	if (store_list(r->store, "sess/", see_session, &sessions, e) < 0)
		return -1;
	for (size_t i = 0; i < c->count; i++) {
		tombs_apply(tombs, &c->sets[i]);
		if (c->sets[i].point_count > 0 &&
		    idset_has(&sessions, c->sets[i].session.b))
			c->sets[kept++] = c->sets[i];
		else
			set_fini(&c->sets[i]);
	}
	c->count = kept;
	drop_damage(c, &sessions, tombs);
	return 0;
}

/*
 * Tombs before points: a tomb goes after its point, so what was forgotten
 * before we began never comes back.  Points before sessions: a session is
 * there before its outcome, and goes before it.
 */
int catalog_load(struct repo *r, struct catalog *c, struct err *e)
{
	AUTO(tombs_fini) struct tombs tombs = { 0 };
	struct load l = { r, c };

	memset(c, 0, sizeof(*c));
	if (tombs_load(r, &tombs, e) < 0 ||
	    store_list(r->store, "points/", load_one, &l, e) < 0 ||
	    drop_gone(r, c, &tombs, e) < 0) {
		catalog_fini(c);
		return err_ctx(e, "cannot list the points");
	}
	catalog_sort(c);
	return 0;
}

void catalog_fini(struct catalog *c)
{
	for (size_t i = 0; i < c->count; i++)
		set_fini(&c->sets[i]);
	for (size_t i = 0; i < c->damaged_count; i++)
		free(c->damaged[i].object);
	free(c->sets);
	free(c->damaged);
	memset(c, 0, sizeof(*c));
}

/* ---- finding --------------------------------------------------------- */

/* Which points are meant: by name and span, or by prefix. */
struct wanted {
	const char *name; /* NULL: by prefix */
	size_t name_len;
	int64_t from, until; /* half open */
	const char *prefix;
};

static bool fits(const struct wanted *w, const struct point *p)
{
	char hex[ID_TEXT];

	if (w->name != NULL)
		return strlen(p->name) == w->name_len &&
		       memcmp(p->name, w->name, w->name_len) == 0 &&
		       p->time_ns >= w->from && p->time_ns < w->until;
	hex_encode(p->id.b, ID_SIZE, hex);
	return strncmp(hex, w->prefix, strlen(w->prefix)) == 0;
}

/* The number of points that fit; hit is the latest of them. */
static size_t search(const struct catalog *c, const struct wanted *w,
		     struct catalog_hit *hit)
{
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct set *s = &c->sets[i];

		for (size_t k = 0; k < s->point_count; k++) {
			const struct point *p = &s->points[k];

			if (!fits(w, p))
				continue;
			if (n++ == 0 || p->time_ns >= hit->point->time_ns)
				*hit = (struct catalog_hit){ s, p };
		}
	}
	return n;
}

static bool is_prefix(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");

	return n >= MIN_PREFIX && n < ID_TEXT && text[n] == '\0';
}

/* "NAME@TIME" or "NAME@latest"; false when the part after the last '@' is
 * neither. */
static bool by_at(const char *text, struct wanted *w)
{
	const char *at = strrchr(text, '@');

	if (at == NULL)
		return false;
	w->name = text;
	w->name_len = (size_t)(at - text);
	if (strcmp(at + 1, "latest") == 0) {
		w->from = INT64_MIN;
		w->until = INT64_MAX;
		return true;
	}
	return clock_parse(at + 1, &w->from, &w->until);
}

static int not_found(const struct catalog *c, const char *text, struct err *e)
{
	struct wanted w = { .name = text,
			    .name_len = strlen(text),
			    .from = INT64_MIN,
			    .until = INT64_MAX };
	const char *at = strrchr(text, '@');
	struct catalog_hit hit;
	char when[CLOCK_TEXT];

	if (at != NULL)
		w.name_len = (size_t)(at - text);
	size_t n = search(c, &w, &hit);

	if (n > 0) {
		clock_text_local(hit.point->time_ns, when);
		return err_set(e, ERR_NOT_FOUND,
			       "no point '%s': '%s' has %zu, the latest of %s",
			       text, hit.point->name, n, when);
	}
	return err_set(e, ERR_NOT_FOUND,
		       "no point '%s': 'vmkeep points' lists what there is",
		       text);
}

int catalog_find(const struct catalog *c, const char *text,
		 struct catalog_hit *hit, struct err *e)
{
	struct wanted whole = { .name = text,
				.name_len = strlen(text),
				.from = INT64_MIN,
				.until = INT64_MAX };
	struct wanted prefix = { .prefix = text };
	struct catalog_hit got;
	struct wanted at;
	size_t n = 0;

	if (by_at(text, &at))
		n = search(c, &at, &got);
	if (n == 0)
		n = search(c, &whole, &got);
	if (n > 0) {
		*hit = got;
		return 0;
	}
	n = is_prefix(text) ? search(c, &prefix, &got) : 0;
	if (n == 1) {
		*hit = got;
		return 0;
	}
	if (n > 1)
		return err_set(e, ERR_USAGE,
			       "'%s' fits %zu points: type more of its id",
			       text, n);
	return not_found(c, text, e);
}
