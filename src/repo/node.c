/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/node.h"

#include <assert.h>
#include <string.h>

enum node_type {
	NODE_EXTENT = 'E',
	NODE_INNER = 'I',
};

enum run_type {
	RUN_HOLE = 0,
	RUN_CHUNK = 1,
};

void extent_encode(const struct extent *x, struct buf *out)
{
	wr_u8(out, NODE_EXTENT);
	wr_u16(out, (uint16_t)x->count);
	for (size_t i = 0; i < x->count; i++) {
		const struct run *run = &x->runs[i];

		wr_u8(out, run->hole ? RUN_HOLE : RUN_CHUNK);
		wr_u16(out, run->pages);
		if (!run->hole)
			wr_bytes(out, run->id.b, HASH_SIZE);
	}
}

static bool get_run(struct reader *r, struct run *run)
{
	uint8_t type = rd_u8(r);

	run->hole = type == RUN_HOLE;
	run->pages = rd_u16(r);
	if (type == RUN_CHUNK)
		rd_copy(r, run->id.b, HASH_SIZE);
	return type <= RUN_CHUNK && run->pages > 0 && !r->bad;
}

static bool get_runs(struct reader *r, struct extent *x)
{
	size_t pages = 0;
	bool data = false;

	x->count = rd_u16(r);
	if (x->count == 0 || x->count > EXTENT_PAGES)
		return false;
	for (size_t i = 0; i < x->count; i++) {
		struct run *run = &x->runs[i];

		if (!get_run(r, run))
			return false;
		if (i > 0 && run->hole && run[-1].hole)
			return false;
		data |= !run->hole;
		pages += run->pages;
	}
	return data && pages == EXTENT_PAGES;
}

int extent_decode(const void *data, size_t size, struct extent *x,
		  struct err *e)
{
	struct reader r = reader_of(data, size);

	if (rd_u8(&r) != NODE_EXTENT || !get_runs(&r, x) || !rd_complete(&r))
		return err_set(e, ERR_INTEGRITY, "not an extent node");
	return 0;
}

void inner_encode(const struct inner *n, struct buf *out)
{
	uint8_t map[TREE_FANOUT / 8] = { 0 };

	for (size_t i = 0; i < TREE_FANOUT; i++)
		if (n->present[i])
			map[i / 8] |= (uint8_t)(1u << i % 8);
	wr_u8(out, NODE_INNER);
	wr_u8(out, n->level);
	wr_bytes(out, map, sizeof(map));
	for (size_t i = 0; i < TREE_FANOUT; i++)
		if (n->present[i])
			wr_bytes(out, n->child[i].b, HASH_SIZE);
}

int inner_decode(const void *data, size_t size, struct inner *n, struct err *e)
{
	struct reader r = reader_of(data, size);
	uint8_t map[TREE_FANOUT / 8];
	bool ok = rd_u8(&r) == NODE_INNER;
	bool any = false;

	n->level = rd_u8(&r);
	rd_copy(&r, map, sizeof(map));
	for (size_t i = 0; i < TREE_FANOUT; i++) {
		n->present[i] = (map[i / 8] >> i % 8 & 1) != 0;
		if (n->present[i])
			rd_copy(&r, n->child[i].b, HASH_SIZE);
		any |= n->present[i];
	}
	if (!ok || !any || n->level < 1 || n->level > TREE_MAX_DEPTH ||
	    !rd_complete(&r))
		return err_set(e, ERR_INTEGRITY, "not an inner node");
	return 0;
}

unsigned tree_depth(uint64_t extents)
{
	unsigned depth = 0;

	for (uint64_t span = 1; span < extents; depth++) {
		if (depth == TREE_MAX_DEPTH - 1)
			return TREE_MAX_DEPTH;
		span *= TREE_FANOUT;
	}
	return depth;
}

uint64_t tree_span(unsigned level)
{
	uint64_t span = 1;

	assert(level >= 1 && level <= TREE_MAX_DEPTH);
	for (unsigned i = 1; i < level; i++)
		span *= TREE_FANOUT;
	return span;
}
