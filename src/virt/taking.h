/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_TAKING_H
#define VMKEEP_VIRT_TAKING_H

/*
 * The snapshot call, made in a thread of its own, and what has to be done
 * while it runs: keep the last round short, help RAM that does not converge,
 * give up when the spool runs full.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/journal.h"
#include "base/talk.h"
#include "virt/conn.h"
#include "virt/track.h"
#include "virt/watchdog.h"

struct taking {
	struct conn *conn;
	const char *name;
	const char *uuid;
	struct journal *journal;
	struct track *track;
	struct watchdog *watchdog; /* NULL: the guest was paused before */
	const struct talk *talk;
	const char *xml;
	const char *memory; /* RAM dump, or NULL: disks alone */
	uint64_t downtime_ms;
	const _Atomic bool *cancel; /* or NULL */
	bool still;  /* let the guest stand still for all of the copy */
	bool helped; /* out: we had to suspend the guest */
};

/* Make it.  On failure libvirt has removed what it made, as a rule; the
 * journal knows what to look after.  ERR_NO_SPACE: the spool ran full;
 * ERR_STOPPED: the user wants to stop. */
int taking_run(struct taking *t, struct err *e);

#endif
