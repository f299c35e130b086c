/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_GATHER_H
#define VMKEEP_JOB_GATHER_H

/* Filling in the record of a point. */

#include "job/result.h"
#include "repo/intake.h"
#include "repo/point.h"

/* A new point with a fresh id; valid until the next one is added. */
struct point *gather_point(struct set *set, const char *name, int64_t time_ns);

/* A new image of a point; valid until the next one is added. */
struct image *gather_image(struct point *p, enum image_kind kind,
			   const char *name, const struct image_root *root);

/* Add what the intake has counted. */
void gather_counters(struct intake *in, struct result_backup *result);

/* Of a failure to write to the repository: what to do when it was for want of
 * room there.  Only the system says so with an errno; storage snapshots and
 * overlays that get full have sentences of their own.  Returns -1. */
int gather_failed(struct err *e);

#endif
