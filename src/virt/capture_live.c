/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A running guest.  libvirt copies RAM while it runs (LIVE), stops it for the
 * last round, puts overlays on all disks in one QMP transaction and lets it
 * go on: the bases then are what the disks were at the very moment of the RAM
 * (qemuSnapshotCreateActiveExternal in libvirt's qemu_snapshot.c).  RAM and
 * freezing exclude each other: the image would resume frozen.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/conn_internal.h"
#include "virt/freeze.h"
#include "virt/jot.h"
#include "virt/overlay.h"
#include "virt/snapxml.h"
#include "virt/taking.h"

/* The event of the guest's going on may come after the call's return. */
#define EVENT_MS 2000

static int name_overlay(struct capture *cap, struct capture_pick *p, bool block,
			struct err *e)
{
	const struct overlay_want want = {
		.domain = cap->domain->name,
		.target = p->disk->target,
		.base = p->disk->chain[0].path,
		.dir = cap->opt.overlay_dir,
		.block = block,
	};

	free(mem_take(&p->overlay));
	p->overlay = overlay_name(&want, e);
	if (!p->overlay)
		return -1;
	if (overlay_reserve(p->overlay, cap->opt.overlay_reserve, &p->reserve,
			    e) < 0)
		return -1;
	if (overlay_room(p->overlay, p->reserve + p->reserve / 2, e) < 0)
		return err_ctx(e, "no room for an overlay of disk %s",
			       p->disk->target);
	return 0;
}

static int prepare_disk(struct capture *cap, struct capture_pick *p,
			struct err *e)
{
	const struct domain_image *base = &p->disk->chain[0];
	struct stat st;
	autofree char *dev = NULL;
	autofree char *ino = NULL;

	if (stat(base->path, &st) < 0)
		return err_sys(e, "disk %s: cannot look at '%s'",
			       p->disk->target, base->path);
	if (name_overlay(cap, p, S_ISBLK(st.st_mode), e) < 0)
		return -1;
	dev = mem_fmt("%llu", (unsigned long long)st.st_dev);
	ino = mem_fmt("%llu", (unsigned long long)st.st_ino);
	return JOT(cap->journal, JOT_DISK, e, { "target", p->disk->target },
		   { "base", base->path }, { "format", base->format },
		   { "dev", dev }, { "ino", ino }, { "overlay", p->overlay });
}

static const char *overlay_of(const struct capture *cap,
			      const struct domain_disk *d)
{
	for (size_t i = 0; i < cap->pick_count; i++) {
		if (cap->picks[i].disk == d)
			return cap->picks[i].overlay;
	}
	return NULL;
}

static void write_xml(struct capture *cap, struct buf *out)
{
	size_t n = cap->domain->disk_count;
	autofree struct snapxml_disk *disks = mem_zalloc(n + 1, sizeof(*disks));

	for (size_t i = 0; i < n; i++) {
		disks[i].target = cap->domain->disks[i].target;
		disks[i].overlay = overlay_of(cap, &cap->domain->disks[i]);
	}
	snapxml_write(cap->memory, disks, n, out);
}

/* libvirt makes them 0600; one older than the cure of CVE-2025-13193 might
 * not. */
static void close_overlays(struct capture *cap)
{
	struct stat st;

	for (size_t i = 0; i < cap->pick_count; i++) {
		const char *path = cap->picks[i].overlay;

		if (stat(path, &st) == 0 && (st.st_mode & 077))
			(void)!chmod(path, 0600);
	}
}

static void wait_going(struct capture *cap, struct track_seen *seen)
{
	int64_t began = clock_steady_ns();

	track_seen(cap->track, seen);
	while (seen->paused_now &&
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
	cap->result.time_ns = seen.first_ns ? seen.first_ns : clock_wall_ns();
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

static int take(struct capture *cap, struct err *e)
{
	AUTO(buf_fini) struct buf xml = BUF_INIT;
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
		.still = must_stand_still(cap),
		.cancel = cap->opt.cancel,
	};

	write_xml(cap, &xml);
	t.xml = (const char *)xml.p;
	track_reset(cap->track);
	if (taking_run(&t, e) < 0)
		return -1;
	measure(cap);
	close_overlays(cap);
	return 0;
}

/* ---- without RAM ---- */

static void judge_thaw(struct capture *cap, int frozen, int thawed,
		       const struct err *why)
{
	if (thawed == frozen && !watchdog_fired(cap->watchdog)) {
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
				frozen, thawed);
}

static int take_frozen(struct capture *cap, struct freeze *f, int frozen,
		       struct err *e)
{
	struct err second = ERR_INIT;
	int ret = take(cap, e);
	int thawed = freeze_end(f, &second);

	if (ret == 0)
		judge_thaw(cap, frozen, thawed, &second);
	return ret;
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
static int try_freeze(struct capture *cap, struct freeze *f)
{
	struct err e = ERR_INIT;
	int n;

	if (!agent_there(cap))
		return 0;
	n = freeze_begin(f, &e);
	if (n < 0)
		capture_degrade(cap, "not frozen: %s", e.msg);
	else if (n == 0)
		capture_degrade(cap, "the guest agent has frozen no file "
				     "system");
	return n > 0 ? n : 0;
}

static int take_disks(struct capture *cap, struct err *e)
{
	struct freeze f = {
		.conn = cap->conn,
		.uuid = cap->domain->uuid,
		.journal = cap->journal,
		.watchdog = cap->watchdog,
	};
	int frozen = try_freeze(cap, &f);

	cap->result.level = LEVEL_CRASH;
	if (frozen)
		return take_frozen(cap, &f, frozen, e);
	if (cap->opt.require > LEVEL_CRASH)
		return err_set(e, ERR_REFUSED,
			       "the guest's file systems cannot be frozen");
	return take(cap, e);
}

/* ---- together ---- */

static int take_memory(struct capture *cap, struct err *e)
{
	if (capture_ram_name(cap, e) < 0 || take(cap, e) < 0)
		return -1;
	cap->result.level = LEVEL_RAM;
	capture_ram_look(cap);
	if (must_stand_still(cap))
		capture_note(cap, "the guest runs without KVM: it stood still "
				  "while its RAM was copied, for the emulation "
				  "of QEMU before 9.0 loses changes of a "
				  "running one");
	return 0;
}

int capture_live(struct capture *cap, bool memory, struct err *e)
{
	cap->result.method = "overlay";
	if (capture_open(cap, e) < 0)
		return -1;
	for (size_t i = 0; i < cap->pick_count; i++) {
		if (prepare_disk(cap, &cap->picks[i], e) < 0)
			return -1;
	}
	if (capture_definitions(cap, e) < 0 || capture_nvram_before(cap, e) < 0)
		return -1;
	if ((memory ? take_memory(cap, e) : take_disks(cap, e)) < 0)
		return -1;
	capture_nvram_after(cap);
	return 0;
}
