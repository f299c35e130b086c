/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_SNAPPED_H
#define VMKEEP_JOB_SNAPPED_H

/*
 * The storage snapshots of one set: taken while its guests stand still, read
 * instead of their disks, and given back.  They are in use (job/snapuse.h)
 * under the set's id, for they belong to the set, not to a domain.
 */

#include "base/err.h"
#include "base/talk.h"
#include "job/job.h"
#include "snap/snap.h"
#include "virt/domain.h"

struct snapped;

/* id: of the set, hex digits. */
struct snapped *snapped_new(const struct job *j, const char *id);

/* Why the storage of a domain's disks (of these targets; NULL: of all that are
 * captured) has no snapshots, to be freed; NULL: it has. */
char *snapped_refusal_of(struct conn *c, const struct domain_info *d,
			 char *const *targets, size_t count);

/*
 * Get ready to snapshot these, before the guests stand still; later calls
 * replace what was named before.  count 0: nothing will be taken.
 */
int snapped_plan(struct snapped *s, const char *const *paths, size_t count,
		 struct err *e);

/* Take them, at once; what an earlier call has taken is dropped before. */
int snapped_take(struct snapped *s, unsigned deadline_ms, struct err *e);

/* Where one of the paths is to be read, good until snapped_end(). */
const char *snapped_path(struct snapped *s, const char *path, struct err *e);

/* Its snap, and where it is in that; both are good as long as s is. */
int snapped_where(const struct snapped *s, const char *path,
		  const struct snap **snap, const char **inside, struct err *e);

/* Do they hold?  For the reader, now and then, from any thread. */
int snapped_check(struct snapped *s, struct err *e);

/* The same, however short ago it was asked last. */
int snapped_sure(struct snapped *s, struct err *e);

/* From the first one's beginning to the last one's end, in ms; 0: none. */
uint64_t snapped_ms(const struct snapped *s);

/* What was taken, one for each of their volumes. */
const struct snaps *snapped_all(const struct snapped *s);

/* A point that is kept on this host names them by now: they stay.  Those that
 * none names go all the same. */
void snapped_stay(struct snapped *s);

/*
 * Close what is open for reading, and give back those that need not stay.
 * What cannot be given back is in the journal for recover, and in *e.  Frees s
 * in any case; NULL is fine.
 */
int snapped_end(struct snapped *s, struct err *e);

#endif
