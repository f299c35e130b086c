/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/release.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/chain.h"
#include "virt/others.h"

struct release {
	struct conn *conn;
	const char **own; /* all that was merged */
	size_t own_count;
};

/* Why it must stay, or NULL. */
static char *must_stay(const struct plan_image *image, const struct stat *st)
{
	struct chain_header h = { .size = 0 };
	uint32_t snapshots = 0;

	if (!S_ISREG(st->st_mode))
		return mem_strdup("it is no regular file");
	if (st->st_dev != image->dev || st->st_ino != image->ino)
		return mem_strdup("it is not the file that was merged");
	if (chain_load(image->path, &h) == 0)
		snapshots = h.snapshots;
	chain_header_fini(&h);
	return snapshots > 0 ? mem_strdup("there are snapshots inside") : NULL;
}

static char *needed(const struct release *r, const struct plan_image *image)
{
	const char *path = image->path;
	const struct others_query q = { .images = &path,
					.count = 1,
					.own = r->own,
					.own_count = r->own_count,
					.processes = true };
	struct others_found found = { .who = NULL };
	struct err e = ERR_INIT;

	if (others_look(r->conn, &q, &found, &e) < 0)
		return mem_strdup(e.msg);
	return found.who;
}

/* NULL when it is gone, else why it is kept. */
static char *take_away(const struct release *r, const struct plan_image *image)
{
	struct stat st;
	char *why;

	if (lstat(image->path, &st) < 0)
		return errno == ENOENT ? NULL : mem_strdup("it is not seen");
	why = must_stay(image, &st);
	if (why == NULL)
		why = needed(r, image);
	if (why == NULL && unlink(image->path) < 0)
		why = mem_strdup("it cannot be removed");
	return why;
}

static void release_one(const struct release *r, const struct plan_image *image,
			bool remove, void (*say)(void *ctx, const char *text),
			void *ctx)
{
	autofree char *why = NULL;
	autofree char *text = NULL;

	if (!file_exists(image->path))
		return;
	if (remove) {
		why = take_away(r, image);
		text = why == NULL
			       ? mem_fmt("'%s' is removed", image->path)
			       : mem_fmt("'%s' is kept: %s", image->path, why);
	} else {
		text = mem_fmt("'%s' is not used any more; when nobody else "
			       "needs it: rm '%s'",
			       image->path, image->path);
	}
	say(ctx, text);
}

int release_images(struct conn *c, const struct plan_disk *disk, bool remove,
		   void (*say)(void *ctx, const char *text), void *ctx,
		   struct err *e)
{
	const struct plan_image top = { .path = disk->overlay,
					.dev = disk->odev,
					.ino = disk->oino };
	struct release r = { .conn = c };
	autofree const char **own =
		mem_zalloc(disk->between_count + 1, sizeof(*own));
	autofree char *folder = path_dir(disk->overlay);

	own[0] = disk->overlay;
	for (size_t i = 0; i < disk->between_count; i++)
		own[i + 1] = disk->between[i].path;
	r.own = own;
	r.own_count = disk->between_count + 1;
	/* an image goes before what it is based on */
	release_one(&r, &top, remove, say, ctx);
	for (size_t i = 0; i < disk->between_count; i++)
		release_one(&r, &disk->between[i], remove, say, ctx);
	return remove ? dir_sync(folder, e) : 0;
}
