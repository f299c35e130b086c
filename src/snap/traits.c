/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/traits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "snap/traits_disk.h"
#include "snap/traits_parse.h"
#include "snap/traits_tools.h"
#include "snap/where.h"

#define MAX_MOUNTS (16u << 20)

/* OpenZFS, include/sys/fs/zfs.h: the dataset of a zvol. */
#define ZVOL_NAME     256
#define ZVOL_NAME_GET _IOR(0x12, 125, char[ZVOL_NAME])

/* ---- one volume ---- */

/* The index of a volume of this name, made when it is not there. */
static size_t volume_of(struct traits *t, const char *name)
{
	for (size_t i = 0; i < t->volume_count; i++)
		if (strcmp(t->volumes[i].name, name) == 0)
			return i;
	t->volumes =
		mem_grow(t->volumes, t->volume_count + 1, sizeof(*t->volumes));
	t->volumes[t->volume_count] = (struct traits_volume){
		.name = mem_strdup(name),
		.pool = TRAITS_NONE,
	};
	return t->volume_count++;
}

static void add_disk(struct traits_volume *v, char *name)
{
	v->disks = mem_grow(v->disks, v->disk_count + 1, sizeof(*v->disks));
	v->disks[v->disk_count++] = name;
}

static void on_disk(void *ctx, const char *name)
{
	add_disk(ctx, mem_strdup(name));
}

static void join_zpool(struct traits *t, size_t at)
{
	autofree char *pool = mem_strdup(t->volumes[at].name);

	pool[strcspn(pool, "/")] = '\0';
	t->volumes[at].pool = traits_pool_of(t, true, pool);
	add_disk(&t->volumes[at], mem_fmt("zpool %s", pool));
}

/* ---- a device ---- */

static void fill_device(struct traits *t, size_t at, int fd, dev_t rdev)
{
	struct traits_volume *v = &t->volumes[at];
	char zvol[ZVOL_NAME] = "";

	v->major = major(rdev);
	v->minor = minor(rdev);
	(void)ioctl(fd, BLKGETSIZE64, &v->size);
	v->physical = disk_physical(v->major, v->minor);
	if (disk_is_zvol(v->major, v->minor) &&
	    ioctl(fd, ZVOL_NAME_GET, zvol) == 0) {
		zvol[ZVOL_NAME - 1] = '\0';
		free(v->name);
		v->name = mem_strdup(zvol);
		v->kind = TRAITS_ZVOL;
		join_zpool(t, at);
	} else {
		disk_each(v->major, v->minor, on_disk, v);
	}
}

static size_t device(struct traits *t, int fd, const char *path,
		     const struct stat *st)
{
	autofree char *real = realpath(path, NULL);

	for (size_t i = 0; i < t->volume_count; i++)
		if (t->volumes[i].fs == NULL &&
		    t->volumes[i].major == major(st->st_rdev) &&
		    t->volumes[i].minor == minor(st->st_rdev))
			return i;
	size_t at = volume_of(t, real != NULL ? real : path);

	t->volumes[at].source = mem_strdup(t->volumes[at].name);
	fill_device(t, at, fd, st->st_rdev);
	return at;
}

/* ---- a file system ---- */

static bool find_mount(int fd, struct where *w)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct statx sx;
	struct err ignored = ERR_INIT;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0 ||
	    !(sx.stx_mask & STATX_MNT_ID) ||
	    file_load("/proc/self/mountinfo", MAX_MOUNTS, &text, &ignored) < 0)
		return false;
	*buf_room(&text, 1) = 0;
	w->mount_id = sx.stx_mnt_id;
	return where_parse((const char *)text.p, w);
}

static void fill_space(int fd, struct traits_volume *v)
{
	struct statvfs s;

	if (fstatvfs(fd, &s) < 0)
		return;
	v->size = (uint64_t)s.f_blocks * s.f_frsize;
	v->free = (uint64_t)s.f_bavail * s.f_frsize;
}

static void fill_mount(struct traits *t, size_t at, int fd, struct where *w)
{
	struct traits_volume *v = &t->volumes[at];

	v->fs = mem_take(&w->fs);
	v->source = mem_take(&w->source);
	v->mount = mem_take(&w->mount);
	v->nodatacow = traits_has_option(w->options, "nodatacow");
	v->nodatasum =
		v->nodatacow || traits_has_option(w->options, "nodatasum");
	v->memory = strcmp(v->fs, "tmpfs") == 0 || strcmp(v->fs, "ramfs") == 0;
	fill_space(fd, v);
	if (strcmp(v->fs, "zfs") == 0) {
		v->kind = TRAITS_DATASET;
		join_zpool(t, at);
		return;
	}
	disk_of_source(v->source, &v->major, &v->minor);
	v->physical = disk_physical(v->major, v->minor);
	disk_each(v->major, v->minor, on_disk, v);
}

static size_t file_system(struct traits *t, int fd, const struct stat *st)
{
	AUTO(where_fini) struct where w = { .path = NULL };

	if (!find_mount(fd, &w))
		return TRAITS_NONE;
	bool zfs = strcmp(w.fs, "zfs") == 0;
	size_t at = volume_of(t, zfs ? w.source : w.mount);

	if (t->volumes[at].fs == NULL) {
		t->volumes[at].dev = st->st_dev;
		t->volumes[at].major = major(st->st_dev);
		t->volumes[at].minor = minor(st->st_dev);
		fill_mount(t, at, fd, &w);
	}
	return at;
}

/* ---- all of them ---- */

static void look_at(struct traits *t, const char *path, struct traits_file *to)
{
	struct stat st;
	autofd int fd = fd_open(path, O_RDONLY | O_NONBLOCK);
	int flags = 0;

	if (fd < 0) /* what may not be read still is somewhere */
		fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	if (S_ISBLK(st.st_mode)) {
		to->volume = device(t, fd, path, &st);
		return;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return;
	to->volume = file_system(t, fd, &st);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
		to->nocow = flags & FS_NOCOW_FL;
}

void traits_read(const char *const *paths, size_t count, struct traits *t)
{
	*t = (struct traits){
		.files = mem_zalloc(count, sizeof(*t->files)),
		.file_count = count,
	};
	for (size_t i = 0; i < count; i++) {
		t->files[i].volume = TRAITS_NONE;
		look_at(t, paths[i], &t->files[i]);
	}
	tools_zfs(t);
	tools_lvm(t);
}

void traits_fini(struct traits *t)
{
	for (size_t i = 0; i < t->volume_count; i++) {
		struct traits_volume *v = &t->volumes[i];

		for (size_t n = 0; n < v->disk_count; n++)
			free(v->disks[n]);
		free(v->disks);
		free(v->name);
		free(v->fs);
		free(v->source);
		free(v->mount);
	}
	for (size_t i = 0; i < t->pool_count; i++) {
		free(t->pools[i].name);
		free(t->pools[i].health);
	}
	free(t->files);
	free(t->volumes);
	free(t->pools);
	*t = (struct traits){ .files = NULL };
}

bool traits_cow(const struct traits_file *f, const struct traits_volume *v)
{
	if (v->fs == NULL)
		return v->kind == TRAITS_ZVOL;
	if (strcmp(v->fs, "btrfs") == 0 || strcmp(v->fs, "bcachefs") == 0)
		return !f->nocow && !v->nodatacow;
	return strcmp(v->fs, "zfs") == 0;
}

bool traits_same_disk(const struct traits_volume *a,
		      const struct traits_volume *b)
{
	for (size_t i = 0; i < a->disk_count; i++)
		for (size_t n = 0; n < b->disk_count; n++)
			if (strcmp(a->disks[i], b->disks[n]) == 0)
				return true;
	return false;
}
