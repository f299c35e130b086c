/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_SNAPUSE_H
#define VMKEEP_JOB_SNAPUSE_H

/*
 * Storage snapshots of a local point in use: opened for reading, or on their
 * way out.  A journal like that of job/snapped.h names what is done, before it
 * is, and recovery finds it there; the orderly end is the same.
 */

#include "base/err.h"
#include "job/job.h"
#include "snap/snap.h"

struct snap_use;

struct snap_use *snap_use_begin(const struct job *j, struct err *e);

/* How to call what snap.h offers; its journal is this one. */
const struct snap_how *snap_use_how(const struct snap_use *u);

/*
 * Everybody has closed what he has opened.  What was to be dropped and no
 * local point names is dropped, and the journal ends when nothing is left;
 * else -1 with the first thing that is left, which `vmkeep recover` tries
 * again.  Frees u in any case; NULL is fine.
 */
int snap_use_end(struct snap_use *u, struct err *e);

#endif
