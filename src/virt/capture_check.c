/* SPDX-License-Identifier: Apache-2.0 */

/* Does the guest need us to stop reading? */

#include "base/clock.h"
#include "virt/capture_internal.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/jot.h"
#include "virt/overlay.h"

#define EVERY_NS ((int64_t)500 * 1000000)
/* The events of a domain that is gone may come after we miss it. */
#define EVENT_ROUNDS 40
#define EVENT_MS     50

static int check_off(struct capture *cap, const struct track_seen *seen,
		     const struct guest_state *s, struct err *e)
{
	const char *name = cap->domain->name;

	if (seen->started || guest_active(s))
		return err_set(e, ERR_BUSY,
			       "'%s' was started while it was read: reading "
			       "is given up",
			       name);
	return 0;
}

static int check_place(struct capture *cap, const struct track_seen *seen,
		       const struct guest_state *s, struct err *e)
{
	int64_t writes;

	if (seen->resumed || seen->stopped ||
	    (s->state != VIR_DOMAIN_PAUSED && s->state != VIR_DOMAIN_CRASHED))
		return err_set(e, ERR_BUSY,
			       "'%s' was paused and is not any more: what was "
			       "read is of no instant",
			       cap->domain->name);
	writes = capture_writes(cap, e);
	if (writes < 0)
		return -1;
	if (writes != cap->writes)
		return err_set(e, ERR_BUSY,
			       "'%s' has written meanwhile: what was read is "
			       "of no instant",
			       cap->domain->name);
	return 0;
}

static int check_room(struct capture *cap, struct err *e)
{
	for (size_t i = 0; i < cap->pick_count; i++) {
		if (!cap->picks[i].overlay)
			continue; /* its storage has the disk as it was */
		if (overlay_room(cap->picks[i].overlay, cap->picks[i].reserve,
				 "--overlay-dir", e) < 0)
			return err_ctx(e,
				       "the overlay of disk %s must be "
				       "merged now",
				       cap->picks[i].disk->target);
	}
	return 0;
}

/* The bases stay what they are whatever becomes of the domain, so reading
 * goes on; but merging will be different. */
static void note_gone(struct capture *cap, const struct track_seen *seen)
{
	struct err e = ERR_INIT;

	if (cap->noted_gone || (!seen->stopped && !seen->undefined))
		return;
	cap->noted_gone = true;
	talk_say(cap->talk, TALK_WARN, "%s: %s during the backup",
		 cap->domain->name,
		 seen->migrated    ? "was migrated away"
		 : seen->undefined ? "was undefined"
				   : "was shut off");
	if (seen->migrated)
		(void)!JOT0(cap->journal, JOT_MIGRATED, &e);
}

static int check_live(struct capture *cap, const struct track_seen *seen,
		      const struct guest_state *s, struct err *e)
{
	note_gone(cap, seen);
	if (cap->method == METHOD_OVERLAY && s->state == VIR_DOMAIN_PAUSED &&
	    s->reason == VIR_DOMAIN_PAUSED_IOERROR)
		return err_set(e, ERR_NO_SPACE,
			       "'%s' was stopped by an I/O error, and reading "
			       "is given up: is there no room for its "
			       "overlays? then say another --overlay-dir",
			       cap->domain->name);
	return check_room(cap, e);
}

/* How did it go?  Only its events tell whether it was migrated away. */
static void wait_how(struct capture *cap, struct track_seen *seen)
{
	for (int i = 0; i < EVENT_ROUNDS && !seen->stopped; i++) {
		track_wait(cap->track, EVENT_MS);
		track_seen(cap->track, seen);
	}
	seen->stopped = true;
}

static int look(struct capture *cap, struct err *e)
{
	struct track_seen seen;
	struct guest_state s = { .state = VIR_DOMAIN_NOSTATE };

	track_seen(cap->track, &seen);
	if (guest_state(cap->conn, cap->domain->uuid, &s, e) < 0) {
		/* a frozen base outlives its domain */
		if (cap->mode != MODE_LIVE || e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		if (!cap->noted_gone)
			wait_how(cap, &seen);
	}
	switch (cap->mode) {
	case MODE_OFF:
		return check_off(cap, &seen, &s, e);
	case MODE_PLACE:
		return check_place(cap, &seen, &s, e);
	case MODE_LIVE:
	default:
		return check_live(cap, &seen, &s, e);
	}
}

static int check(struct capture *cap, int64_t age_ns, struct err *e)
{
	int64_t now = clock_steady_ns();
	int ret = 0;

	pthread_mutex_lock(&cap->check_lock);
	if (cap->failed.code == ERR_NONE && now - cap->checked_ns >= age_ns) {
		cap->checked_ns = now;
		(void)!look(cap, &cap->failed);
	}
	if (cap->failed.code != ERR_NONE) {
		*e = cap->failed;
		ret = -1;
	}
	pthread_mutex_unlock(&cap->check_lock);
	return ret;
}

int capture_check(struct capture *cap, struct err *e)
{
	return check(cap, EVERY_NS, e);
}

int capture_sure(struct capture *cap, struct err *e)
{
	return check(cap, 0, e);
}
