/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_SIM_WORLD_H
#define VMKEEP_TEST_SIM_WORLD_H

/*
 * What the actors of a run share: one store in memory, and what they have been
 * promised about it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../unit/repo_kit.h"

/*
 * An image is up to PIECES of a small vocabulary, so that images of different
 * points share most of what they are made of.
 */
#define VOCABULARY  6
#define PIECES      4
#define PIECE_PAGES 2

struct picture {
	unsigned extents;         /* 1 or 2 */
	int8_t pieces[2][PIECES]; /* -1 is a hole */
};

/* What an image has of its last extent. */
#define LAST_SIZE (64u << 10)

/* Bytes that the image has of an extent. */
size_t picture_size(const struct picture *p, unsigned extent);

/* Is there nothing in the extent? */
bool picture_hole(const struct picture *p, unsigned extent);

struct promise {
	struct id point;
	struct picture disk, ram;
	bool committed;  /* the writer was told so */
	bool tombed;     /* somebody has tried to forget it */
	bool ram_tombed; /* or its RAM */
};

#define MAX_PROMISES 64

struct world {
	uint64_t seed;
	const struct kit *kit;
	struct store *store;
	struct promise promises[MAX_PROMISES];
	size_t promise_count;
	unsigned running; /* actors */
	char failure[600];
	/* what happened, for the reader of the sum */
	unsigned commits, failed_commits, reads, tombs, steps, faults;
};

/* A handle on the world's store for one job of one actor: every call lets
 * others go on first, and perhaps goes wrong once, or for good from then on. */
struct store *world_store(struct world *w, bool faults);

/* Open the repository through such a handle. */
struct repo *world_open(struct world *w, bool faults, struct err *e);

/* Something is not as was promised: the first one counts. */
__attribute__((format(printf, 2, 3))) void world_fail(struct world *w,
						      const char *fmt, ...);

/* Fill an extent as the picture says. */
void picture_draw(const struct picture *p, unsigned extent, uint8_t *to);

/* Read an image of a set and compare; 0, or -1 and why. */
int picture_check(struct repo *r, const struct set *set,
		  const struct image *image, const struct picture *p,
		  struct err *e);

#endif
