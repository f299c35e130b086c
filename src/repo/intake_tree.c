/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/intake_internal.h"

void image_set(struct intake_image *img, uint64_t number, const struct hash *id)
{
	pthread_mutex_lock(&img->lock);
	struct extent_block **b = &img->blocks[number / TREE_FANOUT];

	if (*b == NULL)
		*b = mem_zalloc(1, sizeof(**b));
	(*b)->present[number % TREE_FANOUT] = true;
	(*b)->id[number % TREE_FANOUT] = *id;
	pthread_mutex_unlock(&img->lock);
}

void image_free(struct intake_image *img)
{
	if (img == NULL)
		return;
	for (size_t i = 0; i < img->block_count; i++)
		free(img->blocks[i]);
	free(img->blocks);
	pthread_cond_destroy(&img->change);
	pthread_mutex_destroy(&img->lock);
	free(img);
}

/* One level of nodes, sparse: NULL blocks are holes. */
struct level {
	struct extent_block **blocks;
	size_t count;
};

static void level_fini(struct level *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->blocks[i]);
	free(l->blocks);
}

static int node_of(struct worker *w, const struct extent_block *b,
		   uint8_t level, struct hash *id, struct err *e)
{
	AUTO(buf_fini) struct buf node = BUF_INIT;
	autofree struct inner *n = mem_zalloc(1, sizeof(*n));

	n->level = level;
	memcpy(n->present, b->present, sizeof(n->present));
	memcpy(n->child, b->id, sizeof(n->child));
	inner_encode(n, &node);
	return worker_node(w, &node, id, e);
}

/* The nodes over one level's blocks, as children of the next. */
static int build_level(struct worker *w, const struct level *below,
		       uint8_t level, struct level *above, struct err *e)
{
	above->count = (size_t)num_parts(below->count, TREE_FANOUT);
	above->blocks = mem_zalloc(above->count, sizeof(*above->blocks));
	for (size_t i = 0; i < below->count; i++) {
		struct extent_block **to = &above->blocks[i / TREE_FANOUT];

		if (below->blocks[i] == NULL)
			continue;
		if (*to == NULL)
			*to = mem_zalloc(1, sizeof(**to));
		if (node_of(w, below->blocks[i], level,
			    &(*to)->id[i % TREE_FANOUT], e) < 0)
			return -1;
		(*to)->present[i % TREE_FANOUT] = true;
	}
	return 0;
}

/* The top is the only child there can be at the end. */
static void take_top(const struct level *l, struct image_root *root)
{
	const struct extent_block *b = l->count > 0 ? l->blocks[0] : NULL;

	root->hole = b == NULL || !b->present[0];
	if (root->hole)
		memset(root->top.b, 0, HASH_SIZE);
	else
		root->top = b->id[0];
}

int image_root(struct worker *w, struct intake_image *img,
	       struct image_root *root, struct err *e)
{
	AUTO(level_fini) struct level now = { img->blocks, img->block_count };
	unsigned depth = tree_depth(img->extents);

	img->blocks = NULL;
	img->block_count = 0;
	for (unsigned level = 1; level <= depth; level++) {
		struct level above = { NULL, 0 };
		int built = build_level(w, &now, (uint8_t)level, &above, e);

		level_fini(&now);
		now = above;
		if (built < 0)
			return -1;
	}
	root->size = img->size;
	root->depth = (uint8_t)depth;
	take_top(&now, root);
	return 0;
}
