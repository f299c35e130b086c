/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_AMEND_H
#define VMKEEP_JOB_AMEND_H

/*
 * Making what is there into what should be there, and writing nothing that is
 * so already: what restores in place are made of.
 */

#include "base/err.h"
#include "job/outlet.h"

struct amend {
	struct outlet *outlet;
	unsigned thread;  /* of the outlet */
	uint8_t *scratch; /* EXTENT_SIZE bytes, aligned to pages */
	uint64_t written; /* bytes, counted up */
};

/* At most EXTENT_SIZE bytes.  Only pages that are others than those there are
 * written. */
int amend_write(struct amend *a, uint64_t offset, const uint8_t *data,
		size_t size, struct err *e);

/* The same where it is known what is there: is, size bytes, should read as
 * zeroes. */
int amend_clear(struct amend *a, uint64_t offset, const uint8_t *is,
		size_t size, struct err *e);

/* A range of any size should read as zeroes. */
int amend_zero(struct amend *a, uint64_t offset, uint64_t size, struct err *e);

#endif
