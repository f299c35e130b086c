/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_DISK_EXTENTS_H
#define VMKEEP_DISK_EXTENTS_H

/*
 * What is known of one stretch of a disk: data here, zeroes there.  Servers
 * answer block status for more than was asked; it is kept for the next
 * question.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extents {
	uint64_t start;
	uint64_t end;
	struct extents_run *runs; /* neighbours differ */
	size_t count;
	size_t cap;
	bool full;   /* more was said than is kept */
	size_t last; /* where the last look-up ended: they go upwards */
};

void extents_fini(struct extents *x);

/* Forget everything; the next extents_add() begins at start. */
void extents_restart(struct extents *x, uint64_t start);

/* The next size bytes are this. */
void extents_add(struct extents *x, uint64_t size, bool data);

/* What is at offset, and up to where; false when it is not known. */
bool extents_find(struct extents *x, uint64_t offset, uint64_t *end,
		  bool *data);

#endif
