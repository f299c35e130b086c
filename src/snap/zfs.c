/* SPDX-License-Identifier: Apache-2.0 */

/* Datasets and volumes of ZFS: zfs-snapshot(8), zfs-destroy(8). */

#include "snap/zfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "snap/drop.h"
#include "snap/find.h"

/* <sys/fs/zfs.h>: the name of the volume behind a device. */
#define BLKZNAME _IOR(0x12, 125, char[ZFS_NAME_MAX])

/* Below this, whoever writes to the pool is about to be told that it is full:
 * ZFS keeps some for itself (spa_slop_shift) and needs some to free any. */
#define ROOM ((uint64_t)64 << 20)

void zvol_name(int fd, char name[ZFS_NAME_MAX])
{
	memset(name, 0, ZFS_NAME_MAX);
	if (ioctl(fd, BLKZNAME, name) < 0)
		name[0] = '\0';
	name[ZFS_NAME_MAX - 1] = '\0';
}

/* The kernel's name of a device, "zd16p1"; "" when it has none. */
static void kernel_name(const struct where *w, char name[NAME_MAX + 1])
{
	autofree char *link =
		mem_fmt("/sys/dev/block/%u:%u", w->dev_maj, w->dev_min);
	char to[4096];
	ssize_t n = readlink(link, to, sizeof(to) - 1);

	to[n > 0 ? n : 0] = '\0';
	snprintf(name, NAME_MAX + 1, "%.*s", NAME_MAX, path_base(to));
}

static struct snap_volume volume(enum snap_kind kind, const char *name)
{
	struct snap_volume v = { .kind = kind,
				 .name = mem_strdup(name),
				 .group = mem_strdup(name),
				 .fs = mem_strdup("") };

	v.group[strcspn(v.group, "/")] = '\0';
	return v;
}

static int zvol_find(struct finding *f, struct err *e)
{
	const struct where *w = &f->where;
	char kernel[NAME_MAX + 1];
	char name[ZFS_NAME_MAX];

	kernel_name(w, kernel);
	if (strncmp(kernel, "zd", 2) != 0)
		return 0;
	if (strchr(kernel, 'p') != NULL) {
		finding_why(f, "it is a partition of a ZFS volume: use the "
			       "whole volume");
		return 0;
	}

	autofd int fd = fd_open(w->path, O_RDONLY | O_NONBLOCK);

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", w->path);
	zvol_name(fd, name);
	if (name[0] == '\0' || strchr(name, '@') != NULL) {
		finding_why(f, "it is a snapshot of a ZFS volume");
		return 0;
	}
	f->volume = volume(SNAP_ZVOL, name);
	f->volume.device = mem_strdup(w->path);
	f->inside = mem_strdup("");
	return 1;
}

int zfs_find(struct finding *f, struct err *e)
{
	const struct where *w = &f->where;

	if (w->block)
		return zvol_find(f, e);
	if (strcmp(w->fs, "zfs") != 0)
		return 0;
	if (strchr(w->source, '@') != NULL) {
		finding_why(f, "it is in the snapshot '%s'", w->source);
		return 0;
	}
	f->volume = volume(SNAP_ZFS, w->source);
	f->inside = mem_strdup(w->inside);
	return 1;
}

static const char **names_of(const struct snap_volume *const *v, size_t count)
{
	const char **names = mem_zalloc(count, sizeof(*names));

	for (size_t i = 0; i < count; i++)
		names[i] = v[i]->name;
	return names;
}

/* What all volumes are said to be, in one command. */
int zfs_identify(struct snap_plan *plan, const struct snap_time *t,
		 struct err *e)
{
	autofree const char **names =
		mem_zalloc(plan->volume_count, sizeof(*names));
	AUTO(table_fini) struct table got = TABLE_INIT;
	size_t n = 0;

	for (size_t i = 0; i < plan->volume_count; i++) {
		if (plan->volumes[i].kind == SNAP_ZFS ||
		    plan->volumes[i].kind == SNAP_ZVOL)
			names[n++] = plan->volumes[i].name;
	}
	if (n == 0)
		return 0;
	if (zfs_get("guid", names, n, t, &got, e) < 0)
		return -1;
	for (size_t i = 0; i < plan->volume_count; i++) {
		struct snap_volume *v = &plan->volumes[i];
		const char *guid = zfs_value(&got, v->name, "guid", NULL);

		if (v->id != NULL)
			continue;
		if (guid == NULL &&
		    (v->kind == SNAP_ZFS || v->kind == SNAP_ZVOL))
			return err_set(e, ERR_INTEGRITY,
				       "'zfs get' told no guid of '%s'",
				       v->name);
		if (guid != NULL)
			v->id = mem_strdup(guid);
	}
	return 0;
}

static int room(const char *const *names, size_t count,
		const struct snap_time *t, struct err *e)
{
	AUTO(table_fini) struct table got = TABLE_INIT;

	if (zfs_get("available", names, count, t, &got, e) < 0)
		return -1;
	for (size_t i = 0; i < got.rows; i++) {
		char text[NUM_TEXT];
		uint64_t bytes;

		if (!num_parse(table_get(&got, i, 2), &bytes))
			return err_set(e, ERR_INTEGRITY,
				       "'zfs get available' printed '%s'",
				       table_get(&got, i, 2));
		num_size_text(bytes, text);
		if (bytes < ROOM)
			return err_set(e, ERR_NO_SPACE,
				       "only %s are free for '%s': remove "
				       "snapshots, or add to the pool",
				       text, table_get(&got, i, 0));
	}
	return 0;
}

/* What waits for the next transaction group need not wait in the pause. */
static int ready(const struct snap_taking *t, struct err *e)
{
	const char *argv[] = { "zpool", "sync", t->volumes[0]->group, NULL };
	autofree const char **names = names_of(t->volumes, t->count);

	if (room(names, t->count, &t->time, e) < 0)
		return -1;
	return snap_tool(argv, NULL, &t->time, e);
}

/* The names "dataset@name" of all. */
struct full {
	char **names;
	size_t count;
};

static struct full full_of(const struct snap *const *snaps, size_t count)
{
	struct full f = { .names = mem_zalloc(count, sizeof(*f.names)),
			  .count = count };

	for (size_t i = 0; i < count; i++)
		f.names[i] = zfs_full(snaps[i]);
	return f;
}

static void full_fini(struct full *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->names[i]);
	free(f->names);
}

static int take(struct snap_taking *t, struct err *e)
{
	AUTO(full_fini)
	struct full f = full_of((const struct snap *const *)t->snaps, t->count);
	autofree char *tag = mem_fmt(SNAP_PROP "=%s", t->snaps[0]->set);
	autofree const char **argv = mem_zalloc(t->count + 5, sizeof(*argv));
	int64_t begin = clock_wall_ns();
	int64_t end;

	argv[0] = "zfs";
	argv[1] = "snapshot";
	argv[2] = "-o";
	argv[3] = tag;
	for (size_t i = 0; i < t->count; i++)
		argv[4 + i] = f.names[i];
	if (snap_tool(argv, NULL, &t->time, e) < 0) {
		if (strstr(e->msg, "out of space") != NULL)
			e->code = ERR_NO_SPACE;
		return -1;
	}
	end = clock_wall_ns();
	for (size_t i = 0; i < t->count; i++) {
		t->snaps[i]->begin_ns = begin;
		t->snaps[i]->end_ns = end;
	}
	return 0;
}

static int identify(struct snap_taking *t, struct err *e)
{
	AUTO(full_fini)
	struct full f = full_of((const struct snap *const *)t->snaps, t->count);
	AUTO(table_fini) struct table got = TABLE_INIT;

	if (zfs_get("guid", (const char *const *)f.names, f.count, &t->time,
		    &got, e) < 0)
		return -1;
	for (size_t i = 0; i < t->count; i++) {
		const char *guid = zfs_value(&got, f.names[i], "guid", NULL);

		if (guid == NULL)
			return err_set(e, ERR_INTEGRITY,
				       "'zfs get' told no guid of '%s'",
				       f.names[i]);
		free(t->snaps[i]->guid);
		t->snaps[i]->guid = mem_strdup(guid);
	}
	return 0;
}

/* Who holds it, for the user. */
static int held(const char *full, const struct snap_time *t, struct err *e)
{
	const char *argv[] = { "zfs", "holds", "-H", full, NULL };
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(table_fini) struct table got = TABLE_INIT;

	if (snap_tool(argv, &text, t, e) < 0 ||
	    table_parse(&text, '\t', 3, "zfs holds", &got, e) < 0)
		return -1;
	return err_set(e, ERR_BUSY,
		       "'%s' is held by '%s': zfs release, or let it go there",
		       full, got.rows ? table_get(&got, 0, 1) : "somebody");
}

static int drop_one(void *ctx, const struct snap *s, struct err *e)
{
	const struct snap_time *t = ctx;
	autofree char *full = zfs_full(s);
	AUTO(table_fini) struct table got = TABLE_INIT;

	if (zfs_ours(s, t, &got, e) < 0)
		return -1;

	const char *refs = zfs_value(&got, full, "userrefs", NULL);
	const char *clones = zfs_value(&got, full, "clones", NULL);

	if (refs != NULL && strcmp(refs, "0") != 0 && strcmp(refs, "-") != 0)
		return held(full, t, e);
	if (clones != NULL && clones[0] != '\0' && strcmp(clones, "-") != 0)
		return err_set(e, ERR_BUSY,
			       "'%s' has the clone '%s': destroy or promote "
			       "that first",
			       full, clones);
	return zfs_destroy(full, t, e);
}

static int drop(const struct snap *const *snaps, size_t count, bool *gone,
		const struct snap_time *t, struct err *e)
{
	return drop_each(snaps, count, gone, drop_one, (void *)(uintptr_t)t, e);
}

static int check(const struct snap *const *snaps, size_t count,
		 const struct snap_time *t, struct err *e)
{
	autofree const char **names = mem_zalloc(count, sizeof(*names));

	for (size_t i = 0; i < count; i++)
		names[i] = snaps[i]->volume;
	return room(names, count, t, e);
}

/* Snapshots whose tag is their own, not of the dataset or received. */
static int tagged(const struct snap_volume *const *volumes, size_t count,
		  const struct snap_time *t, struct table *got, struct err *e)
{
	static const char *const words[] = {
		"zfs", "get",   "-Hp", "-o",       "name,value",
		"-s",  "local", "-t",  "snapshot",
	};
	autofree const char **argv = mem_zalloc(count + 16, sizeof(*argv));
	AUTO(buf_fini) struct buf text = BUF_INIT;
	size_t n = 0;

	for (; n < sizeof(words) / sizeof(*words); n++)
		argv[n] = words[n];
	if (volumes != NULL) {
		argv[n++] = "-d";
		argv[n++] = "1";
	}
	argv[n++] = SNAP_PROP;
	for (size_t i = 0; i < count; i++)
		argv[n++] = volumes[i]->name;
	if (snap_tool(argv, &text, t, e) < 0)
		return -1;
	return table_parse(&text, '\t', 2, "zfs get", got, e);
}

/* One of those that were found, as what it is. */
static int list_add(const struct table *tags, size_t row,
		    const struct snap_time *t, struct snaps *snaps,
		    struct err *e)
{
	autofree char *volume = mem_strdup(table_get(tags, row, 0));
	char *at = strchr(volume, '@');
	AUTO(table_fini) struct table got = TABLE_INIT;
	const char *names[] = { table_get(tags, row, 0), volume };
	char *set = tags->cells[row * tags->columns + 1];

	if (at == NULL || !snap_name_valid(at + 1) || !snap_set_valid(set))
		return 0;
	*at = '\0';
	if (zfs_get("guid,type", names, 2, t, &got, e) < 0)
		return -1;

	const char *guid = zfs_value(&got, names[0], "guid", NULL);
	const char *type = zfs_value(&got, volume, "type", NULL);

	if (guid == NULL || type == NULL)
		return err_set(e, ERR_INTEGRITY,
			       "'zfs get' told no guid of "
			       "'%s'",
			       names[0]);
	snaps_add(snaps, &(struct snap){ .kind = strcmp(type, "volume") == 0
							 ? SNAP_ZVOL
							 : SNAP_ZFS,
					 .volume = volume,
					 .name = at + 1,
					 .guid = (char *)(uintptr_t)guid,
					 .set = set,
					 .fs = (char[]){ "" } });
	return 0;
}

static int list(const struct snap_volume *const *volumes, size_t count,
		struct snaps *snaps, const struct snap_time *t, struct err *e)
{
	AUTO(table_fini) struct table tags = TABLE_INIT;

	if (tagged(volumes, count, t, &tags, e) < 0) {
		if (e->code != ERR_REFUSED || volumes != NULL)
			return -1;
		err_clear(e); /* there is no zfs(8) */
		return 0;
	}
	for (size_t i = 0; i < tags.rows; i++) {
		if (list_add(&tags, i, t, snaps, e) < 0)
			return -1;
	}
	return 0;
}

const struct snap_backend snap_zfs = {
	.ready = ready,
	.take = take,
	.identify = identify,
	.drop = drop,
	.view = zfs_view,
	.unview = zfs_unview,
	.check = check,
	.list = list,
};
