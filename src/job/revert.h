/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_REVERT_H
#define VMKEEP_JOB_REVERT_H

/* Going back in place, to a point that this host holds. */

#include "job/job.h"

struct job_revert {
	const char *point;
	bool ram;       /* go on at the very instant of the point */
	bool start;     /* boot it afterwards */
	bool stop;      /* it may run: its plug is pulled */
	bool no_safety; /* do not keep the present state as a point */
};

/*
 * The present state is kept first, as a local point of its own.  Then each
 * disk is made what it was, under its own name: only what differs is written,
 * or blocks are shared where the file system can.  Firmware variables and the
 * definition follow.  Storage snapshots, newer ones too, stay as they are.
 *
 * ERR_REFUSED: the point is not held here, lacks RAM that was asked for, or
 * the domain's disks are others by now; ERR_BUSY: it runs.  Until the first
 * disk nothing was changed; after a failure from then on the disks are neither
 * old nor new: the message, and `vmkeep recover`, say so until a revert goes
 * through.
 */
int job_revert(const struct job *j, const struct job_revert *asked,
	       struct result_revert *result, struct err *e);

/* ERR_BUSY when the domain was left in the middle of a revert: its disks make
 * no sense. */
int revert_pending(const struct job *j, const char *uuid, struct err *e);

/* Every domain that was. */
void revert_report(const struct job *j, void *ctx,
		   void (*note)(void *ctx, const char *domain,
				const char *text));

#endif
