/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A running guest: stopped, or frozen, for the instant, and set going again.
 *
 * With RAM libvirt copies it while the guest runs (LIVE) and stops it for the
 * last round.  For overlays it then puts them on all disks in one QMP
 * transaction and lets the guest go on: the bases are what the disks were at
 * the very moment of the RAM (qemuSnapshotCreateActiveExternal in libvirt's
 * qemu_snapshot.c).  With 'manual' disks it leaves the guest paused, for us to
 * take snapshots of the storage and resume it.  RAM and freezing exclude each
 * other: the image would resume frozen.
 *
 * Without RAM the guest is frozen, where its agent answers, and suspended: a
 * suspended QEMU has written its caches (vm_stop: bdrv_drain_all,
 * bdrv_flush_all), and nothing changes between the snapshots of one storage
 * and of the next.  One raw disk that is frozen needs no more.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/conn_internal.h"
#include "virt/freeze.h"
#include "virt/guest.h"
#include "virt/jot.h"
#include "virt/pause.h"
#include "virt/taking.h"

/* The event of the guest's going on may come after the call's return. */
#define EVENT_MS 2000
/* What SysRq sync asks for is not confirmed by anybody. */
#define SYNC_MS 1000
/* Linux' numbers of Alt, SysRq and S (input-event-codes.h). */
#define SYSRQ_SYNC                                                             \
	{                                                                      \
		56, 99, 31                                                     \
	}

static struct pause pause_of(struct capture *cap)
{
	return (struct pause){
		.conn = cap->conn,
		.uuid = cap->domain->uuid,
		.journal = cap->journal,
		.watchdog = cap->watchdog,
	};
}

static struct freeze freeze_of(struct capture *cap)
{
	return (struct freeze){
		.conn = cap->conn,
		.uuid = cap->domain->uuid,
		.journal = cap->journal,
		.watchdog = cap->watchdog,
	};
}

/*
 * QEMU that emulates the processor loses changes that a running guest makes
 * to its RAM while it is copied, until its commit 03bfc2188f ("physmem: Fix
 * migration dirty bitmap coherency with TCG memory access"), in 9.0.
 */
static bool must_stand_still(const struct capture *cap)
{
#ifdef VMKEEP_TEST_KILL
	/* the only way to test the other path where there is no KVM */
	if (getenv("VMKEEP_TEST_LIVE") != NULL)
		return false;
#endif
	return cap->domain->emulated && conn_qemu_version(cap->conn) < 9000000;
}

/* ---- stopping ---- */

/* Nobody stops before all of the group are ready to. */
static void meet(struct capture *cap)
{
	struct meeting *m = mem_take(&cap->meeting);

	if (!m)
		return;
	meeting_come(m);
	while (!meeting_full(m, 1000))
		continue;
}

static int stand(struct capture *cap, unsigned ms, struct err *e)
{
	struct pause p = pause_of(cap);

	cap->stands = true;
	return pause_begin(&p, ms, e);
}

static int take(struct capture *cap, bool still, struct err *e)
{
	AUTO(buf_fini) struct buf xml = BUF_INIT;
	bool snaps = cap->method != METHOD_OVERLAY;
	struct taking t = {
		.conn = cap->conn,
		.name = cap->domain->name,
		.uuid = cap->domain->uuid,
		.journal = cap->journal,
		.track = cap->track,
		.watchdog = cap->watchdog,
		.talk = cap->talk,
		.memory = cap->memory,
		.downtime_ms = cap->opt.downtime_ms,
		.cancel = cap->opt.cancel,
		.members = cap->members,
		.meeting = mem_take(&cap->meeting),
		.still = still,
		.paused = cap->stands,
		.hold = snaps || cap->stands,
	};

	capture_snapshot_xml(cap, &xml);
	t.xml = (const char *)xml.p;
	if (taking_run(&t, e) < 0)
		return -1;
	cap->stands = t.hold;
	cap->theirs = t.theirs;
	return 0;
}

static int stop_memory(struct capture *cap, struct err *e)
{
	bool still = must_stand_still(cap);

	if (capture_ram_name(cap, e) < 0)
		return -1;
	track_reset(cap->track);
	if (still && cap->meeting) {
		meet(cap);
		if (stand(cap, 2 * TAKING_STAND_MS * cap->members, e) < 0)
			return -1;
	}
	if (take(cap, still, e) < 0)
		return -1;
	cap->result.level = LEVEL_RAM;
	capture_ram_look(cap);
	if (still)
		capture_note(cap, "the guest runs without KVM: it stood still "
				  "while its RAM was copied, for the emulation "
				  "of QEMU before 9.0 loses changes of a "
				  "running one");
	return 0;
}

static bool agent_there(struct capture *cap)
{
	switch (cap->domain->agent) {
	case AGENT_CONNECTED:
		return true;
	case AGENT_DISCONNECTED:
		capture_note(cap, "no guest agent answers: the disks are as "
				  "after a power cut");
		return false;
	case AGENT_NONE:
	default:
		capture_note(cap, "the domain has no guest agent: the disks "
				  "are as after a power cut");
		return false;
	}
}

/* How many file systems are frozen; 0 also when none can be. */
static int try_freeze(struct capture *cap)
{
	struct freeze f = freeze_of(cap);
	struct err e = ERR_INIT;
	int n;

	if (!agent_there(cap))
		return 0;
	n = freeze_begin(&f, &e);
	if (n < 0)
		capture_degrade(cap, "not frozen: %s", e.msg);
	else if (n == 0)
		capture_degrade(cap, "the guest agent has frozen no file "
				     "system");
	return n > 0 ? n : 0;
}

/* Ask the guest's kernel to write its caches; nobody will know whether it
 * did. */
static void press_sync(struct capture *cap)
{
	unsigned keys[] = SYSRQ_SYNC;
	struct err e = ERR_INIT;
	autodomain virDomainPtr d =
		conn_domain(cap->conn, cap->domain->uuid, &e);

	if (d && virDomainSendKey(d, VIR_KEYCODE_SET_LINUX, 0, keys, 3, 0) < 0)
		virt_err(&e, "SysRq sync cannot be sent");
	if (e.code != ERR_NONE) {
		capture_note(cap, "%s: the disks are as after a power cut",
			     e.msg);
		return;
	}
	capture_note(cap, "SysRq sync was sent, which a guest may ignore: the "
			  "disks count as after a power cut");
	nap_ms(SYNC_MS);
}

static bool must_suspend(const struct capture *cap)
{
	bool one_raw = cap->pick_count == 1 &&
		       strcmp(cap->picks[0].disk->chain[0].format, "raw") == 0;

	if (cap->members > 1 || cap->method == METHOD_SUSPEND)
		return true;
	return cap->method == METHOD_SNAPSHOT && (!cap->frozen || !one_raw);
}

static int stop_disks(struct capture *cap, struct err *e)
{
	cap->result.level = LEVEL_CRASH;
	if (cap->method == METHOD_SUSPEND)
		press_sync(cap);
	else
		cap->frozen = try_freeze(cap);
	if (!cap->frozen && cap->opt.require > LEVEL_CRASH)
		return err_set(e, ERR_REFUSED,
			       "the guest's file systems cannot be frozen");
	meet(cap);
	track_reset(cap->track);
	if (must_suspend(cap) && stand(cap, TAKING_STAND_MS, e) < 0)
		return -1;
	return cap->method == METHOD_OVERLAY ? take(cap, cap->stands, e) : 0;
}

static int stop_live(struct capture *cap, struct err *e)
{
	cap->result.method = capture_method_text(cap->method);
	cap->result.snapped = capture_snaps(cap);
	cap->theirs = false;
	if (capture_guard(cap, e) < 0)
		return -1;
	if (cap->method == METHOD_OVERLAY && capture_overlays(cap, e) < 0)
		return -1;
	if (capture_definitions(cap, e) < 0 || capture_state_before(cap, e) < 0)
		return -1;
	return cap->with_memory ? stop_memory(cap, e) : stop_disks(cap, e);
}

int capture_stop(struct capture *cap, struct err *e)
{
	switch (cap->mode) {
	case MODE_OFF:
		return capture_off(cap, e);
	case MODE_PLACE:
		return capture_place(cap, e);
	case MODE_LIVE:
	default:
		return stop_live(cap, e);
	}
}

/* ---- going on ---- */

static void wait_going(struct capture *cap, struct track_seen *seen)
{
	int64_t began = clock_steady_ns();

	track_seen(cap->track, seen);
	while (seen->paused_now && !cap->theirs &&
	       clock_steady_ns() - began < (int64_t)EVENT_MS * 1000000) {
		track_wait(cap->track, 50);
		track_seen(cap->track, seen);
	}
}

static void measure(struct capture *cap)
{
	struct track_seen seen;

	wait_going(cap, &seen);
	cap->result.pause_ms = (seen.paused_ns + 999999) / 1000000;
	cap->stopped_ns = seen.first_ns;
	cap->result.time_ns = seen.first_ns ? seen.first_ns : clock_wall_ns();
}

static int too_early(const struct capture *cap, struct err *e)
{
	return err_set(e, ERR_BUSY,
		       "'%s' was set going again before all was taken (by its "
		       "user, or by the watchdog, which waits for %d s)",
		       cap->domain->name, TAKING_STAND_MS / 1000);
}

/* Was it still all the time? */
static int sure_still(struct capture *cap, struct err *e)
{
	struct track_seen seen;
	struct guest_state s;

	track_seen(cap->track, &seen);
	if (guest_state(cap->conn, cap->domain->uuid, &s, e) < 0)
		return -1;
	if (seen.resumed || s.state != VIR_DOMAIN_PAUSED)
		return too_early(cap, e);
	return 0;
}

static int resume(struct capture *cap, struct err *e)
{
	struct pause p = pause_of(cap);

	if (!cap->stands || cap->theirs)
		return 0;
	cap->stands = false;
	return pause_end(&p, e);
}

static void judge_thaw(struct capture *cap, int thawed, const struct err *why)
{
	if (thawed == cap->frozen && !watchdog_fired(cap->watchdog)) {
		cap->result.level = LEVEL_FILESYSTEM;
		return;
	}
	if (thawed < 0)
		capture_degrade(cap, "the thaw could not be confirmed: %s",
				why->msg);
	else
		capture_degrade(cap,
				"%d file systems were frozen but %d thawed: "
				"some were not frozen at the instant",
				cap->frozen, thawed);
}

static void thaw(struct capture *cap)
{
	struct freeze f = freeze_of(cap);
	struct err why = ERR_INIT;
	int thawed = freeze_end(&f, &why);

	judge_thaw(cap, thawed, &why);
	cap->frozen = 0;
}

void capture_release(struct capture *cap)
{
	struct freeze f = freeze_of(cap);
	struct err e = ERR_INIT;

	/* what fails here is tried again from the journal */
	(void)!resume(cap, &e);
	if (cap->frozen)
		(void)!freeze_end(&f, &e);
	cap->frozen = 0;
}

int capture_go(struct capture *cap, struct err *e)
{
	struct err second = ERR_INIT;
	int ret = 0;

	if (cap->mode != MODE_LIVE)
		return 0;
	if (cap->stands)
		ret = sure_still(cap, e);
	else if (cap->frozen && capture_snaps(cap) &&
		 watchdog_fired(cap->watchdog))
		ret = too_early(cap, e);
	capture_state_after(cap);
	if (resume(cap, ret < 0 ? &second : e) < 0)
		ret = -1;
	if (cap->frozen)
		thaw(cap);
	measure(cap);
	capture_close_overlays(cap);
	return ret;
}
