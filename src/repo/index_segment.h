/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_SEGMENT_H
#define VMKEEP_REPO_INDEX_SEGMENT_H

/* One open segment of the index: mapped from the cache, or in memory.  For
 * index.c only. */

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "repo/index.h"
#include "repo/segment.h"

struct index_segment {
	char *name;
	struct segment view;
	struct buf memory; /* when not mapped */
	void *map;
	size_t map_size;
	bool listed; /* by the generation */
	bool frail;  /* it is, and flagged so */
};

struct index_segment *index_segment_open(const struct index_parts *parts,
					 const char *name, struct err *e);
void index_segment_free(struct index_segment *s);

/* Read what was mapped again from the store, into memory, and mend the cache;
 * true when that was done. */
bool index_segment_reload(const struct index_parts *parts,
			  struct index_segment *s);

#endif
