/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_DISK_NBD_H
#define VMKEEP_DISK_NBD_H

/*
 * One connection to an NBD server: the only door to libnbd.  Used by one
 * thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct nbdconn;

/* Take a connected socket (also on failure) and shake hands. */
struct nbdconn *nbdconn_open(int fd, const char *export_name, struct err *e);

/* Say goodbye and close.  NULL is fine. */
void nbdconn_close(struct nbdconn *n);

/* What the server says of the export. */
struct nbdconn_export {
	uint64_t size;
	bool writable;
	bool multi;  /* connections see each other's writes and flushes */
	bool status; /* base:allocation can be asked */
};

const struct nbdconn_export *nbdconn_export(const struct nbdconn *n);

enum nbdconn_verb {
	NBDCONN_READ,
	NBDCONN_WRITE,
	NBDCONN_ZERO, /* may deallocate */
};

struct nbdconn_work {
	enum nbdconn_verb verb;
	uint64_t offset;
	uint64_t size;
	uint8_t *to;         /* NBDCONN_READ */
	const uint8_t *from; /* NBDCONN_WRITE */
};

/*
 * Do it in pieces, many in flight at once; all have ended when this returns.
 * The message has no subject.  e->sys is the server's errno, or ENOTCONN when
 * the connection was lost; it stays lost.
 */
int nbdconn_run(struct nbdconn *n, const struct nbdconn_work *work,
		struct err *e);

int nbdconn_flush(struct nbdconn *n, struct err *e);

/* Called for each extent in order, from the offset asked for on. */
typedef void nbdconn_extent(void *ctx, uint64_t size, bool zero);

/* Ask for block status; the answer may end earlier or later than the
 * question, but covers at least a byte. */
int nbdconn_status(struct nbdconn *n, uint64_t offset, uint64_t size,
		   nbdconn_extent *each, void *ctx, struct err *e);

#endif
