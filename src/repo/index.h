/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_H
#define VMKEEP_REPO_INDEX_H

/*
 * Where chunks and nodes are: all segments that a reader or a writer of the
 * newest generation may use, each opened once, from the local cache where it
 * is there.  Thread-safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/footers.h"
#include "repo/keyring.h"
#include "repo/segment.h"
#include "store/store.h"

struct index;

/* An open segment; lives as long as the index. */
struct index_segment;

/*
 * Borrowed parts.  cache_dir is for one repository only, and may be removed at
 * any time; what cannot be kept there, or when it is NULL, is kept in nameless
 * files in /var/tmp, and small segments in memory.  Without footers a prefix
 * is taken for the id: for measurements only.
 */
struct index_parts {
	struct store *store;
	const struct keyring *keys;
	struct footers *footers;
	const char *cache_dir;
	size_t hold_max; /* small segments of the cache are held in memory, too,
			  * as long as they are no more than this, bytes */
};

struct index *index_new(const struct index_parts *parts);
void index_free(struct index *ix);

/* The newest generation that is published, and the segments it lists; what is
 * open already stays open.  Of these, what cannot be opened is left out:
 * index_trouble() tells. */
int index_refresh(struct index *ix, uint64_t *generation, struct err *e);

/* Open every segment under idx/ that is not open yet: those of sessions of
 * this generation and of committed points.  What cannot be opened is left
 * out. */
int index_open_sessions(struct index *ix, struct err *e);

/* The same for a writer of this generation, whose index is open: what only
 * the one before lists, and may be large, is left out. */
int index_open_siblings(struct index *ix, uint64_t generation, struct err *e);

/* Open one segment by its name, if it is not open yet.  ERR_NOT_FOUND when
 * there is none; ERR_INTEGRITY also for a name that is no segment's. */
int index_open_segment(struct index *ix, const char *name, struct err *e);

/* Open all that a generation lists, if it is not open yet: 0 when all of it
 * could be opened.  ERR_NOT_FOUND when there is no such generation any more. */
int index_open_generation(struct index *ix, uint64_t number, struct err *e);

/*
 * For when all else has failed: read the newest generation again, and open
 * everything under idx/; once, and again when the generation has moved since.
 * `seen` is what index_rounds() was before the look-up that failed: true when
 * there is more now than then, perhaps because another thread was at it, which
 * is waited for.  So who gets true looks again.
 */
unsigned index_rounds(const struct index *ix);
bool index_last_resort(struct index *ix, unsigned seen);

/*
 * Is everything open that the newest generation lists, frail segments aside?
 * Else what a node leads to may be lost, although the node is found: a writer
 * must not take it for known.
 */
bool index_whole(const struct index *ix);

/* Is everything open that this segment leans on?  Else the same goes for what
 * is found in it. */
bool index_leans_open(struct index *ix, const struct index_segment *s);

/* Where an entry was found. */
enum index_tier {
	TIER_INDEX,   /* in a segment that the generation lists */
	TIER_SIBLING, /* in one of a session of the generation asked for */
	TIER_OTHER,   /* in another session's: readers may use it */
	TIER_FRAIL,   /* a node above something that is lost: readers only */
};

struct index_ask {
	uint64_t generation;  /* the asker's */
	enum index_tier most; /* tiers beyond are not looked at */
	const struct id *own; /* the asker's session: counts as TIER_INDEX */
	unsigned skip;        /* so many hits are passed over */
};

struct index_hit {
	struct place place;
	enum index_tier tier;
	const struct index_segment *segment; /* where the entry stands */
	uint64_t entry;                      /* its number there */
};

/*
 * Find a chunk (BLOB_DATA) or node (BLOB_NODE): 1 and the hit, checked against
 * the pack's footer; 0 when it is not there (why may then say what is
 * damaged); -1 and why when it is not known, for something could not be read
 * that may well be there: no memory, no answer.
 */
int index_find(struct index *ix, const struct index_ask *ask,
	       enum blob_class class, const struct hash *id,
	       struct index_hit *hit, struct err *why);

/* The open segment of this name, or NULL. */
const struct index_segment *index_segment_named(struct index *ix,
						const char *name);

/* Open segment i in the order of opening, or NULL behind the last: none ever
 * goes, so that numbers stay. */
const struct index_segment *index_segment_at(struct index *ix, size_t i);

const char *index_segment_name(const struct index_segment *s);

/* What is in an open segment; its bytes are not in memory. */
struct index_about {
	struct id session;
	uint64_t generation;
	uint32_t packs;
	uint64_t nodes; /* entries 0 to nodes - 1 */
	uint64_t chunks;
	uint32_t leans;
};

void index_segment_about(const struct index_segment *s,
			 struct index_about *about);

/* `count` entries from number `from` on, in order; as many packs of its
 * table.  All must be there.  Cheap in batches of a few thousand. */
int index_segment_entries(const struct index_segment *s, uint64_t from,
			  struct segment_entry_new *out, size_t count,
			  struct err *e);
int index_segment_packs(const struct index_segment *s, uint32_t from,
			struct segment_pack *out, size_t count, struct err *e);

/* The names that it leans on, index_about.leans of them. */
char *const *index_segment_leans(const struct index_segment *s);

/* Why the first of the segments that could not be opened could not: true, or
 * false when all could. */
bool index_trouble(struct index *ix, struct err *why);

#endif
