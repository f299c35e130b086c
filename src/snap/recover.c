/* SPDX-License-Identifier: Apache-2.0 */

/* What a journal says was there, and what is to be done about it. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "snap/drop.h"

/* Views that were not closed; strings are the records'. */
struct open_views {
	struct snap_thing *items;
	size_t count;
};

static void views_fini(struct open_views *v)
{
	free(v->items);
}

static void views_remove(struct open_views *v, const char *thing)
{
	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->items[i].name, thing) == 0) {
			v->items[i] = v->items[--v->count];
			return;
		}
	}
}

static int view_read(const struct journal_record *r, struct open_views *v,
		     struct err *e)
{
	const char *kind = journal_get(r, "kind");
	const char *kept = journal_get(r, "kept");
	struct snap_thing t = { .name = journal_get(r, "thing"),
				.set = journal_get(r, "set"),
				.kept = kept && strcmp(kept, "1") == 0 };

	if (!kind || !kept || !t.name || !t.set ||
	    !snap_kind_parse(kind, &t.kind) || !snap_set_valid(t.set) ||
	    !snap_thing_valid(&t))
		return err_set(e, ERR_INTEGRITY, "a record '%s' makes no sense",
			       r->word);
	views_remove(v, t.name);
	if (strcmp(r->word, SNAP_JOT_CLOSED) == 0)
		return 0;
	v->items = mem_grow(v->items, v->count + 1, sizeof(*v->items));
	v->items[v->count++] = t;
	return 0;
}

static bool same(const struct snap *a, const struct snap *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->volume, b->volume) == 0;
}

static void snaps_remove(struct snaps *all, const struct snap *s)
{
	for (size_t i = 0; i < all->count; i++) {
		if (same(&all->items[i], s)) {
			snap_fini(&all->items[i]);
			all->items[i] = all->items[--all->count];
			return;
		}
	}
}

/* The last record that names a snap counts. */
static int snaps_read(const struct journal_record *r, struct snaps *there,
		      struct err *e)
{
	AUTO(snaps_fini) struct snaps of = { .items = NULL };

	if (snap_many_from_record(r, &of, e) < 0)
		return -1;
	for (size_t i = 0; i < of.count; i++) {
		snaps_remove(there, &of.items[i]);
		if (strcmp(r->word, SNAP_JOT_DROPPED) != 0)
			snaps_add(there, &of.items[i]);
	}
	return 0;
}

static int records_read(const struct journal_record *records, size_t count,
			struct open_views *views, struct snaps *there,
			struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const char *w = records[i].word;
		int rc = 0;

		if (strcmp(w, SNAP_JOT_VIEW) == 0 ||
		    strcmp(w, SNAP_JOT_CLOSED) == 0)
			rc = view_read(&records[i], views, e);
		else if (strcmp(w, SNAP_JOT_TAKE) == 0 ||
			 strcmp(w, SNAP_JOT_TAKEN) == 0 ||
			 strcmp(w, SNAP_JOT_DROP) == 0 ||
			 strcmp(w, SNAP_JOT_DROPPED) == 0)
			rc = snaps_read(&records[i], there, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* One thing is left: the first is the error, all are noted. */
static void left(const struct snap_recover *r, const struct err *what, int *rc,
		 struct err *e)
{
	if (r->note)
		r->note(r->ctx, what->msg, 1);
	if (*rc == 0)
		*e = *what;
	*rc = -1;
}

static void said(const struct snap_recover *r, const char *what,
		 const char *name, const char *of)
{
	autofree char *text =
		mem_fmt("%s '%s'%s%s%s", what, name, of ? " of '" : "",
			of ? of : "", of ? "'" : "");

	if (r->note)
		r->note(r->ctx, text, 0);
}

static int view_back(const struct snap_recover *r, const struct snap_thing *t,
		     struct err *e)
{
	struct snap_time time = snap_time_of(r->how->deadline_ms);

	if (unview(t, &time, e) < 0)
		return err_ctx(e, "what was opened to be read, '%s', is left",
			       t->name);
	if (snap_thing_jot(r->how->journal, SNAP_JOT_CLOSED, t, e) < 0)
		return -1;
	said(r, "closed what was opened to be read,", t->name, NULL);
	return 0;
}

/* -1 when it still has to go but could not, or cannot be told. */
static int snap_back(const struct snap_recover *r, const struct snap *s,
		     struct err *e)
{
	int keep = r->keep ? r->keep(r->ctx, s, e) : 0;

	if (keep != 0)
		return keep < 0 ? -1 : 0;
	if (snap_drop(s, 1, r->how, e) < 0)
		return err_ctx(e, "the snapshot '%s' of '%s' is left", s->name,
			       s->volume);
	said(r, "dropped the snapshot", s->name, s->volume);
	return 0;
}

int snap_recover(const struct journal_record *records, size_t count,
		 const struct snap_recover *recover, struct err *e)
{
	AUTO(views_fini) struct open_views views = { .items = NULL };
	AUTO(snaps_fini) struct snaps there = { .items = NULL };
	int rc = 0;

	if (records_read(records, count, &views, &there, e) < 0)
		return -1;
	for (size_t i = 0; i < views.count; i++) {
		struct err one = ERR_INIT;

		if (view_back(recover, &views.items[i], &one) < 0)
			left(recover, &one, &rc, e);
	}
	for (size_t i = 0; i < there.count; i++) {
		struct err one = ERR_INIT;

		if (snap_back(recover, &there.items[i], &one) < 0)
			left(recover, &one, &rc, e);
	}
	return rc;
}
