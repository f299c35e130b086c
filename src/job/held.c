/* SPDX-License-Identifier: Apache-2.0 */
#include "job/held.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/local.h"
#include "job/snapuse.h"

struct held {
	const struct job *job;
	struct snap_use *use; /* NULL: a file of the set's folder */
	struct snap_view *view;
	struct disk *disk; /* an image file whose format is not raw */
	struct feed_file file;
	struct feed_source source;
	char *path;
};

static struct held *held_new(const struct job *j)
{
	struct held *h = mem_zalloc(1, sizeof(*h));

	h->job = j;
	h->file.fd = -1;
	return h;
}

/* The first failure is the one that is told. */
int held_close(struct held *h, struct err *e)
{
	struct err second = ERR_INIT;
	int ok = 0;

	if (h == NULL)
		return 0;
	disk_close(h->disk);
	fd_close_at(&h->file.fd);
	if (h->view != NULL)
		ok = snap_view_close(h->view, snap_use_how(h->use), e);
	if (snap_use_end(h->use, ok == 0 ? e : &second) < 0)
		ok = -1;
	free(h->path);
	free(h);
	return ok;
}

static void held_drop(struct held **h)
{
	struct err ignored = ERR_INIT;

	(void)!held_close(*h, &ignored);
}

/* ---- opening ------------------------------------------------------------ */

static int open_raw(struct held *h, struct err *e)
{
	struct stat st;

	h->file.fd = fd_open(h->path, O_RDONLY);
	if (h->file.fd < 0 || fstat(h->file.fd, &st) < 0)
		return err_sys(e, "cannot open '%s'", h->path);
	if (S_ISBLK(st.st_mode)) {
		off_t end = lseek(h->file.fd, 0, SEEK_END);

		if (end < 0)
			return err_sys(e, "cannot tell the size of '%s'",
				       h->path);
		st.st_size = end;
	}
	h->file.size = (uint64_t)st.st_size;
	h->source = feed_of_file(&h->file);
	return 0;
}

static int open_format(struct held *h, const char *format, struct err *e)
{
	const struct disk_image source = {
		.path = h->path,
		.format = format,
		.connections = FEED_CONNECTIONS,
		.socket_dir = h->job->state_dir,
	};

	h->disk = disk_open_image(&source, e);
	if (h->disk == NULL)
		return -1;
	h->source = feed_of_disk(h->disk);
	return 0;
}

static int open_view(struct held *h, const struct image *image, struct err *e)
{
	AUTO(snaps_fini) struct snaps one = { 0 };
	const char *inside = attrs_get(&image->attrs, ATTR_INSIDE);

	if (inside == NULL)
		return err_set(e, ERR_INTEGRITY,
			       "it names neither a file nor a storage "
			       "snapshot");
	if (local_snap(image, &one, e) < 0)
		return -1;
	h->use = snap_use_begin(h->job, NULL, e);
	if (h->use == NULL)
		return -1;
	h->view = snap_view_open(&one.items[0], snap_use_how(h->use), e);
	const char *path =
		h->view != NULL ? snap_view_path(h->view, inside, e) : NULL;

	if (path == NULL)
		return -1;
	h->path = mem_strdup(path);
	return 0;
}

static bool is_raw(const struct image *image)
{
	const char *format = attrs_get(&image->attrs, ATTR_FORMAT);

	return format == NULL || strcmp(format, "raw") == 0;
}

static int open_it(struct held *h, const struct set *set,
		   const struct image *image, bool as_is, struct err *e)
{
	h->path = local_file(h->job->local_dir, set, image);
	if (h->path == NULL && open_view(h, image, e) < 0)
		return -1;
	return as_is || is_raw(image)
		       ? open_raw(h, e)
		       : open_format(h, attrs_get(&image->attrs, ATTR_FORMAT),
				     e);
}

struct held *held_open(const struct job *j, const struct set *set,
		       const struct image *image, bool as_is, struct err *e)
{
	AUTO(held_drop) struct held *h = held_new(j);

	if (open_it(h, set, image, as_is, e) < 0) {
		err_ctx(e, "image '%s'", image->name);
		return NULL;
	}
	return mem_take(&h);
}

const struct feed_source *held_source(const struct held *h)
{
	return &h->source;
}

int held_fd(const struct held *h)
{
	return h->file.fd;
}

int held_bytes(const struct job *j, const struct set *set,
	       const struct image *image, size_t max, struct buf *out,
	       struct err *e)
{
	autofree char *path = local_file(j->local_dir, set, image);

	if (path == NULL)
		return err_set(e, ERR_INTEGRITY, "image '%s' is no file",
			       image->name);
	return file_load(path, max, out, e);
}
