/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INTAKE_H
#define VMKEEP_REPO_INTAKE_H

/*
 * The way in: readers hand over extents, workers on all cores turn them into
 * sealed blobs, a packer stores them, and the commit makes the set exist.
 *
 *     in = intake_open(repo, ...);
 *     img = intake_image(in, size);
 *     buf = intake_buffer(in);          waits when all are in use
 *     ... fill it ...
 *     intake_put(in, img, number, buf); gives the buffer away
 *     intake_finish(in, img, &root);    waits for all extents of the image
 *     intake_commit(in, &set);          the set exists now
 *     intake_close(in);                 without commit: nothing happened
 *
 * Buffers, putting and images may be used from several threads.  The first
 * failure of any stage stops all; every later call returns that error.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/point.h"
#include "repo/repo.h"

struct intake;
struct intake_image;

struct intake_options {
	unsigned workers;  /* 0: as many as there are processors */
	const char *host;  /* for the session record; NULL: this host's name */
	size_t claims_max; /* ids until a segment is published; 0: default */
};

struct intake_stats {
	uint64_t pages;        /* pages given that are not zero, bytes */
	uint64_t new_bytes;    /* of these not yet in the repository, bytes */
	uint64_t stored_bytes; /* written to the store, bytes */
	uint64_t chunks;       /* chunks looked at */
	uint64_t new_chunks;
	uint64_t blobs; /* that new chunks were gathered into */
};

struct intake *intake_open(struct repo *r, const struct intake_options *o,
			   struct err *e);
void intake_close(struct intake *in);
void intake_close_at(struct intake **in);

/* A new image of size bytes; everything that is not put reads as zeroes.  More
 * than IMAGE_MAX_SIZE is a failure, of which the next call tells. */
struct intake_image *intake_image(struct intake *in, uint64_t size);

/* For streams, whose size is known at their end only: make the image larger,
 * before the extents beyond its old size are put. */
void intake_grow(struct intake *in, struct intake_image *image, uint64_t size);

/* EXTENT_SIZE bytes, page-aligned, undefined content; NULL after a failure. */
uint8_t *intake_buffer(struct intake *in, struct err *e);

/* Hand back a buffer that was not needed. */
void intake_unbuffer(struct intake *in, uint8_t *buffer);

/* Give extent `number` of an image: each number at most once.  What lies past
 * the image's size is ignored. */
int intake_put(struct intake *in, struct intake_image *image, uint64_t number,
	       uint8_t *buffer, struct err *e);

/* All extents are put: the tree's root, and the image is freed. */
int intake_finish(struct intake *in, struct intake_image *image,
		  struct image_root *root, struct err *e);

/* A small image from memory, whole. */
int intake_bytes(struct intake *in, const void *data, size_t size,
		 struct image_root *root, struct err *e);

/*
 * Make everything durable and commit the set: fills in session, generation,
 * time, host, program, segments and attrs' counters.  ERR_EXISTS: the session
 * was revoked meanwhile; begin again.  A failure of the last put is "unknown"
 * and is settled by reading the object back.
 */
int intake_commit(struct intake *in, struct set *set, struct err *e);

void intake_stats(struct intake *in, struct intake_stats *stats);

#endif
