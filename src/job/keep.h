/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_KEEP_H
#define VMKEEP_JOB_KEEP_H

/* A set that stays on this host: from what was captured to a local point. */

#include "job/local.h"
#include "job/member.h"

/*
 * Add the member's point: its disks as places in the snapshots of snapped, its
 * RAM and all else as files.  On failure the set is as before.
 */
int keep_member(struct member *m, const struct snapped *snapped,
		struct local_new *local, struct set *set, struct err *e);

/* Of a failure to write what stays here: say so, and what to do where there is
 * no room.  Returns -1. */
int keep_failed(const struct job *j, struct err *e);

#endif
