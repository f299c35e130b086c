/* SPDX-License-Identifier: Apache-2.0 */

/* May these images be merged, as far as they tell themselves? */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "virt/chain.h"
#include "virt/flatten_internal.h"
#include "virt/merge.h"
#include "virt/others_internal.h"

static size_t number_of(const struct flatten_disk *d, size_t at)
{
	return d->image_count - at;
}

static int check_file(const struct flatten_disk *d, size_t at, struct err *e)
{
	const struct flatten_image *image = &d->images[at];
	struct stat st;

	if (image->path == NULL)
		return err_set(e, ERR_REFUSED,
			       "image %zu is neither a file nor a block "
			       "device",
			       number_of(d, at));
	if (stat(image->path, &st) < 0)
		return err_sys(e, "image %zu is not there: '%s'",
			       number_of(d, at), image->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, ERR_REFUSED,
			       "image %zu, '%s', is neither a file nor a "
			       "block device",
			       number_of(d, at), image->path);
	return 0;
}

static int check_format(const struct flatten_disk *d, size_t at, struct err *e)
{
	const struct flatten_image *image = &d->images[at];
	bool base = at == flatten_base_at(d);

	if (strcmp(image->format, "qcow2") == 0 ||
	    (base && strcmp(image->format, "raw") == 0))
		return 0;
	return err_set(e, ERR_REFUSED,
		       "image %zu, '%s', is of format %s, and only qcow2 "
		       "images%s can be merged",
		       number_of(d, at), image->path, image->format,
		       base ? " into qcow2 or raw ones" : "");
}

/* The header of an image that is to be merged must tell the same chain as the
 * definition: else one of them is wrong, and which cannot be told. */
static int check_link(const struct flatten_disk *d, size_t at,
		      const struct chain_header *h, struct err *e)
{
	const struct flatten_image *image = &d->images[at];
	const struct flatten_image *next = &d->images[at + 1];
	autofree char *says =
		h->backing ? chain_resolve(image->path, h->backing) : NULL;
	struct others_id a = others_id(says);
	struct others_id b = others_id(next->path);

	if (!others_same(&a, &b))
		return err_set(e, ERR_REFUSED,
			       "'%s' says that its backing file is '%s', the "
			       "domain has it on '%s'",
			       image->path, h->backing ? h->backing : "none",
			       next->path ? next->path : "another kind");
	/* what a guest writes into a raw image could look like a header */
	if (h->backing_format == NULL)
		return err_set(e, ERR_REFUSED,
			       "'%s' does not say of which format its backing "
			       "file is, and guessing is not safe; with the "
			       "domain shut off: qemu-img rebase -u -f qcow2 "
			       "-F %s -b '%s' '%s'",
			       image->path, next->format, h->backing,
			       image->path);
	if (strcmp(h->backing_format, next->format) != 0)
		return err_set(e, ERR_REFUSED,
			       "'%s' says that its backing file is of format "
			       "%s, the domain has it as %s",
			       image->path, h->backing_format, next->format);
	return 0;
}

static int check_header(const struct flatten_disk *d, size_t at, struct err *e)
{
	struct chain_header h = { .size = 0 };
	int ret;

	if (chain_load(d->images[at].path, &h) < 0)
		return err_set(e, ERR_INTEGRITY,
			       "'%s' cannot be read as a qcow2 image",
			       d->images[at].path);
	ret = check_link(d, at, &h, e);
	chain_header_fini(&h);
	return ret;
}

static int check_sizes(const struct flatten_disk *d, struct err *e)
{
	const struct flatten_image *top = &d->images[0];
	const struct flatten_image *base = &d->images[flatten_base_at(d)];
	uint64_t have = chain_size(base->path, base->format);
	uint64_t want = chain_size(top->path, top->format);
	struct stat st;

	if (have == 0 || want == 0)
		return err_set(e, ERR_REFUSED,
			       "the size of '%s' cannot be told",
			       have == 0 ? base->path : top->path);
	if (have > want)
		return err_set(e, ERR_REFUSED,
			       "the base '%s' is larger than '%s': the guest's "
			       "disk would grow",
			       base->path, top->path);
	if (have < want && stat(base->path, &st) == 0 && S_ISBLK(st.st_mode))
		return err_set(e, ERR_REFUSED,
			       "the base '%s' is smaller than '%s', and a "
			       "block device: enlarge it first",
			       base->path, top->path);
	return 0;
}

static int check_writable(const struct flatten_disk *d, struct err *e)
{
	const char *path = d->images[flatten_base_at(d)].path;
	struct stat st;

	if (stat(path, &st) < 0 || access(path, W_OK) < 0)
		return err_sys(e, "the base cannot be written to: '%s'", path);
	if (S_ISREG(st.st_mode) && (st.st_mode & 0222) == 0)
		return err_set(e, ERR_REFUSED,
			       "the base '%s' is write-protected: it may be a "
			       "template; if it is not, chmod u+w",
			       path);
	return 0;
}

/* The base grows by what is above it, but never beyond its size. */
static int check_room(const struct flatten_disk *d, struct err *e)
{
	const struct flatten_image *base = &d->images[flatten_base_at(d)];
	uint64_t size = chain_size(d->images[0].path, d->images[0].format);
	uint64_t holes = size > base->allocated ? size - base->allocated : 0;
	uint64_t grow = num_min(d->bytes, holes);
	uint64_t floor = merge_floor(base->path);
	struct file_room room;
	char want[NUM_TEXT];
	char have[NUM_TEXT];

	if (floor == 0 || grow == 0)
		return 0;
	if (file_room(base->path, &room, e) < 0)
		return -1;
	if (room.free >= grow + floor)
		return 0;
	num_size_text(grow, want);
	num_size_text(room.free, have);
	return err_set(e, ERR_NO_SPACE,
		       "the base '%s' may grow by %s, and only %s are free "
		       "there",
		       base->path, want, have);
}

int flatten_check_images(const struct flatten_disk *d, struct err *e)
{
	size_t base = flatten_base_at(d);

	for (size_t at = 0; at <= base; at++) {
		if (check_file(d, at, e) < 0 || check_format(d, at, e) < 0)
			return -1;
	}
	for (size_t at = 0; at < base; at++) {
		if (check_header(d, at, e) < 0)
			return -1;
	}
	if (check_sizes(d, e) < 0 || check_writable(d, e) < 0)
		return -1;
	return check_room(d, e);
}
