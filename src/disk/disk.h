/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_DISK_DISK_H
#define VMKEEP_DISK_DISK_H

/*
 * A disk: something readable, and sometimes writable, by offset, over NBD.
 *
 * A disk has several connections; each is used by one thread at a time, and
 * different ones by different threads at the same time.  A call keeps many
 * requests in flight on its connection.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct disk;

struct disk_image {
	const char *path;   /* image file or block device */
	const char *format; /* "raw", "qcow2", ...: never probed */
	bool writable;
	bool shared; /* not writable, and somebody else has it open for writing
		      * but surely does not: no lock is asked for */
	bool yields; /* not writable, nobody writes to it now, and whoever wants
		      * to later is not kept away: ask disk_sure() at the end */
	unsigned connections;   /* 1 to 16 */
	const char *socket_dir; /* private folder for the socket */
};

/*
 * Open an image, with its backing chain, through a qemu-nbd of our own on a
 * private unix socket.  Read-only ones that are neither shared nor yield take
 * QEMU's shared image lock: a VM
 * that writes to the image makes this fail with ERR_BUSY (the message says
 * that the image is in use), and keeps one from being started on it.  The
 * helper ends with disk_close() or when we die.  ERR_NOT_FOUND: no such file.
 */
struct disk *disk_open_image(const struct disk_image *image, struct err *e);

/*
 * Of an image that yields: -1 with ERR_BUSY when it was changed, or opened for
 * writing, since it was opened here.  0 for all others.
 */
int disk_sure(struct disk *d, struct err *e);

/* Connect to an export that somebody else serves: a unix socket path and an
 * export name ("" is the default one). */
struct disk *disk_open_export(const char *socket, const char *export_name,
			      unsigned connections, struct err *e);

/* Close; flushes nothing.  NULL is fine. */
void disk_close(struct disk *d);
void disk_close_at(struct disk **d);

/* Bytes.  Of a raw file whose length is no multiple of 512, the true length
 * as far as the export tells it. */
uint64_t disk_size(const struct disk *d);

/* How many connections there are in fact. */
unsigned disk_connections(const struct disk *d);

/* The helper's process id, or 0. */
pid_t disk_helper(const struct disk *d);

/* Read or write size bytes (any size) at offset, split and pipelined. */
int disk_read(struct disk *d, unsigned connection, uint64_t offset, size_t size,
	      void *to, struct err *e);
int disk_write(struct disk *d, unsigned connection, uint64_t offset,
	       size_t size, const void *from, struct err *e);

/* Make a range read as zeroes, without allocating where the format can. */
int disk_zero(struct disk *d, unsigned connection, uint64_t offset,
	      uint64_t size, struct err *e);

/* What was written is durable after this. */
int disk_flush(struct disk *d, struct err *e);

/*
 * Where there is data: *data says about [offset, offset + *size) that it may
 * hold data (true) or surely reads as zeroes (false); *size is how far that
 * holds, at least 1 and at most to the end of the disk.  Without block status
 * on the server everything is data.  Uses connection 0 and remembers what the
 * server said beyond the question.
 */
int disk_extent(struct disk *d, uint64_t offset, uint64_t *size, bool *data,
		struct err *e);

/*
 * Is a block device free for us?  ERR_BUSY when something on this host uses
 * it (the kernel refuses O_EXCL then); 0 also when it cannot be opened.
 */
int disk_idle(const char *path, struct err *e);

/*
 * Make an image file (qemu-img create): format "raw" or "qcow2", size in
 * bytes, mode 0600; ERR_EXISTS when path is there already.
 */
int disk_create(const char *path, const char *format, uint64_t size,
		struct err *e);

#endif
