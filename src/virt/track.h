/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_TRACK_H
#define VMKEEP_VIRT_TRACK_H

/*
 * What happens to one domain while we are at it, from libvirt's events.  The
 * events of a daemon that is being restarted are lost: whoever waits polls
 * besides.  Times are those of arrival.
 */

#include <stdbool.h>
#include <stdint.h>

#include "virt/conn.h"

struct track;

struct track *track_open(struct conn *c, const char *uuid, struct err *e);
void track_close(struct track *t);
void track_close_at(struct track **t);

/* What has been seen since track_open() or the last track_reset(). */
struct track_seen {
	uint64_t paused_ns; /* standing still, all spells together */
	int64_t first_ns;   /* wall clock of the first suspension; 0: none */
	unsigned resumed;   /* how often it was set going */
	bool paused_now;
	bool started;  /* from shut off */
	bool stopped;  /* shut off, destroyed, crashed, migrated */
	bool migrated; /* ... away */
	bool undefined;
	bool io_error; /* suspended because of an I/O error */
};

void track_seen(struct track *t, struct track_seen *out);
void track_reset(struct track *t);

/* The last status of a disk's block job (VIR_DOMAIN_BLOCK_JOB_...), or -1;
 * forget it before a new job is started. */
int track_job(struct track *t, const char *target);
void track_job_forget(struct track *t, const char *target);

/* Wait for anything to happen, at most ms. */
void track_wait(struct track *t, unsigned ms);

#endif
