/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_READER_H
#define VMKEEP_REPO_READER_H

/*
 * The way out: the one place where images are read, for restore, export,
 * verify, copy and the plugin.  Every byte is checked against its id before
 * anybody sees it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/node.h"
#include "repo/point.h"
#include "repo/repo.h"

struct reader_image;

/* An image of a set; the set's own segments are used to find its chunks, so
 * set may be NULL only when they are in the index.  Several threads may use
 * one. */
struct reader_image *reader_open(struct repo *r, const struct set *set,
				 const struct image_root *root, struct err *e);
void reader_close(struct reader_image *img);
void reader_close_at(struct reader_image **img);

/*
 * The first extent at or after `from` that is not a hole: 1 and *number, or
 * 0 when there is none, or -1.
 */
int reader_next(struct reader_image *img, uint64_t from, uint64_t *number,
		struct err *e);

/* What a thread needs to read: hasher, unpacker, a few blobs. */
struct reader_thread;
struct reader_thread *reader_thread_new(struct repo *r, struct err *e);
void reader_thread_free(struct reader_thread *t);
void reader_thread_free_at(struct reader_thread **t);

/*
 * All that the image has of one extent into to, which has room for
 * EXTENT_SIZE bytes: what is past the image's end may be anything afterwards.
 * *hole (may be NULL) says that there is nothing but zeroes.  ERR_INTEGRITY
 * and the message name the object that is damaged or missing.
 */
int reader_extent(struct reader_image *img, struct reader_thread *t,
		  uint64_t number, uint8_t *to, bool *hole, struct err *e);

/*
 * Not the bytes of an extent but its node: 1 and *x, which stays valid until
 * the thread reads again; 0 when all of it is a hole.
 */
int reader_node(struct reader_image *img, struct reader_thread *t,
		uint64_t number, const struct extent **x, struct err *e);

/* Are these whole pages the chunk of this id? */
bool reader_holds(struct reader_thread *t, const uint8_t *data, size_t size,
		  const struct hash *id);

/* A whole small image, at most max bytes, appended to out. */
int reader_bytes(struct repo *r, const struct set *set,
		 const struct image_root *root, size_t max, struct buf *out,
		 struct err *e);

#endif
