/* SPDX-License-Identifier: Apache-2.0 */

/* Subvolumes, by ioctl: btrfs(8) has no machine-readable form in 6.2. */

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "snap/drop.h"
#include "snap/find.h"
#include "snap/folder.h"

/* The inode of every subvolume's root (BTRFS_FIRST_FREE_OBJECTID). */
#define ROOT_INODE 256
#define UUID_TEXT  (2 * BTRFS_UUID_SIZE + 1)

struct subvolume {
	char uuid[UUID_TEXT];
	char parent[UUID_TEXT];
	bool readonly;
};

/* ERR_REFUSED when it is no subvolume's root. */
static int look(int fd, const char *path, struct subvolume *s, struct err *e)
{
	struct btrfs_ioctl_get_subvol_info_args info = { .treeid = 0 };
	uint64_t flags = 0;
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if (st.st_ino != ROOT_INODE || !S_ISDIR(st.st_mode) ||
	    (unsigned long)fs.f_type != BTRFS_SUPER_MAGIC)
		return err_set(e, ERR_REFUSED, "'%s' is no btrfs subvolume",
			       path);
	if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &info) < 0 ||
	    ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) < 0)
		return err_sys(e, "cannot ask for the subvolume '%s'", path);
	hex_encode(info.uuid, BTRFS_UUID_SIZE, s->uuid);
	hex_encode(info.parent_uuid, BTRFS_UUID_SIZE, s->parent);
	s->readonly = (flags & BTRFS_SUBVOL_RDONLY) != 0;
	return 0;
}

static int look_at(int dir, const char *name, const char *path,
		   struct subvolume *s, struct err *e)
{
	autofd int fd = openat(dir, name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	return look(fd, path, s, e);
}

/* The root of the subvolume that has the file: upwards, as long as it is the
 * same mount.  NULL when it is not mounted as far as that. */
static char *root_above(const struct where *w)
{
	autofree char *dir = mem_strdup(w->path);

	for (;;) {
		char *slash = strrchr(dir, '/');
		struct statx st;

		if (slash == NULL)
			return NULL;
		slash[slash == dir ? 1 : 0] = '\0';
		if (statx(AT_FDCWD, dir, AT_SYMLINK_NOFOLLOW,
			  STATX_INO | STATX_MNT_ID, &st) < 0 ||
		    st.stx_mnt_id != w->mount_id)
			return NULL;
		if (st.stx_ino == ROOT_INODE)
			return mem_take(&dir);
		if (slash == dir)
			return NULL;
	}
}

int btrfs_find(struct finding *f, struct err *e)
{
	const struct where *w = &f->where;
	autofree char *root = NULL;
	struct subvolume s;

	if (w->block || strcmp(w->fs, "btrfs") != 0)
		return 0;
	root = root_above(w);
	if (root == NULL) {
		finding_why(f, "the root of its subvolume is not mounted");
		return 0;
	}
	if (look_at(AT_FDCWD, root, root, &s, e) < 0)
		return -1;
	if (s.readonly) {
		finding_why(f, "the subvolume '%s' is read-only", root);
		return 0;
	}

	const char *rest = w->path + strlen(root);

	f->inside = mem_strdup(*rest == '/' ? rest + 1 : rest);
	f->volume = (struct snap_volume){ .kind = SNAP_BTRFS,
					  .name = mem_take(&root),
					  .id = mem_strdup(s.uuid),
					  .group = mem_strdup("btrfs"),
					  .fs = mem_strdup("") };
	return 1;
}

static int take_one(const struct snap_volume *v, struct snap *s, struct err *e)
{
	struct btrfs_ioctl_vol_args_v2 args = { .flags = BTRFS_SUBVOL_RDONLY };
	autofree char *path = folder_path(v->name, s->name);
	struct subvolume sub;
	autofd int folder = -1;
	autofd int from = open(v->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (from < 0)
		return err_sys(e, "cannot open '%s'", v->name);
	if (look(from, v->name, &sub, e) < 0)
		return -1;
	if (strcmp(sub.uuid, v->id) != 0)
		return err_set(e, ERR_NOT_FOUND,
			       "'%s' is another subvolume than it was",
			       v->name);
	if (folder_open(v->name, true, &folder, e) < 0)
		return -1;
	args.fd = from;
	memcpy(args.name, s->name, strlen(s->name) + 1);
	s->begin_ns = clock_wall_ns();
	if (ioctl(folder, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0)
		return err_sys(e, "cannot make the snapshot '%s'", path);
	s->end_ns = clock_wall_ns();
	if (look_at(folder, s->name, path, &sub, e) < 0)
		return -1;
	free(s->guid);
	s->guid = mem_strdup(sub.uuid);
	return 0;
}

static int take(struct snap_taking *t, struct err *e)
{
	return folder_take(t, take_one, e);
}

/* The snapshot as it is there, and that it is ours.  *folder is its folder.
 * ERR_NOT_FOUND when it is gone. */
static int find_snap(const struct snap *s, int *folder, struct subvolume *sub,
		     struct err *e)
{
	autofree char *path = folder_path(s->volume, s->name);
	struct subvolume of;
	autofd int dir = -1;

	if (look_at(AT_FDCWD, s->volume, s->volume, &of, e) < 0 ||
	    folder_open(s->volume, false, &dir, e) < 0 ||
	    look_at(dir, s->name, path, sub, e) < 0)
		return -1;
	if (!sub->readonly || (s->guid[0] ? strcmp(sub->uuid, s->guid) != 0
					  : strcmp(sub->parent, of.uuid) != 0))
		return err_set(e, ERR_REFUSED,
			       "'%s' is not the snapshot that was made", path);
	*folder = fd_take(&dir);
	return 0;
}

/* What is not mounted is not gone. */
static int missing(const struct snap *s, struct err *e)
{
	if (e->code != ERR_NOT_FOUND)
		return -1;
	if (file_exists(s->volume))
		folder_tidy(s->volume);
	else
		e->code = ERR_FAILED;
	return -1;
}

static int drop_one(void *ctx, const struct snap *s, struct err *e)
{
	struct btrfs_ioctl_vol_args args = { .fd = 0 };
	struct subvolume sub;
	autofd int folder = -1;

	(void)ctx;
	if (find_snap(s, &folder, &sub, e) < 0)
		return missing(s, e);
	memcpy(args.name, s->name, strlen(s->name) + 1);
	if (ioctl(folder, BTRFS_IOC_SNAP_DESTROY, &args) < 0)
		return err_sys(e, "cannot remove the snapshot '%s' of '%s'",
			       s->name, s->volume);
	folder_tidy(s->volume);
	return 0;
}

static int drop(const struct snap *const *snaps, size_t count, bool *gone,
		const struct snap_time *t, struct err *e)
{
	(void)t;
	return drop_each(snaps, count, gone, drop_one, NULL, e);
}

static int view(struct snap_view *v, struct err *e)
{
	struct subvolume sub;
	autofd int folder = -1;

	if (find_snap(&v->snap, &folder, &sub, e) < 0)
		return -1;
	v->root = openat(folder, v->snap.name,
			 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (v->root < 0)
		return err_sys(e, "cannot open '%s'", v->snap.name);
	v->base = folder_path(v->snap.volume, v->snap.name);
	return 0;
}

struct listing {
	const struct snap_volume *volume;
	const char *uuid;
	struct snaps *snaps;
};

/* The set of a name is not known but for its first digits. */
static int list_one(void *ctx, int folder, const char *name, struct err *e)
{
	struct listing *l = ctx;
	struct subvolume sub;
	char set[] = "00000000";

	if (look_at(folder, name, name, &sub, e) < 0) {
		err_clear(e);
		return 0;
	}
	if (strcmp(sub.parent, l->uuid) != 0 || !sub.readonly)
		return 0;
	memcpy(set, strchr(name, 'Z') + 2, sizeof(set) - 1);
	snaps_add(l->snaps, &(struct snap){ .kind = SNAP_BTRFS,
					    .volume = l->volume->name,
					    .name = (char *)(uintptr_t)name,
					    .guid = sub.uuid,
					    .set = set,
					    .fs = (char[]){ "" } });
	return 0;
}

static int list(const struct snap_volume *const *volumes, size_t count,
		struct snaps *snaps, const struct snap_time *t, struct err *e)
{
	(void)t;
	for (size_t i = 0; i < count; i++) {
		struct subvolume sub;
		struct listing l = { volumes[i], sub.uuid, snaps };

		if (look_at(AT_FDCWD, volumes[i]->name, volumes[i]->name, &sub,
			    e) < 0 ||
		    folder_each(volumes[i]->name, &l, list_one, e) < 0)
			return -1;
	}
	return 0;
}

const struct snap_backend snap_btrfs = {
	.ready = folder_ready,
	.take = take,
	.drop = drop,
	.view = view,
	.check = folder_check,
	.list = list,
};
