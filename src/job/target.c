/* SPDX-License-Identifier: Apache-2.0 */
#include "job/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "disk/disk.h"
#include "disk/imagelock.h"
#include "job/describe.h"

/* A file name has 255 bytes; the target and the ending come behind. */
#define MAX_STEM 180

/* The name as a file name: no '/', no control characters, no leading dot, and
 * no half of a UTF-8 character, which libvirt's XML would not take. */
static char *safe_stem(const char *name)
{
	char *s = mem_strdup(name);
	size_t end = MAX_STEM;

	if (strlen(s) > MAX_STEM) {
		while (end > 0 && ((unsigned char)s[end] & 0xc0) == 0x80)
			end--;
		s[end] = '\0';
	}
	for (char *c = s; *c != '\0'; c++)
		if (*c == '/' || (unsigned char)*c < ' ' || *c == 0x7f)
			*c = '_';
	if (*s == '.')
		*s = '_';
	return s;
}

/* The PATH of "vda=PATH", or NULL. */
static const char *said_path(const struct job_restore *asked,
			     const char *target)
{
	size_t n = strlen(target);

	for (size_t i = 0; i < asked->disk_count; i++)
		if (strncmp(asked->disks[i], target, n) == 0 &&
		    asked->disks[i][n] == '=')
			return asked->disks[i] + n + 1;
	return NULL;
}

static int check_said(const struct job_restore *asked, const struct point *p,
		      struct err *e)
{
	for (size_t i = 0; i < asked->disk_count; i++) {
		const char *equals = strchr(asked->disks[i], '=');

		if (equals == NULL || equals[1] == '\0')
			return err_set(e, ERR_USAGE,
				       "--disk takes TARGET=PATH, not '%s'",
				       asked->disks[i]);
		autofree char *name =
			mem_fmt("%.*s", (int)(equals - asked->disks[i]),
				asked->disks[i]);
		const struct image *image = point_image(p, name);

		if (said_path(asked, name) != equals + 1)
			return err_set(e, ERR_USAGE,
				       "--disk says twice where '%s' goes",
				       name);
		if (image == NULL || image->kind != IMAGE_DISK)
			return err_set(e, ERR_USAGE,
				       "the point has no disk '%s': 'vmkeep "
				       "show' lists them",
				       name);
	}
	return 0;
}

static const char *format_of(const struct image *image)
{
	const char *f = attrs_get(&image->attrs, ATTR_FORMAT);

	return f != NULL && strcmp(f, "qcow2") == 0 ? "qcow2" : "raw";
}

/* An old file is written to as what it is. */
static int check_format(const char *path, const char *format, struct err *e)
{
	static const char magic[4] = "QFI\xfb";
	char head[4] = { 0 };
	autofd int fd = fd_open(path, O_RDONLY | O_NONBLOCK);
	size_t got;

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (fd_read_some(fd, head, sizeof(head), &got, e) < 0)
		return err_ctx(e, "'%s'", path);
	bool qcow2 = memcmp(head, magic, sizeof(magic)) == 0;

	if (qcow2 == (strcmp(format, "qcow2") == 0))
		return 0;
	return err_set(e, ERR_REFUSED,
		       "'%s' is %s, and %s is to be written: restore to "
		       "another place, or remove it",
		       path, qcow2 ? "qcow2" : "not qcow2", format);
}

static int check_place(const struct job_restore *asked, struct target *t,
		       struct err *e)
{
	struct stat st;

	if (stat(t->path, &st) < 0)
		return 0;
	if (S_ISBLK(st.st_mode)) {
		t->block = true;
		t->format = "raw";
		return disk_idle(t->path, e);
	}
	t->there = asked->in_place && S_ISREG(st.st_mode);
	if (t->there)
		return check_format(t->path, t->format, e);
	return err_set(e, ERR_EXISTS,
		       "'%s' exists already: restore to another place, remove "
		       "it, or say --in-place",
		       t->path);
}

static int add_target(const struct job_restore *asked,
		      const struct image *image, struct targets *t,
		      struct err *e)
{
	const char *said = said_path(asked, image->name);
	struct target n = { .image = image, .format = format_of(image) };

	if (said != NULL) {
		n.path = mem_strdup(said);
	} else if (asked->to != NULL) {
		autofree char *name = safe_stem(image->name);

		n.path = mem_fmt("%s/%s-%s.%s", asked->to, t->stem, name,
				 n.format);
	} else {
		t->whole = false;
		return 0;
	}
	t->items = mem_grow(t->items, t->count + 1, sizeof(*t->items));
	t->items[t->count++] = n;
	return check_place(asked, &t->items[t->count - 1], e);
}

static bool same_place(const struct target *a, const struct target *b)
{
	struct stat sa;
	struct stat sb;

	if (strcmp(a->path, b->path) == 0)
		return true;
	return a->block && b->block && stat(a->path, &sa) == 0 &&
	       stat(b->path, &sb) == 0 && sa.st_rdev == sb.st_rdev;
}

/* Two disks on one device would leave only the latter. */
static int check_apart(const struct targets *t, struct err *e)
{
	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < i; k++)
			if (same_place(&t->items[i], &t->items[k]))
				return err_set(e, ERR_USAGE,
					       "disks %s and %s cannot both "
					       "go to '%s'",
					       t->items[k].image->name,
					       t->items[i].image->name,
					       t->items[i].path);
	return 0;
}

static void choose_folder(const struct job_restore *asked, struct targets *t)
{
	if (asked->to != NULL)
		t->folder = mem_strdup(asked->to);
	for (size_t i = 0; i < t->count && t->folder == NULL; i++)
		if (!t->items[i].block)
			t->folder = path_dir(t->items[i].path);
}

int targets_plan(const struct job_restore *asked, const struct point *p,
		 struct targets *t, struct err *e)
{
	memset(t, 0, sizeof(*t));
	t->whole = true;
	t->stem = safe_stem(asked->name != NULL ? asked->name : p->name);
	if (asked->to == NULL && asked->disk_count == 0)
		return err_set(e, ERR_USAGE,
			       "where to? say --to FOLDER, or --disk "
			       "TARGET=PATH for single disks");
	if (check_said(asked, p, e) < 0)
		return -1;
	for (size_t i = 0; i < p->image_count; i++)
		if (p->images[i].kind == IMAGE_DISK &&
		    add_target(asked, &p->images[i], t, e) < 0)
			return -1;
	choose_folder(asked, t);
	return check_apart(t, e);
}

/* ---- writing --------------------------------------------------------- */

/* Of a device O_EXCL says that nothing is mounted from it; that no VM has it,
 * only QEMU's lock. */
static int open_old(const char *path, bool any_format, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, "cannot open '%s'", path);
	bool block = S_ISBLK(st.st_mode);
	autofd int fd = fd_open(path, O_RDWR | O_NOCTTY | (block ? O_EXCL : 0));

	if (fd < 0 && errno == EBUSY && disk_idle(path, e) < 0)
		return -1;
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (!block && !any_format && check_format(path, "raw", e) < 0)
		return -1;
	if (imagelock_take_all(fd, path, e) < 0)
		return -1;
	return fd_take(&fd);
}

int target_open_raw(const char *path, struct err *e)
{
	return open_old(path, false, e);
}

int target_open_image(const char *path, struct err *e)
{
	return open_old(path, true, e);
}

int target_spoilt(const char *path, struct err *e)
{
	return err_ctx(e,
		       "'%s' is neither what it was nor what it should be: "
		       "do it again",
		       path);
}

static int fill_raw(struct target *t, const struct pour *p, struct err *e)
{
	autofd int fd = -1;

	if (t->block || t->there)
		fd = target_open_raw(t->path, e);
	else
		fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return t->block || t->there
			       ? -1
			       : err_sys(e, "cannot make '%s'", t->path);
	t->made = !t->block && !t->there;
	return pour_file(p, fd, e);
}

static int fill_qcow2(struct target *t, const struct pour *p,
		      const char *socket_dir, struct err *e)
{
	const struct disk_image open = {
		.path = t->path,
		.format = t->format,
		.writable = true,
		.connections = POUR_CONNECTIONS,
		.socket_dir = socket_dir,
	};

	if (!t->there) {
		if (disk_create(t->path, t->format, p->root->size, e) < 0)
			return -1;
		t->made = true;
	}
	AUTO(disk_close_at) struct disk *d = disk_open_image(&open, e);

	return d != NULL ? pour_disk(p, d, e) : -1;
}

int target_fill(struct target *t, struct pour *p, const char *socket_dir,
		struct err *e)
{
	uint64_t before = *p->written;

	p->fresh = !t->block && !t->there;
	p->in_place = t->there;
	int ok = strcmp(t->format, "raw") == 0
			 ? fill_raw(t, p, e)
			 : fill_qcow2(t, p, socket_dir, e);

	if (ok < 0 && !p->fresh && *p->written > before)
		return target_spoilt(t->path, e);
	return ok;
}

void targets_undo(struct targets *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->items[i].made)
			unlink(t->items[i].path);
}

void targets_fini(struct targets *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->items[i].path);
	free(t->items);
	free(t->folder);
	free(t->stem);
	memset(t, 0, sizeof(*t));
}
