/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/settle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/mem.h"
#include "base/proc.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/jot.h"
#include "virt/merge.h"
#include "virt/release.h"
#include "virt/sight.h"
#include "virt/stale.h"
#include "virt/stray.h"

#define ABORT_MS   600000
#define DOG_MS     120000
#define THAW_TRIES 3
/* Between two looks at a disk the domain may start, stop or vanish. */
#define DISK_ROUNDS 4

struct work {
	const struct settle *s;
	struct plan plan;
	struct merge merge;
	bool exists; /* the domain */
	bool active;
	bool left;    /* something could not be done */
	char *advice; /* what to type, whole: paths may be long */
	struct err first;
	struct err gave_up; /* why a flatten was given up, the first */
};

static const char *name_of(const struct work *w)
{
	return w->plan.name ? w->plan.name : w->plan.uuid;
}

static void did(struct work *w, const char *text)
{
	if (w->s->note)
		w->s->note(w->s->ctx, name_of(w), text, 0);
}

/* Something stays to be done; go on with the rest. */
static void remains(struct work *w, const struct err *why)
{
	autofree char *advice = mem_take(&w->advice);

	if (!w->left)
		w->first = *why;
	w->left = true;
	if (w->s->note)
		w->s->note(w->s->ctx, name_of(w), advice ? advice : why->msg,
			   1);
}

/* ---- the guest ---- */

/* The dead capture's watchdog may be about to resume the guest: it must not
 * do so in the middle of what we do. */
static void wait_for_watchdog(const struct plan *plan)
{
	unsigned long long start;

	for (int waited = 0; plan->watchdog_pid && waited < DOG_MS;
	     waited += 100) {
		if (proc_start_time((pid_t)plan->watchdog_pid, &start) < 0 ||
		    start != plan->watchdog_start)
			return;
		nap_ms(100);
	}
}

static int look_guest(struct work *w, struct guest_state *s, struct err *e)
{
	if (guest_state(w->s->conn, w->plan.uuid, s, e) == 0) {
		w->exists = true;
		w->active = guest_active(s);
		return 0;
	}
	w->exists = false;
	w->active = false;
	return e->code == ERR_NOT_FOUND ? 0 : -1;
}

static bool is_active(struct work *w)
{
	struct guest_state s;
	struct err ignored = ERR_INIT;

	(void)!look_guest(w, &s, &ignored);
	return w->active;
}

static void settle_snapshot(struct work *w)
{
	struct err e = ERR_INIT;

	if (!w->plan.snapshotting || !w->active)
		return;
	if (guest_abort_job(w->s->conn, w->plan.uuid, ABORT_MS, &e) < 0 &&
	    e.code != ERR_NOT_FOUND)
		remains(w, &e);
}

static void settle_frozen(struct work *w)
{
	struct err e = ERR_INIT;

	if (!w->plan.frozen)
		return;
	if (w->active &&
	    guest_thaw(w->s->conn, w->plan.uuid, THAW_TRIES, &e) < 0 &&
	    e.code != ERR_NOT_FOUND) {
		err_ctx(&e,
			"its file systems may be frozen (virsh domfsthaw "
			"'%s')",
			name_of(w));
		remains(w, &e);
		return;
	}
	if (JOT0(w->merge.journal, JOT_THAWED, &e) < 0)
		remains(w, &e);
	did(w, "file systems thawed");
}

/* Paused by us, or by libvirt for a snapshot of ours that nobody ended? */
static bool paused_for_us(const struct work *w, const struct guest_state *s)
{
	if (s->state != VIR_DOMAIN_PAUSED || w->plan.paused_before)
		return false;
	if (w->plan.paused)
		return true;
	return (w->plan.snapshotting || w->plan.held) && guest_held(s);
}

static void settle_paused(struct work *w)
{
	struct err e = ERR_INIT;
	struct guest_state s = { .state = 0 };

	if (w->active && look_guest(w, &s, &e) < 0) {
		remains(w, &e);
		return;
	}
	if (w->active && paused_for_us(w, &s)) {
		if (guest_resume(w->s->conn, w->plan.uuid, &e) < 0) {
			remains(w, &e);
			return;
		}
		did(w, "resumed");
	}
	if ((w->plan.paused || w->plan.held) &&
	    JOT0(w->merge.journal, JOT_RESUMED, &e) < 0)
		remains(w, &e);
}

static void settle_downtime(struct work *w)
{
	struct err e = ERR_INIT;
	virDomainPtr d;

	if (!w->plan.downtime_set)
		return;
	d = w->active ? conn_domain(w->s->conn, w->plan.uuid, &e) : NULL;
	/* a guest that goes just now needs no value */
	if (d) {
		virDomainMigrateSetMaxDowntime(d, w->plan.downtime_old, 0);
		virDomainFree(d);
	}
	if (JOT0(w->merge.journal, JOT_DOWNTIME_DONE, &e) < 0)
		remains(w, &e);
}

/* ---- the disks ---- */

static int drop_overlay(struct work *w, const struct plan_disk *d,
			struct err *e)
{
	autofree char *text = NULL;

	if (JOT(w->merge.journal, JOT_MERGED, e, { "target", d->target }) < 0)
		return -1;
	if (unlink(d->overlay) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove '%s'", d->overlay);
	text = mem_fmt("disk %s: is on '%s' again", d->target, d->base);
	did(w, text);
	return JOT(w->merge.journal, JOT_UNLINKED, e, { "target", d->target });
}

static int advise(struct work *w, enum plan_action action,
		  const struct plan_disk *d, struct err *e)
{
	free(w->advice);
	w->advice = plan_advice(action, &w->plan, d);
	return err_set(e, ERR_FAILED, "%s", w->advice ? w->advice : "?");
}

/* The base has everything.  Whoever reads that takes the overlay for
 * dispensable, as long as nobody writes to it. */
static int committed(struct work *w, struct plan_disk *d, uint64_t stamp,
		     struct err *e)
{
	autofree char *text = mem_fmt("%llu", (unsigned long long)stamp);

	if (JOT(w->merge.journal, JOT_COMMITTED, e, { "target", d->target },
		{ "stamp", text }) < 0)
		return -1;
	d->step = STEP_COMMITTED;
	d->stamp = stamp;
	return 0;
}

/*
 * Commit, and see for ourselves that the guest is on the base.  Only then the
 * journal may say so.
 */
static int merge_seen(struct work *w, struct plan_disk *d, struct err *e)
{
	struct plan_sight now;

	d->offline = false;
	if (merge_live(&w->merge, d, e) < 0 ||
	    sight_disk(w->s->conn, &w->plan, d, &now, e) < 0)
		return -1;
	if (!now.active || now.live != TOP_BASE)
		return err_set(e, ERR_FAILED,
			       "disk %s: is not on '%s' after the commit",
			       d->target, d->base);
	return committed(w, d, sight_stamp(d->overlay), e);
}

/* The same past libvirt; here QEMU letting go of the overlay is the proof. */
static int merge_stray(struct work *w, struct plan_disk *d, struct err *e)
{
	talk_say(w->s->talk, TALK_WARN,
		 "%s: disk %s: QEMU has '%s' open without libvirt's "
		 "knowledge (its daemon died in the middle): it is merged by "
		 "QEMU's own monitor",
		 name_of(w), d->target, d->overlay);
	if (JOT(w->merge.journal, JOT_COMMIT, e, { "target", d->target }) < 0 ||
	    stray_merge(w->s->conn, w->plan.uuid, d, e) < 0)
		return -1;
	if (stray_locked(d->overlay))
		return err_set(e, ERR_FAILED,
			       "disk %s: QEMU keeps '%s' open after the "
			       "commit",
			       d->target, d->overlay);
	return committed(w, d, sight_stamp(d->overlay), e);
}

static int merge_offline(struct work *w, struct plan_disk *d, struct err *e)
{
	d->offline = true;
	if (merge_off(&w->merge, d, e) < 0 || committed(w, d, d->stamp, e) < 0)
		return -1;
	/* who starts it meanwhile starts it from the overlay, and may have
	 * ended it again by now: then there is more to be committed */
	if (is_active(w) || sight_written(d))
		return 0;
	return merge_redefine(&w->merge, d, e);
}

/* ---- a flatten ---- */

static void tell(void *ctx, const char *text)
{
	did(ctx, text);
}

static int undo(struct work *w, struct plan_disk *d, struct err *e)
{
	autofree char *text = mem_fmt("disk %s: is not flattened: its chain is "
				      "left as it is",
				      d->target);

	if (w->active && merge_undo(&w->merge, d, e) < 0)
		return -1;
	if (JOT(w->merge.journal, JOT_UNDONE, e, { "target", d->target }) < 0)
		return -1;
	d->step = STEP_UNDONE;
	did(w, text);
	return 1;
}

/* Is it beyond doubt that nobody needs what was merged? */
static bool sure(const struct plan_disk *d, const struct plan_sight *s)
{
	bool whole = d->step >= STEP_COMMITTED ||
		     (s->active && s->same_instance && s->live == TOP_BASE);

	return whole && (!s->active || s->live == TOP_BASE) &&
	       (s->kept == TOP_BASE || (s->active && s->kept == TOP_NONE));
}

static int release(struct work *w, struct plan_disk *d,
		   const struct plan_sight *s, struct err *e)
{
	autofree char *text =
		mem_fmt("disk %s: all is in '%s'", d->target, d->base);

	if (JOT(w->merge.journal, JOT_MERGED, e, { "target", d->target }) < 0)
		return -1;
	did(w, text);
	if (release_images(w->s->conn, d, d->remove && sure(d, s), tell, w, e) <
	    0)
		return -1;
	d->step = STEP_GONE;
	if (JOT(w->merge.journal, JOT_UNLINKED, e, { "target", d->target }) < 0)
		return -1;
	return 1;
}

/* After a failure that is not the domain's start or end in the middle, the
 * next step is to put the chain back. */
static void think_again(struct work *w, struct plan_disk *d, bool was_active,
			const struct err *why)
{
	if (!d->flat || d->given_up || is_active(w) != was_active)
		return;
	d->given_up = true;
	if (w->gave_up.code == ERR_NONE) {
		w->gave_up = *why;
		err_ctx(&w->gave_up, "disk %s", d->target);
	}
}

static void settle_stale(struct work *w)
{
	struct err e = ERR_INIT;
	bool any = false;

	for (size_t i = 0; i < w->plan.disk_count; i++)
		any = any || (w->plan.disks[i].flat &&
			      w->plan.disks[i].step == STEP_GONE);
	if (any && w->exists &&
	    stale_forget(w->s->conn, &w->plan, tell, w, &e) < 0 &&
	    e.code != ERR_NOT_FOUND)
		remains(w, &e);
}

/* One step of one disk: 1 when it is done for good. */
static int settle_step(struct work *w, struct plan_disk *d, struct err *e)
{
	struct plan_sight sight;
	enum plan_action action;

	if (sight_disk(w->s->conn, &w->plan, d, &sight, e) < 0)
		return -1;
	action = plan_decide(d, &sight);
	switch (action) {
	case ACT_NOTHING:
		return 1;
	case ACT_MERGE_LIVE:
		return merge_seen(w, d, e);
	case ACT_MERGE_STRAY:
		return merge_stray(w, d, e);
	case ACT_MERGE_OFF:
		return merge_offline(w, d, e);
	case ACT_REDEFINE:
		return merge_redefine(&w->merge, d, e);
	case ACT_UNLINK:
		return drop_overlay(w, d, e) < 0 ? -1 : 1;
	case ACT_UNDO:
		return undo(w, d, e);
	case ACT_RELEASE:
		return release(w, d, &sight, e);
	case ACT_KEEP_GONE:
	case ACT_KEEP_AWAY:
	case ACT_KEEP_UNSURE:
	case ACT_KEEP_LOCKED:
	case ACT_KEEP_PIVOTED:
	case ACT_KEEP_ABOVE:
	case ACT_KEEP_APART:
	case ACT_LOST:
	default:
		return advise(w, action, d, e);
	}
}

static int settle_disk(struct work *w, struct plan_disk *d, struct err *e)
{
	d->given_up = w->s->dead;
	for (int round = 0; round < DISK_ROUNDS; round++) {
		bool was_active = is_active(w);
		int done;

		err_clear(e);
		free(mem_take(&w->advice));
		done = settle_step(w, d, e);
		if (done > 0)
			return 0;
		if (done < 0)
			think_again(w, d, was_active, e);
		/* an error, too, is looked at again: the guest may have been
		 * shut off in the middle of a live merge */
	}
	if (e->code == ERR_NONE)
		err_set(e, ERR_FAILED, "disk %s: does not come to an end",
			d->target);
	return -1;
}

static void settle_disks(struct work *w)
{
	for (size_t i = 0; i < w->plan.disk_count; i++) {
		struct err e = ERR_INIT;

		if (w->plan.disks[i].step == STEP_GONE ||
		    w->plan.disks[i].step == STEP_UNDONE)
			continue;
		if (settle_disk(w, &w->plan.disks[i], &e) < 0)
			remains(w, &e);
	}
}

/* An overlay that ran full has stopped the guest; there is room now. */
static void settle_io_error(struct work *w)
{
	struct err e = ERR_INIT;
	struct guest_state s = { .state = 0 };

	if (!w->active || w->left || !w->plan.disk_count ||
	    look_guest(w, &s, &e) < 0)
		return;
	if (s.state != VIR_DOMAIN_PAUSED || w->plan.paused_before ||
	    s.reason != VIR_DOMAIN_PAUSED_IOERROR)
		return;
	if (guest_resume(w->s->conn, w->plan.uuid, &e) < 0)
		remains(w, &e);
	else
		did(w, "resumed after an I/O error");
}

static void settle_spool(struct work *w)
{
	struct err e = ERR_INIT;

	if (!w->plan.spool)
		return;
	if (unlink(w->plan.spool) < 0 && errno != ENOENT) {
		err_sys(&e, "cannot remove '%s'", w->plan.spool);
		remains(w, &e);
		return;
	}
	if (JOT0(w->merge.journal, JOT_SPOOL_DONE, &e) < 0)
		remains(w, &e);
}

static void settle_all(struct work *w)
{
	struct err e = ERR_INIT;
	struct guest_state s;

	if (w->s->dead)
		wait_for_watchdog(&w->plan);
	if (look_guest(w, &s, &e) < 0) {
		remains(w, &e);
		return;
	}
	/* of another daemon's domain we would take all for done */
	if (!w->exists && w->plan.uri &&
	    strcmp(w->plan.uri, conn_uri(w->s->conn)) != 0) {
		err_set(&e, ERR_NOT_FOUND,
			"no such domain at '%s': its backup was made over "
			"'%s' (vmkeep -c '%s' recover)",
			conn_uri(w->s->conn), w->plan.uri, w->plan.uri);
		remains(w, &e);
		return;
	}
	settle_snapshot(w);
	/* an agent answers only in a guest that runs */
	settle_paused(w);
	settle_frozen(w);
	settle_downtime(w);
	settle_disks(w);
	settle_stale(w);
	settle_io_error(w);
	settle_spool(w);
}

static int load_plan(const char *path, struct plan *plan, struct err *e)
{
	struct journal_record *records = NULL;
	size_t count = 0;
	int ret;

	if (journal_read(path, &records, &count, e) < 0)
		return -1;
	ret = plan_read(records, count, plan, e);
	journal_records_free(records, count);
	return ret < 0 ? err_ctx(e, "'%s'", path) : 0;
}

static int work_open(struct work *w, struct err *e)
{
	w->merge = (struct merge){
		.conn = w->s->conn,
		.plan = &w->plan,
		.talk = w->s->talk,
		.program = w->s->program,
		.cancel = w->s->cancel,
	};
	w->merge.journal = w->s->journal
				   ? w->s->journal
				   : journal_continue(w->s->journal_path, e);
	if (!w->merge.journal)
		return -1;
	if (!w->plan.uuid)
		return 0;
	w->merge.track = track_open(w->s->conn, w->plan.uuid, e);
	if (w->merge.track || e->code != ERR_NOT_FOUND)
		return w->merge.track ? 0 : -1;
	err_clear(e);
	return 0;
}

static void work_close(struct work *w)
{
	watchdog_close(w->merge.watchdog);
	track_close(w->merge.track);
	if (!w->s->journal)
		journal_free(w->merge.journal);
	plan_fini(&w->plan);
	free(w->advice);
}

int settle_run(const struct settle *s, struct err *e)
{
	AUTO(work_close)
	struct work w = { .s = s, .first = ERR_INIT, .gave_up = ERR_INIT };

	if (load_plan(s->journal_path, &w.plan, e) < 0 || work_open(&w, e) < 0)
		return -1;
	/* a journal without its first record: nothing was begun */
	if (w.plan.uuid)
		settle_all(&w);
	if (w.left) {
		*e = w.first;
		return -1;
	}
	if (journal_end(w.merge.journal, e) < 0)
		return -1;
	if (w.gave_up.code == ERR_NONE)
		return 0;
	*e = w.gave_up;
	return -1;
}
