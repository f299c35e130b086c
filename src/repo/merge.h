/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_MERGE_H
#define VMKEEP_REPO_MERGE_H

/*
 * Many sorted segments into one sorted row of entries: nodes, then chunks.
 * Each source is read in batches, once, from its beginning to its end: 15 KiB
 * of memory a source.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/index.h"

/* Which entries of a segment: those whose bit is set in `take` and not set in
 * `but` (NULL: none is).  packs says what a pack's number in the segment's
 * table becomes; several sources may name one pack. */
struct merge_source {
	const struct index_segment *segment;
	const uint64_t *take;
	const uint64_t *but;
	const uint32_t *packs;
};

/* Takes the entries in order; a failure ends the merge with it. */
typedef int merge_sink(void *ctx, const struct segment_entry_new *entry,
		       struct err *e);

/* An entry that stands in two sources comes once. */
int merge_run(const struct merge_source *sources, size_t count,
	      merge_sink *sink, void *ctx, struct err *e);

/* Bit i of a bitmap. */
static inline bool bit_get(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Words that n bits need. */
static inline size_t bit_words(uint64_t n)
{
	return (size_t)((n + 63) / 64);
}

#endif
