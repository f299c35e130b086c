/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/find.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void finding_why(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	free(f->why);
	va_start(ap, fmt);
	f->why = mem_vfmt(fmt, ap);
	va_end(ap);
}

static void finding_fini(struct finding *f)
{
	where_fini(&f->where);
	snap_volume_fini(&f->volume);
	free(f->inside);
	free(f->why);
}

/* A thick LV was found: a copy of the file where that can be had. */
static int copy_instead(struct finding *f, struct err *e)
{
	struct snap_volume lv = f->volume;
	char *inside = f->inside;
	int rc;

	f->volume = (struct snap_volume){ .name = NULL };
	f->inside = NULL;
	rc = reflink_find(f, e);
	if (rc != 0) {
		snap_volume_fini(&lv);
		free(inside);
		return rc;
	}
	f->volume = lv;
	f->inside = inside;
	return 1;
}

/* A copy of a file is made of any file system that can, but of XFS on a thin
 * LV the LV is one snapshot for all its files; a thick one costs every write,
 * so it is the last. */
static int ask_all(struct finding *f, struct err *e)
{
	bool copies = f->find->copies;
	int rc = zfs_find(f, e);

	if (rc == 0 && !copies)
		rc = btrfs_find(f, e);
	if (rc == 0 && !copies)
		rc = lvm_find_volume(f, e);
	if (rc < 0 ||
	    (rc == 1 && (f->volume.kind != SNAP_LVM_THICK || f->where.block)))
		return rc;
	if (rc == 1)
		return copy_instead(f, e);
	rc = reflink_find(f, e);
	if (rc == 0 && copies)
		rc = btrfs_find(f, e);
	if (rc == 0 && copies)
		rc = lvm_find_volume(f, e);
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
		    struct find_cache *cache, struct snap_plan *plan,
		    struct err *e)
{
	AUTO(finding_fini)
	struct finding f = { .find = find, .cache = cache };
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

static void cache_fini(struct find_cache *c)
{
	lvm_fini(&c->lvm);
}

int snap_find(const char *const *paths, size_t count,
	      const struct snap_find *find, struct snap_plan *plan,
	      struct err *e)
{
	static const struct snap_find none = { .copies = false };
	AUTO(snap_plan_fini) struct snap_plan found = { .volumes = NULL };
	AUTO(cache_fini)
	struct find_cache cache = {
		.time = snap_time_of(find ? find->deadline_ms : 0),
	};

	found.places = mem_zalloc(count, sizeof(*found.places));
	for (size_t i = 0; i < count; i++) {
		if (find_one(paths[i], find ? find : &none, &cache, &found, e) <
		    0)
			return -1;
	}
	if (zfs_identify(&found, &cache.time, e) < 0)
		return -1;
	*plan = found;
	found = (struct snap_plan){ .volumes = NULL };
	return 0;
}
