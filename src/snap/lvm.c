/* SPDX-License-Identifier: Apache-2.0 */

/* Logical volumes: lvcreate(8), lvmthin(7). */

#include "snap/lvm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "snap/drop.h"
#include "snap/find.h"

#define MIB ((uint64_t)1 << 20)

/* A thick snapshot where nothing is said: a part of the LV, at least that. */
#define THICK_PART 5
#define THICK_MIN  (64 * MIB)

/* Percent that are in use: no new snapshot; given up. */
enum {
	POOL_READY = 90,
	POOL_CHECK = 95,
	THICK_CHECK = 80,
};

/* /sys/dev/block/M:m/dm/uuid, "LVM-<VG><LV>[-layer]", 32 characters each. */
#define PREFIX "LVM-"
#define UUID   32

#define RESUME_MS 10000

/* False when it is no device of the device mapper. */
static bool dm_uuid(const struct where *w, char **uuid)
{
	autofree char *path =
		mem_fmt("/sys/dev/block/%u:%u/dm/uuid", w->dev_maj, w->dev_min);
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err none = ERR_INIT;

	if (file_load(path, 4096, &text, &none) < 0)
		return false;
	wr_u8(&text, 0);
	*uuid = mem_strdup((const char *)text.p);
	(*uuid)[strcspn(*uuid, "\n")] = '\0';
	return true;
}

static struct snap_volume volume(const struct lv *lv, const struct where *w)
{
	return (struct snap_volume){
		.kind = lv->thin ? SNAP_LVM_THIN : SNAP_LVM_THICK,
		.name = mem_fmt("%s/%s", lv->vg, lv->name),
		.id = mem_strdup(lv->uuid),
		.group = mem_strdup(lv->vg),
		.device = w->block ? mem_strdup(w->path)
				   : mem_fmt("/dev/dm-%u", w->dev_min),
		.fs = mem_strdup(w->block ? "" : w->fs),
		.size = lv->size,
	};
}

static const struct lv *seek(struct finding *f, const char *uuid, struct err *e)
{
	struct find_cache *c = f->cache;

	if (!c->listed && lvm_list(&c->time, &c->lvm, e) < 0)
		return NULL;
	c->listed = true;
	if (strlen(uuid) != strlen(PREFIX) + 2 * UUID)
		return NULL;
	return lvm_by_uuid(&c->lvm, uuid + strlen(PREFIX) + UUID);
}

int lvm_find_volume(struct finding *f, struct err *e)
{
	const struct where *w = &f->where;
	autofree char *uuid = NULL;
	const struct lv *lv;

	if (w->dev_maj == 0 || !dm_uuid(w, &uuid))
		return 0;
	if (strncmp(uuid, PREFIX, strlen(PREFIX)) != 0) {
		finding_why(f, "its device is made by the device mapper, but "
			       "not directly an LV");
		return 0;
	}
	lv = seek(f, uuid, e);
	if (lv == NULL && !f->cache->listed)
		return -1;
	if (lv == NULL || lv->pool_lv) {
		finding_why(f, "its device is an inner part of an LV");
		return 0;
	}
	if (!lv->thin && *lv->origin) {
		finding_why(f, "its LV is itself a snapshot, and LVM makes "
			       "none of those");
		return 0;
	}
	f->volume = volume(lv, w);
	f->inside = mem_strdup(w->block ? "" : w->inside);
	return 1;
}

static uint64_t thick_size(const struct snap_volume *v,
			   const struct snap_how *how)
{
	return how->thick_bytes ? how->thick_bytes
				: num_max(v->size / THICK_PART, THICK_MIN);
}

static int pool_room(const struct lvm *l, const struct lv *lv, int limit,
		     struct err *e)
{
	const struct lv *pool = lvm_pool(l, lv);

	if (pool == NULL ||
	    (pool->data_percent < limit && pool->meta_percent < limit))
		return 0;
	return err_set(e, ERR_NO_SPACE,
		       "the thin pool '%s/%s' is full to %d %% (metadata %d "
		       "%%): extend it, or remove snapshots",
		       pool->vg, pool->name, pool->data_percent,
		       pool->meta_percent);
}

/* The VG must have room for all thick ones together. */
static int ready(const struct snap_taking *t, struct err *e)
{
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };
	uint64_t want = 0;
	uint64_t have = 0;

	if (lvm_list(&t->time, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < t->count; i++) {
		const struct snap_volume *v = t->volumes[i];
		const struct lv *lv = lvm_find(&l, v->name);

		if (lv == NULL)
			return err_set(e, ERR_NOT_FOUND, "there is no LV '%s'",
				       v->name);
		if (pool_room(&l, lv, POOL_READY, e) < 0)
			return -1;
		if (v->kind == SNAP_LVM_THICK)
			want += thick_size(v, t->how);
		have = lv->vg_free;
	}
	if (want > have) {
		char want_text[NUM_TEXT];
		char have_text[NUM_TEXT];

		num_size_text(want, want_text);
		num_size_text(have, have_text);
		return err_set(e, ERR_NO_SPACE,
			       "the volume group '%s' has %s left, its "
			       "snapshots want %s: extend it (vgextend), or "
			       "say a smaller --snapshot-size",
			       t->volumes[0]->group, have_text, want_text);
	}
	return 0;
}

/* A thin one needs no activation; a thick one with a file system must be
 * written to, for its journal to be replayed. */
static int take_one(const struct snap_volume *v, const struct snap *s,
		    const struct snap_taking *t, struct err *e)
{
	autofree char *set = mem_fmt(SNAP_TAGSET "%s", s->set);
	autofree char *size = mem_fmt("%" PRIu64 "b", thick_size(v, t->how));
	bool thin = v->kind == SNAP_LVM_THIN;
	const char *argv[20] = {
		"lvcreate", "-qq",   "-y",       "-s",
		"-n",       s->name, "--addtag", SNAP_TAG,
		"--addtag", set,     "-p",       thin || !v->fs[0] ? "r" : "rw"
	};
	size_t n = 12;

	argv[n++] = thin ? "-ky" : "-L";
	if (!thin)
		argv[n++] = size;
	argv[n++] = v->name;
	argv[n] = NULL;
	return snap_tool(argv, NULL, &t->time, e);
}

static bool suspended(const struct snap_volume *v)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	autofree char *path = NULL;
	struct err none = ERR_INIT;
	struct stat st;

	if (v->device == NULL || stat(v->device, &st) < 0)
		return false;
	path = mem_fmt("/sys/dev/block/%u:%u/dm/suspended", major(st.st_rdev),
		       minor(st.st_rdev));
	return file_load(path, 16, &text, &none) == 0 && text.len > 0 &&
	       text.p[0] == '1';
}

/* An lvcreate that was killed at the deadline may have left the guest's disk
 * suspended, and nobody would ever resume it. */
static void resume(const struct snap_volume *v)
{
	const char *refresh[] = { "lvchange", "--refresh", v->name, NULL };
	const char *wake[] = { "dmsetup", "resume", v->device, NULL };
	struct snap_time t = snap_time_of(RESUME_MS);
	struct err none = ERR_INIT;

	if (suspended(v))
		snap_tool(refresh, NULL, &t, &none);
	t = snap_time_of(RESUME_MS);
	if (suspended(v))
		snap_tool(wake, NULL, &t, &none);
}

static int take(struct snap_taking *t, struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		struct snap *s = t->snaps[i];

		s->begin_ns = clock_wall_ns();
		if (take_one(t->volumes[i], s, t, e) < 0) {
			resume(t->volumes[i]);
			return -1;
		}
		s->end_ns = clock_wall_ns();
	}
	return 0;
}

static int identify(struct snap_taking *t, struct err *e)
{
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };

	if (lvm_list(&t->time, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < t->count; i++) {
		const struct lv *lv = lvm_ours(&l, t->snaps[i], e);

		if (lv == NULL)
			return -1;
		if (lv->invalid)
			return err_set(e, ERR_NO_SPACE,
				       "the snapshot '%s' has overflowed "
				       "already: say a larger "
				       "--snapshot-size",
				       t->snaps[i]->name);
		free(t->snaps[i]->guid);
		t->snaps[i]->guid = mem_strdup(lv->uuid);
	}
	return 0;
}

/* Who has it open, as far as that can be seen. */
static int busy(const struct lv *lv, struct err *e)
{
	autofree char *name = mem_fmt("%s/%s", lv->vg, lv->name);

	return err_set(e, ERR_BUSY,
		       "the LV '%s' (%d:%d) is open: it is mounted, or a "
		       "program reads it (see lsof)",
		       name, lv->major, lv->minor);
}

/* A thick snapshot of ours would go with it, a thin one lives on. */
static const struct lv *thick_child(const struct lvm *l, const struct lv *of)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct lv *lv = &l->lvs[i];

		if (!lv->thin && strcmp(lv->vg, of->vg) == 0 &&
		    strcmp(lv->origin, of->name) == 0)
			return lv;
	}
	return NULL;
}

struct dropping {
	struct lvm l;
	const struct snap_time *t;
};

static void dropping_fini(struct dropping *d)
{
	lvm_fini(&d->l);
}

static int drop_one(void *ctx, const struct snap *s, struct err *e)
{
	const struct dropping *d = ctx;
	const struct lv *lv = lvm_ours(&d->l, s, e);
	const struct lv *child = lv ? thick_child(&d->l, lv) : NULL;
	autofree char *full = lvm_full(s);

	if (lv == NULL)
		return -1;
	if (lv->open)
		return busy(lv, e);
	if (child != NULL)
		return err_set(e, ERR_BUSY,
			       "the LV '%s' has the snapshot '%s': remove "
			       "that first",
			       full, child->name);
	return lvm_remove(full, d->t, e);
}

static int drop(const struct snap *const *snaps, size_t count, bool *gone,
		const struct snap_time *t, struct err *e)
{
	AUTO(dropping_fini) struct dropping d = { .t = t };

	if (lvm_list(t, &d.l, e) < 0)
		return -1;
	return drop_each(snaps, count, gone, drop_one, &d, e);
}

static int check_one(const struct lvm *l, const struct snap *s, struct err *e)
{
	const struct lv *lv = lvm_ours(l, s, e);

	if (lv == NULL)
		return -1;
	if (s->kind == SNAP_LVM_THIN)
		return pool_room(l, lv, POOL_CHECK, e);
	if (lv->invalid)
		return err_set(e, ERR_NO_SPACE,
			       "the snapshot '%s' has overflowed and is of no "
			       "use: say a larger --snapshot-size",
			       s->name);
	if (lv->data_percent >= THICK_CHECK)
		return err_set(e, ERR_NO_SPACE,
			       "the snapshot '%s' is full to %d %%: say a "
			       "larger --snapshot-size",
			       s->name, lv->data_percent);
	return 0;
}

static int check(const struct snap *const *snaps, size_t count,
		 const struct snap_time *t, struct err *e)
{
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };

	if (lvm_list(t, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (check_one(&l, snaps[i], e) < 0)
			return -1;
	}
	return 0;
}

/* The set that a tag of ours names; free it, NULL when there is none. */
static char *set_of(const struct lv *lv)
{
	const char *p = strstr(lv->tags, SNAP_TAGSET);
	char *set;

	if (p == NULL || !lv_tagged(lv, SNAP_TAG) || !*lv->origin ||
	    !snap_name_valid(lv->name))
		return NULL;
	p += strlen(SNAP_TAGSET);
	set = mem_fmt("%.*s", (int)strcspn(p, ","), p);
	if (snap_set_valid(set))
		return set;
	free(set);
	return NULL;
}

static bool wanted(const struct snap_volume *const *volumes, size_t count,
		   const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(volumes[i]->name, name) == 0)
			return true;
	}
	return volumes == NULL;
}

static int list(const struct snap_volume *const *volumes, size_t count,
		struct snaps *snaps, const struct snap_time *t, struct err *e)
{
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };

	if (lvm_list(t, &l, e) < 0) {
		if (e->code != ERR_REFUSED || volumes != NULL)
			return -1;
		err_clear(e); /* there is no lvs(8) */
		return 0;
	}
	for (size_t i = 0; i < l.count; i++) {
		const struct lv *lv = &l.lvs[i];
		autofree char *set = set_of(lv);
		autofree char *origin = mem_fmt("%s/%s", lv->vg, lv->origin);
		struct snap s = { .kind = lv->thin ? SNAP_LVM_THIN
						   : SNAP_LVM_THICK,
				  .volume = origin,
				  .name = (char *)(uintptr_t)lv->name,
				  .guid = (char *)(uintptr_t)lv->uuid,
				  .set = set,
				  .fs = (char[]){ "" } };

		if (set != NULL && wanted(volumes, count, origin))
			snaps_add(snaps, &s);
	}
	return 0;
}

const struct snap_backend snap_lvm = {
	.ready = ready,
	.take = take,
	.identify = identify,
	.drop = drop,
	.view = lvm_view,
	.unview = lvm_unview,
	.check = check,
	.list = list,
};
