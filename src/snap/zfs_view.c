/* SPDX-License-Identifier: Apache-2.0 */

/* Reading snapshots of ZFS. */

#include "snap/zfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "snap/mount.h"

#define NAP_NS 20000000

/* A snapshot can be mounted like a dataset; .zfs would need to be reached at
 * its mount point, and mounts it for all to see. */
static int files_view(struct snap_view *v, struct err *e)
{
	static const char *const none[] = { NULL };
	autofree char *full = zfs_full(&v->snap);

	if (mount_hidden("zfs", full, none, &v->root, e) < 0)
		return -1;
	v->base = snap_view_fd_base(v->root);
	return 0;
}

static int clone_make(const struct snap_view *v, struct err *e)
{
	autofree char *full = zfs_full(&v->snap);
	autofree char *tag = mem_fmt(ZFS_PROP_VIEW "=%s", v->snap.set);
	const char *argv[] = { "zfs", "clone",       "-o", "readonly=on",
			       "-o",  "volmode=dev", "-o", "snapdev=hidden",
			       "-o",  tag,           full, v->thing,
			       NULL };

	return snap_tool(argv, NULL, &v->time, e);
}

/* The kernel's own name of a device that is the clone's, opened into *fd; NULL
 * when it is another's, or cannot be had just now. */
static char *device_open(const char *path, const char *clone, int *fd)
{
	autofd int got = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char name[ZFS_NAME_MAX];
	char *real;

	if (got < 0)
		return NULL;
	zvol_name(got, name);
	if (strcmp(name, clone) != 0)
		return NULL;
	real = realpath(path, NULL);
	if (real != NULL)
		*fd = fd_take(&got);
	return real;
}

static void dir_close(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

/* The kernel makes /dev/zdN by itself; the link in /dev/zvol is udev's, which
 * may be late, or not be there at all.  NULL when it is not there yet. */
static char *device_seek(const char *clone, int *fd)
{
	autofree char *link = mem_fmt("/dev/zvol/%s", clone);
	AUTO(dir_close) DIR *dir = NULL;
	char *found = device_open(link, clone, fd);

	if (found != NULL)
		return found;
	dir = opendir("/sys/block");
	for (struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
		autofree char *path = mem_fmt("/dev/%s", d->d_name);

		if (strncmp(d->d_name, "zd", 2) == 0)
			found = device_open(path, clone, fd);
		if (found != NULL)
			return found;
	}
	return NULL;
}

/* Until it can be opened: see fd_open().  It stays open, so that whoever reads
 * it (qemu-nbd) is not the first to open it, and named as the kernel does, for
 * the link may go and come once more while udev is at it. */
static char *device_wait(struct snap_view *v, struct err *e)
{
	struct timespec nap = { .tv_nsec = NAP_NS };

	for (;;) {
		char *path = device_seek(v->thing, &v->device);

		if (path != NULL)
			return path;
		if (snap_time_left(&v->time, v->thing, e) == 0) {
			err_ctx(e, "its device did not appear");
			return NULL;
		}
		nanosleep(&nap, NULL);
	}
}

static int volume_view(struct snap_view *v, struct err *e)
{
	/* beside the volume: encryption and quotas are the same there */
	if (snap_view_intent_new(v, e) < 0 || clone_make(v, e) < 0)
		return -1;
	v->base = device_wait(v, e);
	return v->base ? 0 : -1;
}

int zfs_view(struct snap_view *v, struct err *e)
{
	AUTO(table_fini) struct table got = TABLE_INIT;

	if (zfs_ours(&v->snap, &v->time, &got, e) < 0)
		return -1;
	return v->snap.kind == SNAP_ZFS ? files_view(v, e) : volume_view(v, e);
}

int zfs_unview(const struct snap_thing *thing, const struct snap_time *t,
	       struct err *e)
{
	const char *names[] = { thing->name };
	AUTO(table_fini) struct table got = TABLE_INIT;
	struct err more = ERR_INIT;
	bool local = false;
	const char *set;

	if (zfs_get(ZFS_PROP_VIEW, names, 1, t, &got, e) < 0) {
		if (zfs_missing(thing->name, t, &more) != 1)
			return -1;
		err_clear(e);
		return 0;
	}
	set = zfs_value(&got, thing->name, ZFS_PROP_VIEW, &local);
	if (set == NULL || !local || strcmp(set, thing->set) != 0)
		return err_set(e, ERR_REFUSED,
			       "'%s' is not the clone that was made",
			       thing->name);
	return zfs_destroy(thing->name, t, e);
}
