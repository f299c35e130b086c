/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/traits_disk.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

#define MAX_DEPTH 16
#define MAX_VALUE 4096

/* The device's folder in sysfs, or NULL.  Free it. */
static char *folder(uint32_t major_number, uint32_t minor_number)
{
	autofree char *link =
		mem_fmt("/sys/dev/block/%u:%u", major_number, minor_number);

	return realpath(link, NULL);
}

/* A value in sysfs without its newline, or NULL.  Free it. */
static char *value(const char *dir, const char *name)
{
	autofree char *path = path_join(dir, name);
	struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char *text = NULL;

	if (file_load(path, MAX_VALUE, &b, &ignored) == 0) {
		*buf_room(&b, 1) = 0;
		text = mem_strdup((const char *)b.p);
		text[strcspn(text, "\n")] = '\0';
	}
	buf_fini(&b);
	return text;
}

uint64_t disk_physical(uint32_t major_number, uint32_t minor_number)
{
	autofree char *dir = folder(major_number, minor_number);

	if (dir == NULL)
		return 0;
	autofree char *own = value(dir, "queue/physical_block_size");
	autofree char *whole = value(dir, "../queue/physical_block_size");
	const char *text = own != NULL ? own : whole;
	uint64_t bytes = 0;

	return text != NULL && num_parse(text, &bytes) ? bytes : 0;
}

bool disk_is_zvol(uint32_t major_number, uint32_t minor_number)
{
	autofree char *dir = folder(major_number, minor_number);

	return dir != NULL && strncmp(path_base(dir), "zd", 2) == 0;
}

struct walk {
	void (*call)(void *ctx, const char *name);
	void *ctx;
	unsigned depth;
};

static void walk_device(struct walk *w, const char *dir);

/* A loop device is on what its file is on. */
static bool walk_loop(struct walk *w, const char *dir)
{
	autofree char *file = value(dir, "loop/backing_file");
	struct stat st;

	if (file == NULL || stat(file, &st) < 0)
		return false;
	dev_t dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	autofree char *below = folder(major(dev), minor(dev));

	if (below == NULL)
		return false;
	walk_device(w, below);
	return true;
}

static unsigned walk_slaves(struct walk *w, const char *dir)
{
	autofree char *slaves = path_join(dir, "slaves");
	DIR *d = opendir(slaves);
	const struct dirent *n;
	unsigned count = 0;

	while (d != NULL && (n = readdir(d)) != NULL) {
		if (n->d_name[0] == '.')
			continue;
		autofree char *link = path_join(slaves, n->d_name);
		autofree char *real = realpath(link, NULL);

		if (real == NULL)
			continue;
		walk_device(w, real);
		count++;
	}
	if (d != NULL)
		closedir(d);
	return count;
}

static void walk_device(struct walk *w, const char *dir)
{
	autofree char *partition = path_join(dir, "partition");
	autofree char *whole = path_dir(dir);

	if (w->depth >= MAX_DEPTH)
		return;
	w->depth++;
	if (file_exists(partition))
		walk_device(w, whole);
	else if (walk_slaves(w, dir) == 0 && !walk_loop(w, dir))
		w->call(w->ctx, path_base(dir));
	w->depth--;
}

void disk_each(uint32_t major_number, uint32_t minor_number,
	       void (*call)(void *ctx, const char *name), void *ctx)
{
	autofree char *dir = folder(major_number, minor_number);
	struct walk w = { .call = call, .ctx = ctx };

	if (dir != NULL)
		walk_device(&w, dir);
}

void disk_of_source(const char *source, uint32_t *major_number,
		    uint32_t *minor_number)
{
	struct stat st;

	if (source[0] != '/' || stat(source, &st) < 0 || !S_ISBLK(st.st_mode))
		return;
	*major_number = major(st.st_rdev);
	*minor_number = minor(st.st_rdev);
}
