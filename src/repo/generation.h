/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_GENERATION_H
#define VMKEEP_REPO_GENERATION_H

/*
 * Generations: gen/<number, 16 hex digits>, each made by put-if-absent, so
 * that of several collectors one wins.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/keyring.h"
#include "repo/locations.h"
#include "repo/segment.h"
#include "store/store.h"

/* A segment that a generation lists. */
struct generation_segment {
	char *name;
	bool frail; /* nodes above something lost: readers only */
};

struct generation {
	uint64_t number;
	int64_t time_ns;   /* wall clock, when it was made */
	struct id session; /* the attempt's; zero for the first one */
	struct generation_segment *segments;
	size_t segment_count;
	struct locations condemned; /* unmarked: not to be used any more */
	struct locations doomed;    /* will be deleted, whatever happens */
};

/* Append a segment; copies the name. */
void generation_add_segment(struct generation *g, const char *name, bool frail);

#define GENERATION_NAME 24
void generation_name(uint64_t number, char out[GENERATION_NAME]);

/* ERR_EXISTS: another collector was faster. */
int generation_put(struct store *s, const struct keyring *k,
		   const struct generation *g, struct err *e);
int generation_load(struct store *s, const struct keyring *k, uint64_t number,
		    struct generation *g, struct err *e);
void generation_fini(struct generation *g);

/* The bytes of a generation, and back; ERR_INTEGRITY for anything that is not
 * just that. */
void generation_encode(const struct generation *g, struct buf *out);
int generation_decode(const void *data, size_t size, struct generation *g,
		      struct err *e);

/* The number of the newest one; ERR_INTEGRITY when there is none. */
int generation_newest(struct store *s, uint64_t *number, struct err *e);

#endif
