/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_MERGE_H
#define VMKEEP_VIRT_MERGE_H

/*
 * Bring what an overlay has into its base, and the domain back onto the base.
 */

#include "base/bytes.h"
#include "base/journal.h"
#include "base/talk.h"
#include "virt/conn.h"
#include "virt/plan.h"
#include "virt/track.h"
#include "virt/watchdog.h"

struct merge {
	struct conn *conn;
	const struct plan *plan;
	struct journal *journal;
	struct track *track;
	const struct talk *talk;
	const char *program;        /* the watchdog's, see capture.h */
	struct watchdog *watchdog;  /* or NULL: started when it is needed */
	const _Atomic bool *cancel; /* give up a flatten's commit; or NULL */
};

/*
 * Of a running domain: block commit and pivot, adopting a commit job that is
 * under way.  Ends with the live definition on the base and the job gone.
 * Of a flatten: all that is between overlay and base, too; ERR_STOPPED when it
 * is to be given up, ERR_NO_SPACE when the base's file system runs full.  After
 * a failure the job may be there still: merge_undo().
 */
int merge_live(struct merge *m, struct plan_disk *disk, struct err *e);

/* End a flatten's commit that is under way: the chain stays as it was. */
int merge_undo(struct merge *m, const struct plan_disk *disk, struct err *e);

/* Of a domain that is shut off: qemu-img commit.  Errors as above; the
 * definition is still to be changed, unless the overlay was written to since
 * disk->stamp, which is set. */
int merge_off(struct merge *m, struct plan_disk *disk, struct err *e);

/*
 * For a flatten: -1 when it is to be given up, because the user wants that or
 * because less than merge_floor() is free where the base is.  A base that is no
 * file has no floor: 0.
 */
int merge_may_go_on(struct merge *m, const struct plan_disk *disk,
		    struct err *e);
uint64_t merge_floor(const char *base);

/* Make the kept definition name the base again.  Only when the base has
 * everything. */
int merge_redefine(struct merge *m, const struct plan_disk *disk,
		   struct err *e);

/* How far qemu-img says it is, in hundredths of a percent; 0: not said. */
uint64_t merge_percent(const char *text);

/* The same in a definition's text: pure.  out ends with NUL. */
int merge_rewrite(const char *xml, const struct plan_disk *disk, bool block,
		  struct buf *out, struct err *e);

#endif
