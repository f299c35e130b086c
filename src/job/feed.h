/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_FEED_H
#define VMKEEP_JOB_FEED_H

/*
 * From a source to an image: reader threads that fill the intake's buffers.
 */

#include "base/err.h"
#include "disk/disk.h"
#include "job/job.h"
#include "repo/intake.h"

/* Connections to a disk: the first one asks where data is, one thread reads
 * over each of the others. */
#define FEED_CONNECTIONS 4

struct feed {
	const struct job *job;
	struct intake *in;
	const char *what; /* for progress: "web1: vda" */

	/* Asked now and then: -1 gives reading up.  NULL: never. */
	int (*check)(void *ctx, struct err *e);
	void *check_ctx;
};

/* Something of a known size that several threads can read. */
struct feed_source {
	void *ctx;
	uint64_t size;
	unsigned threads; /* 1 to 16, numbered from 0 */
	int (*read)(void *ctx, unsigned thread, uint64_t offset, size_t size,
		    uint8_t *to, struct err *e);

	/* How many bytes from offset on surely read as zeroes (0: there may
	 * be data).  NULL: nothing is known. */
	int (*hole)(void *ctx, uint64_t offset, uint64_t *size, struct err *e);
};

int feed_source(const struct feed *f, const struct feed_source *s,
		struct image_root *root, struct err *e);

/* A disk, and a regular file or block device, as sources.  They stay the
 * caller's, and must stay where they are. */
struct feed_file {
	int fd;
	uint64_t size; /* bytes */
};

struct feed_source feed_of_disk(struct disk *d);
struct feed_source feed_of_file(struct feed_file *f);

/* All data of a disk. */
int feed_disk(const struct feed *f, struct disk *d, struct image_root *root,
	      struct err *e);

/* A regular file or block device, from its beginning to its end. */
int feed_file(const struct feed *f, int fd, uint64_t size,
	      struct image_root *root, struct err *e);

/* Whatever comes out of a descriptor until it ends. */
int feed_stream(const struct feed *f, int fd, struct image_root *root,
		struct err *e);

#endif
