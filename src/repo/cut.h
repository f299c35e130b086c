/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_CUT_H
#define VMKEEP_REPO_CUT_H

/*
 * From pages to chunks.  A page that is all zero is always a hole; a chunk
 * ends at a hole, at the extent's end, after max pages, or after a page whose
 * keyed hash says so once min pages are in it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "codec/hash.h"
#include "repo/node.h"

/* Fixed for a repository at creation. */
struct cut_sizes {
	uint32_t min_pages;
	uint32_t max_pages;
	uint32_t mask; /* a cut where (cuts[i] & mask) == 0 */
};

/* min = avg/4, max = avg*4, mask so that chunks average about avg bytes; avg
 * is a power of two from 16 to 256 KiB (smaller: ids would dominate). */
bool cut_sizes_from_avg(uint32_t avg, struct cut_sizes *s);

/* One thread's room for the work: no allocation per page or chunk. */
struct cutter {
	struct hash leaf[EXTENT_PAGES];
	uint32_t cut[EXTENT_PAGES];
	bool zero[EXTENT_PAGES];
};

/*
 * Find the runs of one extent and their chunk ids, from its first n pages; the
 * other ones are a hole, and not looked at.  x->count is 0 when there is
 * nothing but zeroes.  Returns the number of pages that are not zero.
 */
size_t cut_extent(struct cutter *c, struct hasher *h, const struct cut_sizes *s,
		  const uint8_t *pages, size_t n, struct extent *x);

/* The id of a chunk of n pages whose leaves are given. */
void cut_chunk_id(struct hasher *h, const struct hash *leaves, size_t n,
		  struct hash *id);

/* The id of an encoded node. */
void cut_node_id(struct hasher *h, const void *node, size_t size,
		 struct hash *id);

#endif
