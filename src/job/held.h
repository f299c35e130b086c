/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_HELD_H
#define VMKEEP_JOB_HELD_H

/*
 * The content of an image that is held on this host (job/local.h): a file, or
 * a disk inside a storage snapshot, opened for reading.
 */

#include "base/err.h"
#include "job/feed.h"
#include "job/job.h"
#include "repo/point.h"

struct held;

/*
 * Open it.  A disk in a snap is made readable (a clone, a mount, ...) until
 * held_close(); the snap itself is not touched.  as_is: the bytes of the image
 * file, whatever its format; else what the guest sees of it.  ERR_NOT_FOUND:
 * the file or the snap is gone.
 */
struct held *held_open(const struct job *j, const struct set *set,
		       const struct image *image, bool as_is, struct err *e);

/* -1: what was made to read it could not be taken away again; `vmkeep
 * recover` tries that, too.  NULL is fine. */
int held_close(struct held *h, struct err *e);

/* What can be read; good until held_close(). */
const struct feed_source *held_source(const struct held *h);

/* Of a file: what it is read from, still the held one's; else -1. */
int held_fd(const struct held *h);

/* A small one, whole, appended to out; ERR_INTEGRITY past max bytes. */
int held_bytes(const struct job *j, const struct set *set,
	       const struct image *image, size_t max, struct buf *out,
	       struct err *e);

#endif
