/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_SHELF_INTERNAL_H
#define VMKEEP_REPO_SHELF_INTERNAL_H

/* The bytes of a shelf, for shelf.c and shelf_write.c only. */

#include "repo/shelf.h"

/* Another one where the layout, or what a filter is, changes. */
#define SHELF_MAGIC "vmkeep shelf 2"

#define SHELF_ENTRIES (PAGES_CONTENT / SEGMENT_ENTRY) /* a page */
#define SHELF_PACKS   (PAGES_CONTENT / SEGMENT_PACK)

/* Bytes, entries: far more than there will be. */
#define SHELF_MOST (UINT64_C(1) << 48)

/* Of the two parts: nodes, chunks. */
struct shelf_head {
	struct id session;
	uint64_t generation;
	uint32_t packs;
	uint32_t leans;
	uint64_t leans_size;
	uint64_t entries[2];
	uint32_t filters[2];
	uint64_t filters_size[2];
};

/* Bytes of a part in the tables. */
static inline uint64_t shelf_table_size(const struct shelf_part *p)
{
	return 16 + p->pages * 4 + (uint64_t)p->filter_count * 16;
}

#endif
