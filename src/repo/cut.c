/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/cut.h"

#include <string.h>

#include "base/bytes.h"

bool cut_sizes_from_avg(uint32_t avg, struct cut_sizes *s)
{
	uint32_t pages = avg / PAGE_SIZE_BYTES;

	if (pages < 4 || pages > 64 || (pages & (pages - 1)) != 0 ||
	    avg % PAGE_SIZE_BYTES != 0)
		return false;
	s->min_pages = pages / 4;
	s->max_pages = pages * 4;
	s->mask = pages - 1;
	return true;
}

/* "C" or "N", and the length in bytes: no chunk's id can be a node's. */
static void id_head(uint8_t head[5], uint8_t type, uint32_t size)
{
	head[0] = type;
	for (size_t i = 0; i < 4; i++)
		head[1 + i] = (uint8_t)(size >> 8 * i);
}

void cut_chunk_id(struct hasher *h, const struct hash *leaves, size_t n,
		  struct hash *id)
{
	uint8_t head[5];

	id_head(head, 'C', (uint32_t)(n * PAGE_SIZE_BYTES));
	hasher_id(h, head, sizeof(head), leaves, n * sizeof(*leaves), id);
}

void cut_node_id(struct hasher *h, const void *node, size_t size,
		 struct hash *id)
{
	uint8_t head[5];

	id_head(head, 'N', (uint32_t)size);
	hasher_id(h, head, sizeof(head), node, size, id);
}

/* Hash each stretch of pages that are not zero. */
static size_t hash_pages(struct cutter *c, struct hasher *h,
			 const uint8_t *pages, size_t n)
{
	size_t count = 0;
	size_t start = 0;

	memset(c->zero, true, sizeof(c->zero));
	for (size_t i = 0; i <= n; i++) {
		bool zero = i == n || bytes_zero(pages + i * PAGE_SIZE_BYTES,
						 PAGE_SIZE_BYTES);

		if (i < n)
			c->zero[i] = zero;
		if (!zero)
			continue;
		if (i > start)
			hasher_pages(h, pages + start * PAGE_SIZE_BYTES,
				     i - start, c->leaf + start);
		count += i - start;
		start = i + 1;
	}
	return count;
}

static size_t hole_from(const struct cutter *c, size_t i)
{
	size_t end = i;

	while (end < EXTENT_PAGES && c->zero[end])
		end++;
	return end;
}

static size_t chunk_from(const struct cutter *c, const struct cut_sizes *s,
			 size_t i)
{
	size_t end = i;

	while (end < EXTENT_PAGES && !c->zero[end] && end - i < s->max_pages) {
		end++;
		if (end - i >= s->min_pages && (c->cut[end - 1] & s->mask) == 0)
			break;
	}
	return end;
}

size_t cut_extent(struct cutter *c, struct hasher *h, const struct cut_sizes *s,
		  const uint8_t *pages, size_t n, struct extent *x)
{
	size_t count = hash_pages(c, h, pages, n);

	x->count = 0;
	if (count == 0)
		return 0;
	hasher_cuts(h, c->leaf, n, c->cut);
	for (size_t i = 0; i < EXTENT_PAGES;) {
		struct run *run = &x->runs[x->count++];
		size_t end = c->zero[i] ? hole_from(c, i) : chunk_from(c, s, i);

		run->hole = c->zero[i];
		run->pages = (uint16_t)(end - i);
		if (!run->hole)
			cut_chunk_id(h, c->leaf + i, end - i, &run->id);
		i = end;
	}
	return count;
}
