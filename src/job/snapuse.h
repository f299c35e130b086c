/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_SNAPUSE_H
#define VMKEEP_JOB_SNAPUSE_H

/*
 * Storage snapshots in use: being taken, opened for reading, or on their way
 * out.  A journal, state_dir/ID.snaps, names what is done before it is, and a
 * lock beside it tells whether its maker lives; recovery finds what a dead one
 * has left.  ID is that of the set, or chance.
 */

#include "base/err.h"
#include "job/job.h"
#include "snap/snap.h"

struct snap_use;

/* id: hex digits; NULL: by chance. */
struct snap_use *snap_use_begin(const struct job *j, const char *id,
				struct err *e);

/* How to call what snap.h offers; its journal is this one. */
const struct snap_how *snap_use_how(const struct snap_use *u);

/*
 * Everybody has closed what he has opened.  What was taken, or was to be
 * dropped, and no local point names is dropped, and the journal ends when
 * nothing is left; else -1 with the first thing that is left, which `vmkeep
 * recover` tries again.  Frees u in any case; NULL is fine.
 */
int snap_use_end(struct snap_use *u, struct err *e);

/* Nothing that it names is to be given back any more: the journal goes. */
int snap_use_done(struct snap_use *u, struct err *e);

/* What is in the journal by now is recovery's.  NULL is fine. */
void snap_use_free(struct snap_use *u);

/* What dead makers have left, in all of state_dir. */
struct snap_use_recover {
	const struct job *job; /* what its local points name is kept */
	void *ctx;
	/* what was done, or is left */
	void (*note)(void *ctx, const char *id, const char *text, int failed);
};

int snap_use_recover(const struct snap_use_recover *r, struct err *e);

#endif
