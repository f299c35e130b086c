/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/feed.h"
#include "job/gather.h"
#include "job/open.h"
#include "job/places.h"

#define NAME_MAX_BYTES 4096

/* The one image of an import; its name is always this. */
#define IMPORT_IMAGE "image"

static int open_source(const char *file, struct err *e)
{
	int fd = strcmp(file, "-") == 0 ? dup(STDIN_FILENO)
					: fd_open(file, O_RDONLY);

	return fd >= 0 ? fd : err_sys(e, "cannot open '%s'", file);
}

/*
 * A file that is cut while it is read has holes at its end for one who asks
 * for data, or ends early: neither is what the user meant, nor damage of
 * anything that is stored.
 */
static int feed_whole(const struct feed *f, int fd, uint64_t size,
		      struct image_root *root, struct err *e)
{
	struct err why = ERR_INIT;
	int ok = feed_file(f, fd, size, root, &why);
	off_t end = lseek(fd, 0, SEEK_END);

	if (end >= 0 && (uint64_t)end < size)
		return err_set(e, ERR_FAILED,
			       "it was cut from %llu to %lld bytes while it "
			       "was read",
			       (unsigned long long)size, (long long)end);
	if (ok < 0)
		*e = why;
	return ok;
}

/* Files and devices can be read by several threads, the rest in order. */
static int feed_named(const struct feed *f, int fd, const char *file,
		      struct image_root *root, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at '%s'", file);
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_USAGE,
			       "'%s' is a folder: give a file, or pipe an "
			       "archive of it into 'import NAME -'",
			       file);
	if (strcmp(file, "-") == 0 ||
	    (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return feed_stream(f, fd, root, e);
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(e, "cannot find the size of '%s'", file);
	return feed_whole(f, fd, (uint64_t)size, root, e);
}

static int feed_import(const struct job *j, struct intake *in, const char *name,
		       const char *file, struct set *set, struct err *e)
{
	struct feed f = { .job = j, .in = in, .what = name };
	autofd int fd = open_source(file, e);
	struct image_root root;

	if (fd < 0)
		return -1;
	int64_t now = clock_wall_ns();

	if (feed_named(&f, fd, file, &root, e) < 0)
		return err_ctx(e, "'%s'", file);
	struct point *p = gather_point(set, name, now);
	struct image *image =
		gather_image(p, IMAGE_STREAM, IMPORT_IMAGE, &root);

	attrs_set(&p->attrs, ATTR_LEVEL, "import");
	if (strcmp(file, "-") != 0)
		attrs_set(&image->attrs, ATTR_SOURCE, file);
	return 0;
}

static int import_one(const struct job *j, const char *name, const char *file,
		      struct result_backup *result, struct err *e)
{
	AUTO(repo_close_at) struct repo *r = job_repo(j, e);
	AUTO(intake_close_at) struct intake *in = NULL;
	AUTO(set_fini) struct set set = { 0 };

	if (r == NULL)
		return -1;
	in = intake_open(r, &(struct intake_options){ 0 }, e);
	if (in == NULL || feed_import(j, in, name, file, &set, e) < 0 ||
	    intake_commit(in, &set, e) < 0)
		return gather_failed(e);
	gather_counters(in, result);
	describe_point(&set, &set.points[0], &result->items[0].point);
	result_strings_add(&result->items[0].point.places, PLACE_REPOSITORY);
	return 0;
}

int job_import(const struct job *j, const char *name, const char *file,
	       struct result_backup *result, struct err *e)
{
	int64_t start = clock_steady_ns();

	memset(result, 0, sizeof(*result));
	if (*name == '\0' || strlen(name) > NAME_MAX_BYTES)
		return err_set(e, ERR_USAGE, "a name has 1 to %d bytes",
			       NAME_MAX_BYTES);
	result->items = mem_zalloc(1, sizeof(*result->items));
	result->count = 1;
	struct result_backup_item *item = &result->items[0];

	item->name = mem_strdup(name);
	item->ok = import_one(j, name, file, result, e) == 0;
	item->err = *e;
	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return item->ok ? 0 : err_ctx(e, "import '%s'", name);
}
