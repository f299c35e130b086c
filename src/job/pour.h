/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_POUR_H
#define VMKEEP_JOB_POUR_H

/*
 * From an image to a target: threads that read, check and write extents.
 */

#include <stdbool.h>

#include "base/err.h"
#include "disk/disk.h"
#include "job/job.h"
#include "repo/reader.h"

struct pour {
	const struct job *job;
	struct repo *repo;
	const struct set *set;
	const struct image_root *root;
	const char *what;  /* for progress */
	bool fresh;        /* the target reads as zeroes already */
	uint64_t *written; /* bytes written, without holes; may be NULL */
};

/* Connections for a disk that is poured into. */
#define POUR_CONNECTIONS 4

/* Into a disk that is at least as large as the image; flushed at the end. */
int pour_disk(const struct pour *p, struct disk *d, struct err *e);

/* Into a file or block device, at its beginning; synced at the end. */
int pour_file(const struct pour *p, int fd, struct err *e);

/* Takes the image's bytes in order, an extent at a time. */
typedef int pour_sink(void *ctx, uint64_t offset, const uint8_t *data,
		      size_t size, struct err *e);

/* In order, every byte, into whatever takes them; one call at a time, from
 * different threads. */
int pour_ordered(const struct pour *p, pour_sink *sink, void *ctx,
		 struct err *e);

/* The same into a descriptor. */
int pour_stream(const struct pour *p, int fd, struct err *e);

#endif
