/* SPDX-License-Identifier: Apache-2.0 */

/* Copies of single files that share their blocks: ioctl_ficlone(2). */

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "snap/drop.h"
#include "snap/find.h"
#include "snap/folder.h"

/* Can files be cloned in this folder?  Two empty ones tell, by a file system
 * that checks first whether it can at all: 1, 0, -1. */
static int probe(const char *dir, struct finding *f, struct err *e)
{
	autofd int a = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	autofd int b = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (a < 0 || b < 0) {
		finding_why(f, "nothing can be written to '%s': %s", dir,
			    strerror(errno));
		return 0;
	}
	if (pwrite(a, "vmkeep", 6, 0) != 6)
		return err_sys(e, "cannot write to '%s'", dir);
	if (ioctl(b, FICLONE, a) < 0 || fsetxattr(b, SNAP_ATTR, "", 0, 0) < 0) {
		finding_why(f, "files there cannot be cloned: %s",
			    strerror(errno));
		return 0;
	}
	return 1;
}

int reflink_find(struct finding *f, struct err *e)
{
	const struct where *w = &f->where;
	char id[FOLDER_ID];

	if (w->block)
		return 0;

	autofree char *dir = path_dir(w->path);
	int rc = probe(dir, f, e);

	if (rc <= 0)
		return rc;

	autofd int fd = open(w->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", w->path);
	if (folder_id(fd, w->path, id, e) < 0)
		return -1;
	f->inside = mem_strdup(path_base(w->path));
	f->volume = (struct snap_volume){ .kind = SNAP_REFLINK,
					  .name = mem_strdup(w->path),
					  .id = mem_strdup(id),
					  .group = mem_strdup("reflink"),
					  .fs = mem_strdup("") };
	return 1;
}

/* btrfs clones only between files that both have checksums or both not. */
static void nocow_too(int from, int to)
{
	int flags = 0;
	int have = 0;

	if (ioctl(from, FS_IOC_GETFLAGS, &flags) < 0 ||
	    (flags & FS_NOCOW_FL) == 0 || ioctl(to, FS_IOC_GETFLAGS, &have) < 0)
		return;
	have |= FS_NOCOW_FL;
	ioctl(to, FS_IOC_SETFLAGS, &have);
}

/* A name only when it is whole: what is killed before leaves nothing. */
static int clone_to(int from, int folder, struct snap *s, struct err *e)
{
	autofree char *link = NULL;
	const char *of = path_base(s->volume);
	char id[FOLDER_ID];
	autofd int to =
		openat(folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (to < 0)
		return err_sys(e, "cannot make a file beside '%s'", s->volume);
	nocow_too(from, to);
	if (fsetxattr(to, SNAP_ATTR, s->set, strlen(s->set), 0) < 0 ||
	    fsetxattr(to, SNAP_ATTR_FILE, of, strlen(of), 0) < 0)
		return err_sys(e, "cannot mark the copy of '%s'", s->volume);
	s->begin_ns = clock_wall_ns();
	if (ioctl(to, FICLONE, from) < 0)
		return err_sys(e, "cannot clone '%s'", s->volume);
	s->end_ns = clock_wall_ns();
	link = mem_fmt("/proc/self/fd/%d", to);
	if (linkat(AT_FDCWD, link, folder, s->name, AT_SYMLINK_FOLLOW) < 0)
		return err_sys(e, "cannot name the copy of '%s'", s->volume);
	if (folder_id(to, s->volume, id, e) < 0)
		return -1;
	free(s->guid);
	s->guid = mem_strdup(id);
	return 0;
}

static int take_one(const struct snap_volume *v, struct snap *s, struct err *e)
{
	autofree char *dir = path_dir(v->name);
	char id[FOLDER_ID];
	autofd int folder = -1;
	autofd int from = open(v->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (from < 0)
		return err_sys(e, "cannot open '%s'", v->name);
	if (folder_id(from, v->name, id, e) < 0)
		return -1;
	if (strcmp(id, v->id) != 0)
		return err_set(e, ERR_NOT_FOUND,
			       "'%s' is another file than it was", v->name);
	if (folder_open(dir, true, &folder, e) < 0)
		return -1;
	return clone_to(from, folder, s, e);
}

static int folders_sync(const struct snap_taking *t, struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		autofree char *dir = path_dir(t->volumes[i]->name);
		autofree char *folder = path_join(dir, SNAP_FOLDER);

		if (dir_sync(folder, e) < 0 || dir_sync(dir, e) < 0)
			return -1;
	}
	return 0;
}

static int take(struct snap_taking *t, struct err *e)
{
	return folder_take(t, take_one, e) < 0 ? -1 : folders_sync(t, e);
}

/* Is what is open here ours, and that one? */
static int ours(int fd, const struct snap *s, struct err *e)
{
	char id[FOLDER_ID];
	char set[80];
	ssize_t n = fgetxattr(fd, SNAP_ATTR, set, sizeof(set));

	if (folder_id(fd, s->name, id, e) < 0)
		return -1;
	if (n < 0 || (size_t)n != strlen(s->set) ||
	    memcmp(set, s->set, (size_t)n) != 0 ||
	    (s->guid[0] && strcmp(id, s->guid) != 0))
		return err_set(e, ERR_REFUSED,
			       "'%s' in '" SNAP_FOLDER "' beside '%s' is not "
			       "the copy that was made",
			       s->name, s->volume);
	return 0;
}

/* Open the copy, having seen that it is the one. */
static int find_snap(const struct snap *s, int *folder, int *file,
		     struct err *e)
{
	autofree char *dir = path_dir(s->volume);
	autofd int in = -1;

	if (folder_open(dir, false, &in, e) < 0)
		return -1;

	autofd int fd = openat(in, s->name,
			       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot open the copy '%s' of '%s'", s->name,
			       s->volume);
	if (ours(fd, s, e) < 0)
		return -1;
	*folder = fd_take(&in);
	*file = fd_take(&fd);
	return 0;
}

/* A file system that is not mounted has nothing either. */
static bool mounted(const struct snap *s, const char *dir)
{
	autofree char *folder = path_join(dir, SNAP_FOLDER);

	return file_exists(s->volume) || file_exists(folder);
}

static int missing(const struct snap *s, const char *dir, struct err *e)
{
	if (e->code != ERR_NOT_FOUND)
		return -1;
	if (mounted(s, dir))
		folder_tidy(dir);
	else
		e->code = ERR_FAILED;
	return -1;
}

static int drop_one(void *ctx, const struct snap *s, struct err *e)
{
	autofree char *dir = path_dir(s->volume);
	autofd int folder = -1;
	autofd int file = -1;

	(void)ctx;
	if (find_snap(s, &folder, &file, e) < 0)
		return missing(s, dir, e);
	if (unlinkat(folder, s->name, 0) < 0 || fsync(folder) < 0)
		return err_sys(e, "cannot remove the copy '%s' of '%s'",
			       s->name, s->volume);
	folder_tidy(dir);
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
	autofree char *dir = path_dir(v->snap.volume);
	autofd int folder = -1;
	autofd int file = -1;

	if (find_snap(&v->snap, &folder, &file, e) < 0)
		return -1;
	v->base = folder_path(dir, v->snap.name);
	return 0;
}

struct listing {
	const struct snap_volume *volume;
	struct snaps *snaps;
};

/* An attribute as a string; false when there is none. */
static bool attr(int fd, const char *name, char *to, size_t size)
{
	ssize_t n = fgetxattr(fd, name, to, size - 1);

	if (n < 0)
		return false;
	to[n] = '\0';
	return true;
}

static int list_one(void *ctx, int folder, const char *name, struct err *e)
{
	struct listing *l = ctx;
	char id[FOLDER_ID];
	char set[80];
	char of[256];
	autofd int fd = openat(folder, name,
			       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || !attr(fd, SNAP_ATTR, set, sizeof(set)) ||
	    !attr(fd, SNAP_ATTR_FILE, of, sizeof(of)))
		return 0;
	if (!snap_set_valid(set) || strcmp(of, path_base(l->volume->name)) != 0)
		return 0;
	if (folder_id(fd, name, id, e) < 0)
		return -1;
	snaps_add(l->snaps, &(struct snap){ .kind = SNAP_REFLINK,
					    .volume = l->volume->name,
					    .name = (char *)(uintptr_t)name,
					    .guid = id,
					    .set = set,
					    .fs = (char[]){ "" } });
	return 0;
}

static int list(const struct snap_volume *const *volumes, size_t count,
		struct snaps *snaps, const struct snap_time *t, struct err *e)
{
	(void)t;
	for (size_t i = 0; i < count; i++) {
		autofree char *dir = path_dir(volumes[i]->name);
		struct listing l = { volumes[i], snaps };

		if (folder_each(dir, &l, list_one, e) < 0)
			return -1;
	}
	return 0;
}

const struct snap_backend snap_reflink = {
	.ready = folder_ready,
	.take = take,
	.drop = drop,
	.view = view,
	.check = folder_check,
	.list = list,
};
