/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_TARGET_H
#define VMKEEP_JOB_TARGET_H

/*
 * Where the disks of a point go: decided, and checked, before anything is
 * written.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "job/job.h"
#include "job/pour.h"
#include "repo/point.h"

struct target {
	const struct image *image;
	char *path;
	const char *format; /* "raw" or "qcow2" */
	bool block;         /* a block device: overwritten */
	bool there;         /* a file that is poured into in place */
	bool made;          /* a file that we have made */
};

struct targets {
	struct target *items;
	size_t count;
	char *folder; /* for what is no disk; NULL: nowhere */
	char *stem;   /* file names begin so: the name, made safe */
	bool whole;   /* every disk of the point has a place */
};

/*
 * From --to, --disk and the point.  ERR_USAGE: a disk that the point does not
 * have, no place for anything, one place for two; ERR_EXISTS: a file is there
 * already; ERR_BUSY: a device is mounted or belongs to something.
 */
int targets_plan(const struct job_restore *asked, const struct point *p,
		 struct targets *t, struct err *e);

/*
 * Write a disk to its place, which p does not say yet: a new file is made, a
 * device or an old file is overwritten.  socket_dir: for qcow2, see
 * disk_open_image().
 */
int target_fill(struct target *t, struct pour *p, const char *socket_dir,
		struct err *e);

/*
 * An old raw file or a block device, for reading and writing, and nobody
 * else's as long as it is open.  ERR_BUSY: a VM or somebody else uses it;
 * ERR_REFUSED: a file that is not raw.
 */
int target_open_raw(const char *path, struct err *e);

/* The same for an image file of any format, as the bytes that it is. */
int target_open_image(const char *path, struct err *e);

/* Say of an old file or device that it is neither old nor new. */
int target_spoilt(const char *path, struct err *e);

/* Remove the files that were made: a restore that failed leaves none. */
void targets_undo(struct targets *t);

void targets_fini(struct targets *t);

#endif
