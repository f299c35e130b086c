/* SPDX-License-Identifier: Apache-2.0 */

/* Reading snapshots of LVM. */

#include "snap/lvm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "snap/mount.h"

#define NAP_NS 20000000

static int command(const struct snap_time *t, struct err *e,
		   const char *const *argv)
{
	return snap_tool(argv, NULL, t, e);
}

#define COMMAND(t, e, ...)                                                     \
	command((t), (e), (const char *const[]){ __VA_ARGS__, NULL })

/* The kernel makes /dev/dm-N by itself, with or without udev; dmsetup(8) has
 * to where /dev is not the kernel's. */
static char *node_seek(const struct lv *lv)
{
	autofree char *path = mem_fmt("/dev/dm-%d", lv->minor);
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode) ||
	    st.st_rdev != makedev((unsigned)lv->major, (unsigned)lv->minor))
		return NULL;
	return mem_take(&path);
}

static char *node_mapper(const char *name, const struct lv *lv)
{
	autofree char *path = mem_fmt("/dev/%s", name);
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode) ||
	    st.st_rdev != makedev((unsigned)lv->major, (unsigned)lv->minor))
		return NULL;
	return mem_take(&path);
}

/* The device of an active LV; NULL when there is none in time. */
static char *node_wait(const char *name, const struct lv *lv,
		       const struct snap_time *t, struct err *e)
{
	struct timespec nap = { .tv_nsec = NAP_NS };
	bool asked = false;

	if (lv->minor < 0) {
		err_set(e, ERR_FAILED, "the LV '%s' did not become active",
			name);
		return NULL;
	}
	for (;;) {
		char *path = node_seek(lv);

		if (path == NULL)
			path = node_mapper(name, lv);
		if (path != NULL)
			return path;
		if (!asked && COMMAND(t, e, "dmsetup", "mknodes") < 0)
			return NULL;
		asked = true;
		if (snap_time_left(t, name, e) == 0) {
			err_ctx(e, "its device did not appear");
			return NULL;
		}
		nanosleep(&nap, NULL);
	}
}

/* The LV as it is now, and its device. */
static char *device_of(const char *name, const struct snap_time *t,
		       struct err *e)
{
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };
	const struct lv *lv;

	if (lvm_list(t, &l, e) < 0)
		return NULL;
	lv = lvm_find(&l, name);
	if (lv == NULL) {
		err_set(e, ERR_NOT_FOUND, "there is no LV '%s'", name);
		return NULL;
	}
	return node_wait(name, lv, t, e);
}

/* A thick one is active with its origin; a thin one is activated against its
 * skip flag, and deactivated by the close, if nobody else did it. */
static int activate(struct snap_view *v, const struct lv *lv, struct err *e)
{
	autofree char *full = lvm_full(&v->snap);

	if (lv->minor >= 0)
		return 0;
	if (lv->thin && snap_view_intent(v, mem_strdup(full), true, e) < 0)
		return -1;
	return COMMAND(&v->time, e, "lvchange", "-qq", "-y", "-ay", "-K", full);
}

/* A writable snapshot of the thin snap, for its journal to be replayed. */
static int working_copy(struct snap_view *v, struct err *e)
{
	autofree char *full = lvm_full(&v->snap);
	autofree char *tag = mem_fmt(LVM_TAG_VIEW "%s", v->snap.set);

	if (snap_view_intent_new(v, e) < 0)
		return -1;
	return COMMAND(&v->time, e, "lvcreate", "-qq", "-y", "-s", "-kn", "-p",
		       "rw", "-n", path_base(v->thing), "--addtag", SNAP_TAG,
		       "--addtag", tag, full);
}

/* The option that leaves the journal alone. */
static const char *no_journal(const char *fs)
{
	if (strcmp(fs, "xfs") == 0)
		return "norecovery";
	if (strcmp(fs, "ext4") == 0 || strcmp(fs, "ext3") == 0)
		return "noload";
	return NULL;
}

/* The original is mounted too: XFS minds two of one UUID. */
static int mount_device(struct snap_view *v, const char *device, struct err *e)
{
	const char *fs = v->snap.fs;
	const char *nouuid = strcmp(fs, "xfs") == 0 ? "nouuid" : NULL;
	const char *flags[] = { nouuid, NULL, NULL };
	const char **more = nouuid ? &flags[1] : &flags[0];
	struct err again = ERR_INIT;

	if (mount_hidden(fs, device, flags, &v->root, e) == 0)
		return 0;
	*more = no_journal(fs);
	if (*more == NULL ||
	    mount_hidden(fs, device, flags, &v->root, &again) < 0)
		return -1;
	v->warning = mem_fmt("the file system of '%s' could only be opened "
			     "without its journal: %s",
			     v->snap.volume, e->msg);
	err_clear(e);
	return 0;
}

static int files_view(struct snap_view *v, const struct lv *lv, struct err *e)
{
	autofree char *full = lvm_full(&v->snap);
	autofree char *device = NULL;

	if (lv->thin ? working_copy(v, e) < 0 : activate(v, lv, e) < 0)
		return -1;
	device = device_of(v->thing ? v->thing : full, &v->time, e);
	if (device == NULL || mount_device(v, device, e) < 0)
		return -1;
	v->base = snap_view_fd_base(v->root);
	return 0;
}

int lvm_view(struct snap_view *v, struct err *e)
{
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };
	autofree char *full = lvm_full(&v->snap);
	const struct lv *lv;

	if (lvm_list(&v->time, &l, e) < 0)
		return -1;
	lv = lvm_ours(&l, &v->snap, e);
	if (lv == NULL)
		return -1;
	if (lv->invalid)
		return err_set(e, ERR_NO_SPACE,
			       "it has overflowed, and what it held is lost "
			       "(a larger --snapshot-size keeps the next one)");
	if (v->snap.fs[0])
		return files_view(v, lv, e);
	if (activate(v, lv, e) < 0)
		return -1;
	v->base = device_of(full, &v->time, e);
	return v->base ? 0 : -1;
}

int lvm_unview(const struct snap_thing *thing, const struct snap_time *t,
	       struct err *e)
{
	autofree char *tag = mem_fmt(
		"%s%s", thing->kept ? SNAP_TAGSET : LVM_TAG_VIEW, thing->set);
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };
	const struct lv *lv;

	if (lvm_list(t, &l, e) < 0)
		return -1;
	lv = lvm_find(&l, thing->name);
	if (lv == NULL && !lvm_has_vg(&l, thing->name))
		return err_set(e, ERR_FAILED,
			       "the volume group of '%s' is not there",
			       thing->name);
	if (lv == NULL)
		return 0;
	if (!lv_tagged(lv, SNAP_TAG) || !lv_tagged(lv, tag))
		return err_set(e, ERR_REFUSED,
			       "the LV '%s' is not the one that was made",
			       thing->name);
	if (!thing->kept)
		return lvm_remove(thing->name, t, e);
	if (lv->minor < 0)
		return 0;
	return COMMAND(t, e, "lvchange", "-qq", "-y", "-an", thing->name);
}
