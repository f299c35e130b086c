/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_FREEZE_H
#define VMKEEP_VIRT_FREEZE_H

/* Freezing the guest's file systems through its agent, bounded in time. */

#include "base/journal.h"
#include "virt/conn.h"
#include "virt/watchdog.h"

struct freeze {
	struct conn *conn;
	const char *uuid;
	struct journal *journal;
	struct watchdog *watchdog;
};

/*
 * How many file systems are frozen; 0 when the guest has none that can be.
 * -1: none is frozen by us (it was thawed again where that was not sure).
 * The watchdog thaws after a while.
 */
int freeze_begin(struct freeze *f, struct err *e);

/* How many were thawed; -1 when none could be confirmed: the journal then
 * still says frozen. */
int freeze_end(struct freeze *f, struct err *e);

#endif
