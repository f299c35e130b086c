/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_VIEW_H
#define VMKEEP_REPO_INDEX_VIEW_H

/*
 * The open segments in the order in which they are looked into.  Look-ups
 * read a view without a lock: what a generation lists never changes in it, and
 * the others only grow.  For index*.c only.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "repo/index_segment.h"

/* A segment's first and last key. */
struct span {
	uint64_t low, high;
	const struct index_segment *segment;
};

/* Segments whose spans do not overlap, in order: one of them at most has a
 * key.  A merged tier of many segments is one run. */
struct run {
	struct span *spans;
	size_t count;
};

struct runs {
	struct run *runs;
	size_t count;
};

struct view {
	struct view *older;    /* superseded; freed with the index */
	struct runs listed[2]; /* for nodes, for chunks */
	const struct index_segment **frail;
	size_t frail_count;
	size_t room;
	atomic_size_t count;
	const struct index_segment *others[]; /* not listed: oldest first */
};

/* What is in a view. */
struct view_new {
	const struct index_segment **listed, **frail, **others;
	size_t listed_count, frail_count, other_count;
};

struct view *view_new(const struct view_new *n);

/* Free it and all older ones. */
void view_free(struct view *v);

/* Add one that is not listed: false when there is no room.  One thread at a
 * time; others may be reading. */
bool view_add(struct view *v, const struct index_segment *s);

/* The segment of a run that may have the key, or NULL. */
const struct index_segment *run_find(const struct run *run, uint64_t key);

#endif
