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
#include "virt/meeting.h"
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
	unsigned members;           /* of the group, 1: alone */
	struct meeting *meeting;    /* NULL: stop it when it suits the guest */
	bool still;  /* let the guest stand still for all of the copy */
	bool paused; /* it is suspended by us already */
	bool hold;   /* leave it stopped when all is well */
	bool helped; /* out: we had to suspend the guest */
	bool met;    /* has come to the meeting, or left it */
	bool theirs; /* out: held, but its user has paused it meanwhile */
};

/* How long a guest may stand still for us, at the most, in ms. */
#define TAKING_STAND_MS 30000

/*
 * Make it.  On failure libvirt has removed what it made, as a rule; the
 * journal knows what to look after.  With hold the guest stands still after
 * success, and the watchdog sets it going after TAKING_STAND_MS.
 * ERR_NO_SPACE: the spool ran full; ERR_STOPPED: the user wants to stop.
 *
 * With a meeting, RAM is copied until all others are nearly done, too; then
 * all are stopped.
 */
int taking_run(struct taking *t, struct err *e);

#endif
