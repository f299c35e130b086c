/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "job/local.h"
#include "job/local_internal.h"
#include "repo/tomb.h"

#define COPY_STEP (1u << 20)

static void closedir_at(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

int local_lock(const char *dir, int *fd, struct err *e)
{
	autofree char *path = path_join(dir, LOCAL_LOCK);
	autofd int got = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int ok;

	if (got < 0)
		return err_sys(e, "cannot open '%s'", path);
	do
		ok = flock(got, LOCK_EX);
	while (ok < 0 && errno == EINTR);
	if (ok < 0)
		return err_sys(e, "cannot lock '%s'", path);
	*fd = fd_take(&got);
	return 0;
}

bool local_is_set(const char *name)
{
	struct id id;

	return strlen(name) == ID_TEXT - 1 && hex_decode(name, id.b, ID_SIZE);
}

int local_list(const char *dir,
	       int (*each)(void *ctx, const char *name, struct err *e),
	       void *ctx, struct err *e)
{
	AUTO(closedir_at) DIR *d = opendir(dir);
	const struct dirent *n;

	if (d == NULL)
		return errno == ENOENT ? 0
				       : err_sys(e, "cannot read '%s'", dir);
	while ((errno = 0, n = readdir(d)) != NULL) {
		if (strcmp(n->d_name, ".") == 0 || strcmp(n->d_name, "..") == 0)
			continue;
		if (each(ctx, n->d_name, e) < 0)
			return -1;
	}
	return errno == 0 ? 0 : err_sys(e, "cannot read '%s'", dir);
}

/* ---- removing ----------------------------------------------------------- */

/* Numbered files, the lock, the record and what was to become it: a folder that
 * only looks like a set's keeps what it has. */
static bool is_ours(const char *name)
{
	return name[strspn(name, "0123456789")] == '\0' ||
	       strcmp(name, LOCAL_LOCK) == 0 || strcmp(name, LOCAL_SET) == 0 ||
	       strncmp(name, LOCAL_SET ".", strlen(LOCAL_SET ".")) == 0;
}

static int remove_one(void *ctx, const char *name, struct err *e)
{
	autofree char *path = path_join(ctx, name);

	(void)e;
	if (is_ours(name))
		unlink(path);
	return 0;
}

void local_remove_folder(const char *folder)
{
	struct err ignored = ERR_INIT;

	(void)!local_list(folder, remove_one, (void *)(uintptr_t)folder,
			  &ignored);
	rmdir(folder);
}

/* ---- copying ------------------------------------------------------------ */

/* All from offset on that is no hole; *more false: there is nothing. */
static int next_data(int fd, off_t *offset, off_t *end, struct err *e)
{
	off_t data = lseek(fd, *offset, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? 0 : err_sys(e, "cannot read");
	*end = lseek(fd, data, SEEK_HOLE);
	*offset = data;
	return *end < 0 ? err_sys(e, "cannot read") : 1;
}

static int copy_bytes(int from, int to, off_t at, off_t end, struct err *e)
{
	autofree uint8_t *buffer = mem_alloc(COPY_STEP);

	while (at < end) {
		size_t n = num_min((uint64_t)(end - at), COPY_STEP);

		if (fd_pread_full(from, buffer, n, (uint64_t)at, e) < 0 ||
		    fd_pwrite_full(to, buffer, n, (uint64_t)at, e) < 0)
			return -1;
		at += (off_t)n;
	}
	return 0;
}

static int copy_data(int from, int to, struct err *e)
{
	off_t at = 0;
	off_t end = 0;
	struct stat st;
	int more;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
		return err_sys(e, "cannot set its size");
	while ((more = next_data(from, &at, &end, e)) > 0) {
		if (copy_bytes(from, to, at, end, e) < 0)
			return -1;
		at = end;
	}
	return more;
}

int local_sync_file(const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fdatasync(fd) < 0)
		return err_sys(e, "cannot sync '%s'", path);
	return 0;
}

int local_copy_file(const char *from, const char *to, struct err *e)
{
	autofd int in = open(from, O_RDONLY | O_CLOEXEC);
	autofd int out = -1;

	if (in < 0)
		return err_sys(e, "cannot open '%s'", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(e, "cannot make '%s'", to);
	if (copy_data(in, out, e) < 0)
		return err_ctx(e, "copy of '%s' to '%s'", from, to);
	return 0;
}

/* ---- letting go --------------------------------------------------------- */

static bool names_file(const struct set *set, const char *name)
{
	for (size_t i = 0; i < set->point_count; i++)
		for (size_t k = 0; k < set->points[i].image_count; k++) {
			const struct image *m = &set->points[i].images[k];
			const char *file = attrs_get(&m->attrs, ATTR_FILE);

			if (file != NULL && strcmp(file, name) == 0)
				return true;
		}
	return false;
}

struct unnamed {
	const char *folder;
	const struct set *set;
};

static int remove_unnamed(void *ctx, const char *name, struct err *e)
{
	const struct unnamed *u = ctx;

	if (strcmp(name, LOCAL_SET) == 0 || names_file(u->set, name))
		return 0;
	return remove_one((void *)(uintptr_t)u->folder, name, e);
}

static void sweep_set(const char *folder, const struct set *set)
{
	struct unnamed u = { folder, set };
	struct err ignored = ERR_INIT;

	(void)!local_list(folder, remove_unnamed, &u, &ignored);
}

static void drop_ram(struct point *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->image_count; i++) {
		if (image_is_ram(&p->images[i]))
			image_fini(&p->images[i]);
		else
			p->images[kept++] = p->images[i];
	}
	p->image_count = kept;
}

static void drop_from(struct set *set, const struct id *point, bool ram_only)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->point_count; i++) {
		struct point *p = &set->points[i];
		bool meant = memcmp(p->id.b, point->b, ID_SIZE) == 0;

		if (meant && ram_only)
			drop_ram(p);
		if (meant && !ram_only)
			point_fini(p);
		else
			set->points[kept++] = *p;
	}
	set->point_count = kept;
}

/* The record goes first: without it the folder is nobody's. */
static int remove_set(const char *dir, const char *folder, struct err *e)
{
	autofree char *path = path_join(folder, LOCAL_SET);

	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove '%s'", path);
	if (dir_sync(folder, e) < 0)
		return -1;
	local_remove_folder(folder);
	return dir_sync(dir, e);
}

int local_drop(const char *dir, const struct set *set, const struct id *point,
	       bool ram_only, struct err *e)
{
	autofree char *folder = local_set_folder(dir, &set->session);
	AUTO(set_fini) struct set now = { 0 };
	autofd int lock = -1;

	/* as it is now: another may have gone meanwhile */
	if (local_lock(dir, &lock, e) < 0 ||
	    local_read_set(folder, &now, e) < 0)
		return -1;
	drop_from(&now, point, ram_only);
	if (now.point_count == 0)
		return remove_set(dir, folder, e);
	if (local_write_set(folder, &now, e) < 0)
		return -1;
	sweep_set(folder, &now);
	return 0;
}

/* Its maker holds the lock as long as it lives. */
static void sweep_new(const char *folder)
{
	autofree char *path = path_join(folder, LOCAL_LOCK);
	struct err ignored = ERR_INIT;
	autofd int fd = -1;

	if (file_lock(path, &fd, &ignored) == 0)
		local_remove_folder(folder);
}

static int sweep_one(void *ctx, const char *name, struct err *e)
{
	const char *dir = ctx;
	autofree char *folder = path_join(dir, name);
	AUTO(set_fini) struct set set = { 0 };
	struct err why = ERR_INIT;

	(void)e;
	if (strncmp(name, LOCAL_NEW, strlen(LOCAL_NEW)) == 0 &&
	    local_is_set(name + strlen(LOCAL_NEW)))
		sweep_new(folder);
	else if (local_is_set(name)) {
		if (local_read_set(folder, &set, &why) == 0)
			sweep_set(folder, &set);
		else if (why.code == ERR_NOT_FOUND)
			local_remove_folder(folder);
	}
	return 0;
}

void local_sweep(const char *dir)
{
	struct err ignored = ERR_INIT;
	autofd int lock = -1;

	if (file_exists(dir) && local_lock(dir, &lock, &ignored) == 0)
		(void)!local_list(dir, sweep_one, (void *)(uintptr_t)dir,
				  &ignored);
}
