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
	const char *program;       /* the watchdog's, see capture.h */
	struct watchdog *watchdog; /* or NULL: started when it is needed */
};

/*
 * Of a running domain: block commit and pivot, adopting a commit job that is
 * under way.  Ends with the live definition on the base and the job gone.
 */
int merge_live(struct merge *m, const struct plan_disk *disk, struct err *e);

/* Of a domain that is shut off: qemu-img commit, then the definition. */
int merge_off(struct merge *m, const struct plan_disk *disk, struct err *e);

/* Make the kept definition name the base again.  Only when the base has
 * everything. */
int merge_redefine(struct merge *m, const struct plan_disk *disk,
		   struct err *e);

/* The same in a definition's text: pure.  out ends with NUL. */
int merge_rewrite(const char *xml, const struct plan_disk *disk, bool block,
		  struct buf *out, struct err *e);

#endif
