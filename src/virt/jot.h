/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_JOT_H
#define VMKEEP_VIRT_JOT_H

/* What a capture, or a flatten, writes into its journal.  plan.h reads it. */

#include "base/journal.h"

/*
 * The words of the journal, in the order in which they appear.  Each is
 * written and durable before the step that it announces; the *_DONE ones
 * after it.
 */
#define JOT_BEGIN    "begin"    /* uuid name uri id paused */
#define JOT_DOWNTIME "downtime" /* old: ms to be put back */
#define JOT_SPOOL    "spool"    /* path of the RAM dump */
#define JOT_DISK                                                               \
	"disk"                 /* target base format dev                       \
				* ino overlay; of a flatten:                   \
				* merge=keep|delete odev oino size */
#define JOT_BETWEEN  "between" /* target path dev ino: merged, too */
#define JOT_FREEZE   "freeze"  /* the agent is asked to freeze */
#define JOT_THAWED   "thawed"
#define JOT_HOLD     "hold"     /* libvirt is to leave it paused for us */
#define JOT_SNAPSHOT "snapshot" /* libvirt is asked */
#define JOT_TAKEN                                                              \
	"taken" /* it is done: overlays are active, or                         \
		 * the guest is held */
#define JOT_DOWNTIME_DONE "downtime_back"
#define JOT_COMMIT        "commit"  /* target: live block commit begins */
#define JOT_PAUSE         "pause"   /* we suspend a running guest */
#define JOT_RESUMED       "resumed" /* ends "pause" and "hold" */
#define JOT_PIVOT         "pivot"   /* target: the job is to be ended */
#define JOT_OFFLINE       "offline" /* target: qemu-img commit begins */
#define JOT_COMMITTED                                                          \
	"committed"               /* target: base has everything; stamp: when  \
				   * the overlay was last written to */
#define JOT_MERGED     "merged"   /* target: definitions name the base */
#define JOT_UNLINKED   "unlinked" /* target: the overlay is removed */
#define JOT_UNDONE     "undone"   /* target: chain as before */
#define JOT_SPOOL_DONE "spool_gone"
#define JOT_MIGRATED   "migrated" /* the domain left this host */
#define JOT_WATCHDOG   "watchdog" /* pid start: our watchdog process */

/* One journal record in one line:
 *     JOT(j, JOT_PIVOT, e, { "target", d->target })                          */

#define JOT(j, word, e, ...)                                                   \
	journal_write(                                                         \
		(j), (word),                                                   \
		(const struct journal_field[]){ __VA_ARGS__, { NULL, NULL } }, \
		(e))

/* A record without fields. */
#define JOT0(j, word, e)                                                       \
	journal_write((j), (word),                                             \
		      (const struct journal_field[]){ { NULL, NULL } }, (e))

#endif
