/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_SETTLE_H
#define VMKEEP_VIRT_SETTLE_H

/*
 * Put a domain back as a plan says.  The orderly end of a capture, its
 * failure in the middle and the recovery of a dead one are all this.
 */

#include "base/journal.h"
#include "base/talk.h"
#include "virt/conn.h"
#include "virt/plan.h"

struct settle {
	struct conn *conn;
	const char *journal_path;
	struct journal *journal; /* of a living capture; NULL: continue it */
	const struct talk *talk;
	const char *program;        /* the watchdog's */
	bool dead;                  /* the capture's process is dead: its calls
				     * may still be under way in the daemon; a
				     * flatten that can be given up is */
	const _Atomic bool *cancel; /* give up a flatten; or NULL */
	void *ctx;
	/* What was done (failed 0) or is left to do; may be NULL. */
	void (*note)(void *ctx, const char *domain, const char *text,
		     int failed);
};

/*
 * Read the journal, act, and end it when nothing is left.  -1 when something
 * is left: e has the first, the journal stays.  Idempotent.
 * A flatten that was given up for another reason than dead is -1, too, when
 * nothing is left: the chain of that disk is as before.
 */
int settle_run(const struct settle *s, struct err *e);

#endif
