/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_PACE_H
#define VMKEEP_REPO_PACE_H

/*
 * How hard to compress, and what may be spent on it.
 *
 * A level is zstd's, 1 to 19, and stays; or LEVEL_ARCHIVE, the smallest that
 * can be had: zstd 19 on blobs twice as large; or LEVEL_AUTO, which keeps the
 * slowest stage busy:
 *
 *   It begins at level 1.  A window ends whenever PACE_WINDOW bytes have been
 *   compressed.  In it the workers were busy for some time, and for some time
 *   they waited, for the source or for the store.  When they waited for a
 *   quarter of the whole or more, time is left over: the next window gets the
 *   next level, at most 6.  When they waited for a tenth or less, they are
 *   what all others wait for: it gets the level before.  Else it stays.
 *   When the source lets wait for a second or more it pauses: not counted.
 *
 * Beyond 6 a level costs twice the time for one or two in a hundred, and the
 * processors belong to the guests.  Which level was used is nowhere written,
 * for nobody needs it: blobs of all levels are read alike.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEVEL_AUTO    0
#define LEVEL_ARCHIVE (-1)
#define LEVEL_FAST    1
#define LEVEL_MAX     19

#define PACE_WINDOW   (64u << 20)
#define PACE_PAUSE_NS INT64_C(1000000000)

/* LEVEL_AUTO, LEVEL_ARCHIVE, or one of zstd's that is meant to be used? */
bool level_ok(int level);

/* ---- what is spent --------------------------------------------------- */

struct pace_plan {
	int first, min, max; /* zstd's levels */
	uint32_t blob_raw;   /* bytes gathered into one blob */
	unsigned workers;
	unsigned buffers; /* of an extent */
	size_t memory;    /* bytes of buffers, and what workers need */
};

/*
 * As many workers as there are cores and memory allows: PACE_MEMORY for
 * levels up to 6, PACE_MEMORY_HARD beyond, where a worker needs three times
 * as much and is a hundred times as slow.  Packs are not in it.
 */
#define PACE_MEMORY      (88u << 20)
#define PACE_MEMORY_HARD (1024u << 20)

struct pace_plan pace_plan(int level, unsigned cores);

/* ---- the level now --------------------------------------------------- */

/* The level for the window after one that had `level`. */
int pace_next(const struct pace_plan *p, int level, int64_t busy_ns,
	      int64_t waited_ns);

/* Shared by all workers, without a lock. */
struct pace {
	struct pace_plan plan;
	atomic_int level;
	atomic_int_fast64_t busy_ns, waited_ns; /* in this window */
	atomic_int_fast64_t left;               /* bytes of it */
};

void pace_init(struct pace *p, const struct pace_plan *plan);
int pace_level(struct pace *p);

/* What a worker did: one wait for the source or for the store; and the time
 * it had an extent, waiting for the store included. */
void pace_source(struct pace *p, int64_t ns);
void pace_store(struct pace *p, int64_t ns);
void pace_busy(struct pace *p, int64_t ns);

/* So many bytes were compressed: a window may end. */
void pace_compressed(struct pace *p, uint32_t bytes);

#endif
