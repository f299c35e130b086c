/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_POUR_H
#define VMKEEP_JOB_POUR_H

/*
 * From an image to a target, by several threads that read, check and write.
 *
 * What can be written at any place is poured in windows: the nodes of some
 * extents are looked at, and the places of their chunks looked up; then packs
 * are read in order, and what is in them goes where it belongs.  A window has
 * at most 65,536 chunks (some 2 GiB), 6 MiB of memory; there are at most
 * three, since the next one is gathered while the last parts of the one before
 * are carried out.  A part of a window is opened first, and then neighbours in
 * the image are written with one call: 48 MiB for all threads, 8 MiB at most
 * for one.  Besides a thread has 6 MiB, in place 11.
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
	const struct image *held; /* the image, where this host holds it and
				   * no repository is asked; else NULL */
	const char *what;         /* for progress */
	bool fresh;               /* the target reads as zeroes already */
	bool in_place;     /* what is there already is not written, and not
			    * even read from the repository */
	uint64_t *written; /* bytes written, without holes; may be NULL */
};

/* Connections for a disk that is poured into: one asks, one each thread. */
#define POUR_CONNECTIONS 5

/* Into a disk that is at least as large as the image; flushed at the end. */
int pour_disk(const struct pour *p, struct disk *d, struct err *e);

/*
 * Into a file or block device, at its beginning; synced at the end.  A regular
 * file that is fresh or poured into in place has the image's size then, and
 * must be open for reading, too.
 */
int pour_file(const struct pour *p, int fd, struct err *e);

/*
 * A held image: into a file or device that is open for reading and writing,
 * byte for byte what the image file in the snap is, whatever its format: its
 * size too, where it is a file.  Blocks are shared where the file system can,
 * else what is there already is not written.  Synced at the end.
 */
int pour_as_is(const struct pour *p, int fd, struct err *e);

/* Can it begin: is the image there, and has the device at path (a file grows)
 * room for it? */
int pour_fits(const struct pour *p, const char *path, struct err *e);

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
