/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_WHERE_H
#define VMKEEP_SNAP_WHERE_H

/* Where a path really is: its mount, and its path in that file system. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct where {
	char *path; /* absolute, links resolved */
	uint64_t dev, ino;
	bool block;                /* a block device ... */
	unsigned dev_maj, dev_min; /* ... this one; else that of the file
				    * system (0 where it has none) */
	uint64_t mount_id;
	char *fs;      /* type of the file system */
	char *source;  /* dataset, device */
	char *mount;   /* where it is mounted */
	char *options; /* of the file system, with commas between; or NULL */
	char *inside;  /* the file's path in the file system, without a
			* leading slash */
};

/* ERR_NOT_FOUND; ERR_REFUSED for what is neither a regular file nor a block
 * device.  *w is for where_fini(). */
int where_find(const char *path, struct where *w, struct err *e);
void where_fini(struct where *w);

/* The line of mountinfo (proc(5)) with this mount id: fs, source, mount,
 * options and `inside` (its root) are set.  False when there is none, or it
 * cannot be meant. */
bool where_parse(const char *mountinfo, struct where *w);

#endif
