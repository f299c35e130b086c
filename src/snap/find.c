/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/find.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef int find_fn(const struct where *w, struct snap_volume *v, char **inside,
		    char **why, struct err *e);

/* One path on its way to a volume. */
struct finding {
	const struct snap_find *find;
	struct where where;
	struct snap_volume volume;
	char *inside;
	char *why; /* the last thing that was missing */
};

static void finding_fini(struct finding *f)
{
	where_fini(&f->where);
	snap_volume_fini(&f->volume);
	free(f->inside);
	free(f->why);
}

static int ask(struct finding *f, find_fn *fn, struct err *e)
{
	char *why = NULL;
	int rc = fn(&f->where, &f->volume, &f->inside, &why, e);

	if (why != NULL) {
		free(f->why);
		f->why = why;
	}
	return rc;
}

static int ask_all(struct finding *f, struct err *e)
{
	int rc = 0;

	if (!f->find->copies)
		rc = ask(f, btrfs_find, e);
	if (rc == 0)
		rc = ask(f, reflink_find, e);
	if (rc == 0 && f->find->copies)
		rc = ask(f, btrfs_find, e);
	return rc;
}

static int refuse(const struct finding *f, struct err *e)
{
	const struct where *w = &f->where;

	if (w->block)
		return err_set(e, ERR_REFUSED,
			       "'%s' is a block device, but neither a ZFS "
			       "volume nor an LV that can be snapshotted%s%s",
			       w->path, f->why ? ": " : "",
			       f->why ? f->why : "");
	return err_set(e, ERR_REFUSED,
		       "'%s' is on %s, which has no snapshots%s%s", w->path,
		       w->fs, f->why ? ": " : "", f->why ? f->why : "");
}

/* Index of the volume in the plan, to which it is added when new. */
static size_t volume_add(struct snap_plan *plan, struct snap_volume *v)
{
	for (size_t i = 0; i < plan->volume_count; i++) {
		if (plan->volumes[i].kind == v->kind &&
		    strcmp(plan->volumes[i].name, v->name) == 0)
			return i;
	}
	plan->volumes = mem_grow(plan->volumes, plan->volume_count + 1,
				 sizeof(*plan->volumes));
	plan->volumes[plan->volume_count] = *v;
	*v = (struct snap_volume){ .name = NULL };
	return plan->volume_count++;
}

static int find_one(const char *path, const struct snap_find *find,
		    struct snap_plan *plan, struct err *e)
{
	AUTO(finding_fini) struct finding f = { .find = find };
	struct snap_place *place = &plan->places[plan->place_count];

	if (where_find(path, &f.where, e) < 0)
		return -1;

	int rc = ask_all(&f, e);

	if (rc < 0)
		return err_ctx(e, "'%s'", path);
	if (rc == 0)
		return refuse(&f, e);
	*place = (struct snap_place){ .path = mem_strdup(path),
				      .volume = volume_add(plan, &f.volume),
				      .inside = mem_take(&f.inside),
				      .dev = f.where.dev,
				      .ino = f.where.ino };
	plan->place_count++;
	return 0;
}

int snap_find(const char *const *paths, size_t count,
	      const struct snap_find *find, struct snap_plan *plan,
	      struct err *e)
{
	static const struct snap_find none = { .copies = false };
	AUTO(snap_plan_fini) struct snap_plan found = { .volumes = NULL };

	found.places = mem_zalloc(count, sizeof(*found.places));
	for (size_t i = 0; i < count; i++) {
		if (find_one(paths[i], find ? find : &none, &found, e) < 0)
			return -1;
	}
	*plan = found;
	found = (struct snap_plan){ .volumes = NULL };
	return 0;
}
