/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/fetch.h"
#include "repo/reader_internal.h"

/* The inner node of one level that was used last. */
struct kept_inner {
	bool used;
	uint64_t first; /* extent where it starts */
	struct inner node;
};

struct reader_image {
	struct repo *repo;
	struct image_root root;
	uint64_t extents;
	pthread_mutex_t lock; /* fetch, path */
	struct fetch *fetch;
	struct kept_inner path[TREE_MAX_DEPTH + 1]; /* by level */
};

/* ---- opening --------------------------------------------------------- */

/* Without the list of segments all of them may help. */
static int open_index(struct repo *r, struct err *e)
{
	uint64_t generation;
	struct err why = ERR_INIT;

	if (index_refresh(r->index, &generation, e) == 0)
		return 0;
	if (e->code != ERR_INTEGRITY && e->code != ERR_NOT_FOUND)
		return -1;
	return index_open_sessions(r->index, &why);
}

/* A collector may have merged it into the index; a damaged one is not needed
 * where another names the same places. */
static bool can_do_without(const struct err *why)
{
	return why->code == ERR_NOT_FOUND || why->code == ERR_INTEGRITY;
}

/* What it leans on: segments, and the index that its writer had, of which a
 * collector may have seen no use when the set was committed late. */
static int open_leans(struct repo *r, const struct set *set, struct err *e)
{
	struct err why = ERR_INIT;

	for (size_t i = 0; i < set->segment_count; i++) {
		err_clear(&why);
		if (index_open_segment(r->index, set->segments[i], &why) < 0 &&
		    !can_do_without(&why)) {
			*e = why;
			return -1;
		}
	}
	err_clear(&why);
	if (index_open_generation(r->index, set->generation, &why) < 0 &&
	    !can_do_without(&why)) {
		*e = why;
		return -1;
	}
	return 0;
}

static int open_segments(struct repo *r, const struct set *set, struct err *e)
{
	if (open_index(r, e) < 0)
		return -1;
	err_clear(e);
	return set != NULL ? open_leans(r, set, e) : 0;
}

struct reader_image *reader_open(struct repo *r, const struct set *set,
				 const struct image_root *root, struct err *e)
{
	AUTO(reader_close_at)
	struct reader_image *img = mem_zalloc(1, sizeof(*img));

	img->repo = r;
	img->root = *root;
	img->extents = num_parts(root->size, EXTENT_SIZE);
	pthread_mutex_init(&img->lock, NULL);
	if (tree_depth(img->extents) != root->depth) {
		err_set(e, ERR_INTEGRITY,
			"the image's tree does not fit its "
			"size");
		return NULL;
	}
	if (open_segments(r, set, e) < 0)
		return NULL;
	img->fetch = fetch_new(r, e);
	return img->fetch != NULL ? mem_take(&img) : NULL;
}

void reader_close(struct reader_image *img)
{
	if (img == NULL)
		return;
	fetch_free(img->fetch);
	pthread_mutex_destroy(&img->lock);
	free(img);
}

void reader_close_at(struct reader_image **img)
{
	reader_close(*img);
}

struct reader_thread *reader_thread_new(struct repo *r, struct err *e)
{
	AUTO(reader_thread_free_at)
	struct reader_thread *t = mem_zalloc(1, sizeof(*t));

	t->fetch = fetch_new(r, e);
	return t->fetch != NULL ? mem_take(&t) : NULL;
}

void reader_thread_free(struct reader_thread *t)
{
	if (t == NULL)
		return;
	fetch_free(t->fetch);
	free(t->sealed);
	free(t->raw);
	free(t);
}

void reader_thread_free_at(struct reader_thread **t)
{
	reader_thread_free(*t);
}

/* ---- walking down ---------------------------------------------------- */

/* The inner node of a level whose id is given, kept until another is asked
 * for.  Under the lock. */
static const struct inner *inner_at(struct reader_image *img, unsigned level,
				    uint64_t first, const struct hash *id,
				    struct err *e)
{
	struct kept_inner *k = &img->path[level];
	const uint8_t *data;
	size_t size;

	if (k->used && k->first == first)
		return &k->node;
	k->used = false;
	if (fetch_get(img->fetch, BLOB_NODE, id, &data, &size, e) < 0 ||
	    inner_decode(data, size, &k->node, e) < 0)
		return NULL;
	if (k->node.level != level) {
		err_set(e, ERR_INTEGRITY, "a node of the wrong level");
		return NULL;
	}
	k->first = first;
	k->used = true;
	return &k->node;
}

/*
 * Go down to extent `number`: 1 and its id; 0 when a hole is on the way, and
 * *skip is the first extent after that hole.
 */
static int descend(struct reader_image *img, uint64_t number, struct hash *id,
		   uint64_t *skip, struct err *e)
{
	struct hash at = img->root.top;
	uint64_t first = 0;

	*skip = img->extents;
	if (img->root.hole)
		return 0;
	for (unsigned level = img->root.depth; level > 0; level--) {
		const struct inner *n = inner_at(img, level, first, &at, e);
		uint64_t span = tree_span(level);

		if (n == NULL)
			return -1;
		size_t child = (size_t)((number - first) / span);

		first += child * span;
		*skip = first + span;
		if (!n->present[child])
			return 0;
		at = n->child[child];
	}
	*id = at;
	return 1;
}

static int descend_locked(struct reader_image *img, uint64_t number,
			  struct hash *id, uint64_t *skip, struct err *e)
{
	pthread_mutex_lock(&img->lock);
	int got = descend(img, number, id, skip, e);

	pthread_mutex_unlock(&img->lock);
	return got;
}

int reader_next(struct reader_image *img, uint64_t from, uint64_t *number,
		struct err *e)
{
	struct hash id;

	while (from < img->extents) {
		uint64_t skip;
		int got = descend_locked(img, from, &id, &skip, e);

		if (got < 0)
			return -1;
		if (got == 1) {
			*number = from;
			return 1;
		}
		from = skip;
	}
	return 0;
}

/* ---- an extent ------------------------------------------------------- */

/* As far as the image goes, which is `end` bytes. */
static int read_runs(struct reader_thread *t, uint8_t *to, size_t end,
		     struct err *e)
{
	const struct extent *x = &t->extent;
	size_t at = 0;

	for (size_t i = 0; i < x->count && at < end; i++) {
		size_t want = x->runs[i].pages * (size_t)PAGE_SIZE_BYTES;
		const uint8_t *data;
		size_t size;

		if (x->runs[i].hole) {
			memset(to + at, 0, num_min(want, end - at));
		} else {
			if (fetch_get(t->fetch, BLOB_DATA, &x->runs[i].id,
				      &data, &size, e) < 0)
				return -1;
			if (size != want)
				return err_set(e, ERR_INTEGRITY,
					       "a chunk of the wrong size");
			memcpy(to + at, data, want);
		}
		at += want;
	}
	return 0;
}

static int read_node(struct reader_thread *t, const struct hash *id,
		     struct err *e)
{
	const uint8_t *data;
	size_t size;

	if (fetch_get(t->fetch, BLOB_NODE, id, &data, &size, e) < 0)
		return -1;
	return extent_decode(data, size, &t->extent, e);
}

/* Which bytes of the image could not be had. */
static int where(uint64_t number, struct err *e)
{
	return err_ctx(e, "bytes %llu to %llu",
		       (unsigned long long)number * EXTENT_SIZE,
		       (unsigned long long)(number + 1) * EXTENT_SIZE);
}

int reader_node(struct reader_image *img, struct reader_thread *t,
		uint64_t number, const struct extent **x, struct err *e)
{
	struct hash id;
	uint64_t skip;
	int got = number < img->extents
			  ? descend_locked(img, number, &id, &skip, e)
			  : 0;

	if (got <= 0)
		return got;
	if (read_node(t, &id, e) < 0)
		return where(number, e);
	*x = &t->extent;
	return 1;
}

int reader_extent(struct reader_image *img, struct reader_thread *t,
		  uint64_t number, uint8_t *to, bool *hole, struct err *e)
{
	const struct extent *x;
	int got = reader_node(img, t, number, &x, e);
	size_t end = number < img->extents
			     ? num_min(EXTENT_SIZE,
				       img->root.size - number * EXTENT_SIZE)
			     : 0;

	if (got < 0)
		return -1;
	if (hole != NULL)
		*hole = got == 0;
	if (got == 0) {
		memset(to, 0, end);
		return 0;
	}
	return read_runs(t, to, end, e) < 0 ? where(number, e) : 0;
}

bool reader_holds(struct reader_thread *t, const uint8_t *data, size_t size,
		  const struct hash *id)
{
	return fetch_holds(t->fetch, BLOB_DATA, data, size, id);
}

int reader_bytes(struct repo *r, const struct set *set,
		 const struct image_root *root, size_t max, struct buf *out,
		 struct err *e)
{
	AUTO(reader_close_at) struct reader_image *img = NULL;
	AUTO(reader_thread_free_at) struct reader_thread *t = NULL;
	autofree uint8_t *extent = mem_alloc(EXTENT_SIZE);

	if (root->size > max)
		return err_set(e, ERR_INTEGRITY, "larger than %zu bytes", max);
	img = reader_open(r, set, root, e);
	t = img != NULL ? reader_thread_new(r, e) : NULL;
	if (t == NULL)
		return -1;
	for (uint64_t at = 0; at < root->size; at += EXTENT_SIZE) {
		size_t n = num_min(EXTENT_SIZE, root->size - at);

		if (reader_extent(img, t, at / EXTENT_SIZE, extent, NULL, e) <
		    0)
			return -1;
		wr_bytes(out, extent, n);
	}
	return 0;
}
