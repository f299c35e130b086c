/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_OUTLET_H
#define VMKEEP_JOB_OUTLET_H

/*
 * Where an image is written to: a disk over NBD, or a file or block device,
 * of which it takes the beginning.  Several threads at once, each under its
 * own number.
 *
 * Files and devices are written past the page cache where that is possible:
 * what is restored is larger than what anybody wants to have in memory, it
 * must be on the disk in the end anyhow, and copying costs as much as opening
 * and unpacking does.  Elsewhere writing to the disk begins at once, so that
 * little is left to wait for at the end.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "disk/disk.h"

struct outlet;

/* Both stay the caller's.  A file that is to be read must be open for
 * reading, too. */
struct outlet *outlet_disk(struct disk *d);
struct outlet *outlet_file(int fd);
void outlet_free(struct outlet *o);
void outlet_free_at(struct outlet **o);

/* How many threads make sense, numbered from 0. */
unsigned outlet_threads(const struct outlet *o);

/* Fast when memory, offset and size are whole pages; right always. */
int outlet_write(struct outlet *o, unsigned thread, uint64_t offset,
		 size_t size, const uint8_t *from, struct err *e);

/* The same of up to so many pieces of memory, for neighbours on the target. */
#define OUTLET_PIECES 512
int outlet_writev(struct outlet *o, unsigned thread, uint64_t offset,
		  const struct iovec *iov, size_t count, struct err *e);

/* All of it is going to be written: have blocks for it, so that several threads
 * may write at once, and neighbours lie together whatever the order.  Nothing
 * where that is not so, or not possible: it only helps. */
void outlet_reserve(struct outlet *o, uint64_t offset, uint64_t size);

/* What is past the end reads as zeroes. */
int outlet_read(struct outlet *o, unsigned thread, uint64_t offset, size_t size,
		uint8_t *to, struct err *e);

/* Have it read as zeroes, without allocating where that can be. */
int outlet_zero(struct outlet *o, unsigned thread, uint64_t offset,
		uint64_t size, struct err *e);

/* How many bytes from offset on surely read as zeroes; 0: there may be
 * data. */
int outlet_hole(struct outlet *o, uint64_t offset, uint64_t *size,
		struct err *e);

/* What was written is durable after this. */
int outlet_sync(struct outlet *o, struct err *e);

#endif
