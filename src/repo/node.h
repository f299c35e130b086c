/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_NODE_H
#define VMKEEP_REPO_NODE_H

/*
 * Tree nodes: what they are and their bytes.  Pure.
 *
 * Equal content gives equal bytes: every encoding is canonical, and decoding
 * refuses any other.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "repo/format.h"

/* A run of pages in an extent. */
struct run {
	uint16_t pages;
	bool hole;
	struct hash id; /* of the chunk, when it is none */
};

/* An extent: runs that cover exactly EXTENT_PAGES pages, no two holes beside
 * each other, not all hole. */
struct extent {
	struct run runs[EXTENT_PAGES];
	size_t count;
};

void extent_encode(const struct extent *x, struct buf *out);
int extent_decode(const void *data, size_t size, struct extent *x,
		  struct err *e);

/* An inner node: children by position; level 1 is above the extents. */
struct inner {
	uint8_t level;
	bool present[TREE_FANOUT];
	struct hash child[TREE_FANOUT];
};

void inner_encode(const struct inner *n, struct buf *out);
int inner_decode(const void *data, size_t size, struct inner *n, struct err *e);

/* Levels of inner nodes needed above so many extents. */
unsigned tree_depth(uint64_t extents);

/* Extents below one child of a node at this level: 256^(level - 1). */
uint64_t tree_span(unsigned level);

#endif
