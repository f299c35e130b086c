/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_HAUL_H
#define VMKEEP_REPO_HAUL_H

/*
 * Many chunks at once, in the order in which they lie in packs: each blob is
 * read once, together with its neighbours, opened once, and every chunk in it
 * goes to all places that want it.
 *
 * First what is wanted is gathered, by any number of threads; then it is
 * sorted; then its parts are carried out, each by one thread.  A haul is
 * bounded, so that a large image is several, one after the other.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/reader.h"
#include "repo/segment.h"

/* A chunk that is wanted. */
struct haul_piece {
	uint64_t offset; /* in the image */
	uint32_t size;   /* whole pages */
	struct hash id;
	bool found; /* place is meant */
	struct place place;
};

struct haul;

/* For at most max pieces (96 bytes of memory each), or NULL. */
struct haul *haul_new(size_t max, struct err *e);
void haul_free(struct haul *h);

/* Look up where pieces are.  What is not found is told when it is carried. */
void haul_locate(struct reader_thread *t, struct haul_piece *pieces,
		 size_t count);

/* Add located pieces: false when there is no room for all of them.  One
 * thread at a time. */
bool haul_add(struct haul *h, const struct haul_piece *pieces, size_t count);

/* All is there: sort it, and cut it into parts.  Once. */
void haul_sort(struct haul *h);

/* How many parts, numbered from 0: pieces that are read together. */
size_t haul_parts(const struct haul *h);

/* Bytes of the image that a part is. */
uint64_t haul_part_bytes(const struct haul *h, size_t part);

/*
 * Where the bytes of an image go to.  Memory is used again only after a flush,
 * so that what is neighbours in the image, but not in the repository, can be
 * written together.
 */
struct haul_sink {
	void *ctx;

	/* Bytes that are given between two flushes, at most; raised to one
	 * blob (BLOB_MAX_RAW).  A thread says the same each time. */
	size_t room;

	/* Bytes of the image: one chunk, or several that follow one another.
	 * data is page-aligned, nearly always, and valid until the next
	 * flush. */
	int (*take)(void *ctx, uint64_t offset, const uint8_t *data,
		    size_t size, struct err *e);

	/* Be done with all that was taken. */
	int (*flush)(void *ctx, struct err *e);
};

/*
 * Read, open and check the chunks of a part and give them away; the last call
 * is a flush.  Different parts may be carried by different threads at the same
 * time.
 * ERR_INTEGRITY names what is damaged or missing, and the bytes of the image
 * that it is.
 */
int haul_carry(struct haul *h, size_t part, struct reader_thread *t,
	       const struct haul_sink *sink, struct err *e);

#endif
