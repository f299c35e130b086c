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
#include "repo/point.h"

struct target {
	const struct image *image;
	char *path;
	const char *format; /* "raw" or "qcow2" */
	bool block;         /* a block device: overwritten */
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

/* Remove the files that were made: a restore that failed leaves none. */
void targets_undo(struct targets *t);

void targets_fini(struct targets *t);

#endif
