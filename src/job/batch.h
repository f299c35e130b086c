/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_BATCH_H
#define VMKEEP_JOB_BATCH_H

/*
 * Bytes for an outlet, gathered so that those that are neighbours there are
 * written with one call, wherever they lie in memory.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/outlet.h"

/* Pieces that are gathered at most; one more writes all of them. */
#define BATCH_MAX OUTLET_PIECES

struct batch {
	struct outlet *outlet;
	unsigned thread;  /* of the outlet */
	uint64_t written; /* bytes, counted up */
	size_t count;
	struct batch_piece {
		uint64_t offset;
		const uint8_t *data;
		size_t size;
	} pieces[BATCH_MAX];
};

/* data must stay until batch_write().  Pieces do not overlap. */
int batch_add(struct batch *b, uint64_t offset, const uint8_t *data,
	      size_t size, struct err *e);

/* Write all that was added since. */
int batch_write(struct batch *b, struct err *e);

#endif
