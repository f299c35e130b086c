/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_RECOVER_H
#define VMKEEP_VIRT_RECOVER_H

/*
 * Finish or undo what dead captures have left.  Idempotent.  Touches only
 * what a journal names.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/talk.h"
#include "virt/conn.h"
#include "virt/domain.h"

struct recover_item {
	char *domain; /* name, or UUID where the name is not known */
	char *action; /* what was done, or what is left and what to type */
	int failed;   /* not 0: still to be done; the journal stays */
};

struct recover_report {
	struct recover_item *items;
	size_t count;
};

/*
 * Every journal in state_dir whose owner is dead, or only that of one domain
 * (uuid not NULL).  A capture that is under way (its lock is held) is left
 * alone.  -1 only when nothing could be done at all; single failures are
 * items.
 */
int recover_run(struct conn *c, const char *state_dir, const char *uuid,
		const struct talk *talk, struct recover_report *report,
		struct err *e);
/*
 * Recover what a dead one has left of this domain, and take its lock.
 * ERR_BUSY when that cannot be done, or when somebody else is at it.
 */
int recover_claim(struct conn *c, const char *state_dir,
		  const struct domain_info *d, const struct talk *talk,
		  int *lock, struct err *e);
void recover_report_fini(struct recover_report *report);

/*
 * The watchdog: main() of the hidden command.  Reads its orders from stdin,
 * acts at the deadline or when stdin ends.  Returns the exit code.
 */
int watchdog_main(int argc, char **argv);

#endif
