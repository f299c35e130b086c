/* SPDX-License-Identifier: Apache-2.0 */

/* The instant. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "snap/drop.h"

/* Through a descriptor of our own; what is dirty is the file's. */
static int flush(const char *path, bool all, struct err *e)
{
	autofd int fd = fd_open(path, O_RDONLY);

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (fsync(fd) < 0 || (all && syncfs(fd) < 0))
		return err_sys(e, "cannot flush '%s'", path);
	return 0;
}

/* Which are taken together: the same backend, the same group. */
static bool together(const struct snap_volume *a, const struct snap_volume *b)
{
	return snap_backend_of(a->kind) == snap_backend_of(b->kind) &&
	       strcmp(a->group, b->group) == 0;
}

/* The next group that begins at *at or later: its volumes and snaps are put
 * into t, which has room for all.  False at the end. */
static bool group_next(const struct snap_plan *plan, struct snaps *snaps,
		       size_t *at, struct snap_taking *t)
{
	const struct snap_volume *v = plan->volumes;
	size_t i = *at;

	t->count = 0;
	for (; i < plan->volume_count; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = together(&v[k], &v[i]);
		if (!seen)
			break;
	}
	*at = i + 1;
	for (size_t k = i; k < plan->volume_count; k++) {
		if (!together(&v[i], &v[k]))
			continue;
		t->volumes[t->count] = &v[k];
		t->snaps[t->count++] = snaps ? &snaps->items[k] : NULL;
	}
	return t->count > 0;
}

typedef int take_fn(struct snap_taking *t, struct err *e);

static int groups_each(const struct snap_plan *plan, struct snaps *snaps,
		       const struct snap_how *how, take_fn *fn, struct err *e)
{
	autofree const struct snap_volume **volumes =
		mem_zalloc(plan->volume_count, sizeof(*volumes));
	autofree struct snap **each =
		mem_zalloc(plan->volume_count, sizeof(*each));
	struct snap_taking t = { .volumes = volumes,
				 .snaps = each,
				 .how = how,
				 .time = snap_time_of(how->deadline_ms) };

	for (size_t at = 0; group_next(plan, snaps, &at, &t);) {
		if (fn(&t, e) < 0)
			return -1;
	}
	return 0;
}

static int ready_group(struct snap_taking *t, struct err *e)
{
	const struct snap_backend *b = snap_backend_of(t->volumes[0]->kind);

	return b->ready ? b->ready(t, e) : 0;
}

int snap_ready(const struct snap_plan *plan, const struct snap_how *how,
	       struct err *e)
{
	for (size_t i = 0; i < plan->place_count; i++) {
		const struct snap_place *p = &plan->places[i];
		const struct snap_volume *v = &plan->volumes[p->volume];

		/* A dataset's files are in the pool once they are written;
		 * the pool is asked as a whole. */
		if (v->kind != SNAP_ZFS &&
		    flush(p->path, v->fs[0] != '\0', e) < 0)
			return -1;
	}
	return groups_each(plan, NULL, how, ready_group, e);
}

static int still_there(const struct snap_plan *plan, struct err *e)
{
	for (size_t i = 0; i < plan->place_count; i++) {
		const struct snap_place *p = &plan->places[i];
		struct stat st;

		if (stat(p->path, &st) < 0)
			return err_sys(e, "cannot find '%s'", p->path);
		if (st.st_dev != p->dev || st.st_ino != p->ino)
			return err_set(e, ERR_NOT_FOUND,
				       "'%s' is another file than it was",
				       p->path);
	}
	return 0;
}

/* What the page cache of a device has is not in its snapshot otherwise. */
static int devices_flush(const struct snap_plan *plan, struct err *e)
{
	for (size_t i = 0; i < plan->volume_count; i++) {
		const struct snap_volume *v = &plan->volumes[i];

		if (v->device && !v->fs[0] && flush(v->device, false, e) < 0)
			return -1;
	}
	return 0;
}

/* A pool's snapshots bear one name; elsewhere several are in one place. */
static void intend(const struct snap_plan *plan, const char *set,
		   struct snaps *snaps)
{
	char name[SNAP_NAME_MAX];

	snap_name(clock_wall_ns(), set, name);
	snaps->items = mem_zalloc(plan->volume_count, sizeof(*snaps->items));
	snaps->count = plan->volume_count;
	for (size_t i = 0; i < plan->volume_count; i++) {
		const struct snap_volume *v = &plan->volumes[i];
		bool one = v->kind == SNAP_ZFS || v->kind == SNAP_ZVOL;

		snaps->items[i] = (struct snap){
			.kind = v->kind,
			.volume = mem_strdup(v->name),
			.name = one ? mem_strdup(name)
				    : mem_fmt("%s_%zu", name, i),
			.guid = mem_strdup(""),
			.set = mem_strdup(set),
			.fs = mem_strdup(v->fs),
		};
	}
}

static const struct snap *const *pointers(const struct snaps *snaps)
{
	const struct snap **p = mem_zalloc(snaps->count, sizeof(*p));

	for (size_t i = 0; i < snaps->count; i++)
		p[i] = &snaps->items[i];
	return p;
}

static int take_group(struct snap_taking *t, struct err *e)
{
	return snap_backend_of(t->volumes[0]->kind)->take(t, e);
}

static int identify_group(struct snap_taking *t, struct err *e)
{
	const struct snap_backend *b = snap_backend_of(t->volumes[0]->kind);

	return b->identify ? b->identify(t, e) : 0;
}

static int take_all(const struct snap_plan *plan, struct snaps *snaps,
		    const struct snap_how *how, struct err *e)
{
	if (devices_flush(plan, e) < 0 ||
	    groups_each(plan, snaps, how, take_group, e) < 0)
		return -1;
	if (how->made)
		how->made(how->ctx);
	return groups_each(plan, snaps, how, identify_group, e);
}

/* The first error is the one that is told; what cannot be dropped now is in
 * the journal. */
static int undo(const struct snaps *snaps, const struct snap_how *how,
		struct err *e)
{
	struct err more = ERR_INIT;

	if (snap_drop(snaps->items, snaps->count, how, &more) < 0)
		err_ctx(e, "%s, and before that", more.msg);
	return -1;
}

int snap_take(const struct snap_plan *plan, const char *set,
	      const struct snap_how *how, struct snaps *snaps, struct err *e)
{
	AUTO(snaps_fini) struct snaps made = { .items = NULL };

	if (!snap_set_valid(set))
		return err_set(e, ERR_USAGE, "'%s' is no id of a set", set);
	if (still_there(plan, e) < 0)
		return -1;
	intend(plan, set, &made);

	autofree const struct snap *const *all = pointers(&made);

	if (snap_jot(how->journal, SNAP_JOT_TAKE, all, made.count, e) < 0)
		return -1;
	if (take_all(plan, &made, how, e) < 0 ||
	    snap_jot(how->journal, SNAP_JOT_TAKEN, all, made.count, e) < 0)
		return undo(&made, how, e);
	*snaps = made;
	made = (struct snaps){ .items = NULL };
	return 0;
}
