/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How long the guest stands still: QEMU stops it when what is left of its RAM
 * can be written within max-downtime at the speed seen so far.  A file in the
 * page cache is so fast that the default, 300 ms, lets QEMU stop a small guest
 * at once and copy all its RAM while it stands.  So the value is lowered
 * before, and raised in steps when the guest dirties RAM faster than that; at
 * the end of the ladder the guest is suspended, which always converges.
 * (libvirt resumes it itself: what it noted at the start counts.)  The value
 * outlives the job in QEMU and is put back.
 *
 * Without KVM all of that is no use before QEMU 9.0 (its commit 03bfc2188f):
 * it does not see all that a running guest changes while it copies.  Guests
 * that dirtied their memory came back with kernel memory of two instants and
 * crashed: 4 of 9 with QEMU 7.2 and virsh alone, all of 5 with our lower
 * downtime, none of 13 that stood still.  Such a guest stands still for the
 * copy.
 */

#include "virt/taking.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/jot.h"
#include "virt/overlay.h"

#define DOWNTIME_MS     50
#define DOWNTIME_MAX_MS 1000
/* Asking costs the monitor a moment, which must not be in the last round. */
#define LOOK_MS 200
/* How long RAM may be copied at one downtime before it is doubled: so long
 * as a first pass took, at least. */
#define STEP_MS 5000
/* QEMU stands with the guest stopped for at most so long. */
#define STAND_MS    30000
#define SPOOL_FLOOR ((uint64_t)32 << 20)

struct call {
	struct taking *t;
	pthread_t thread;
	atomic_bool done;
	int ret;
	struct err err;
};

static void *make(void *arg)
{
	struct call *c = arg;
	struct taking *t = c->t;
	autodomain virDomainPtr d = conn_domain(t->conn, t->uuid, &c->err);
	unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
			 VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC;
	virDomainSnapshotPtr s;

	if (!t->memory)
		flags |= VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY;
	else if (!t->still)
		flags |= VIR_DOMAIN_SNAPSHOT_CREATE_LIVE;
	s = d ? virDomainSnapshotCreateXML(d, t->xml, flags) : NULL;
	c->ret = s ? 0 : -1;
	if (d && !s)
		virt_err(&c->err, "libvirt takes no snapshot");
	if (s)
		virDomainSnapshotFree(s);
	atomic_store(&c->done, true);
	return NULL;
}

/* ---- the ladder ---- */

struct ladder {
	uint64_t downtime;
	int64_t step_ns; /* when this rung was reached */
	int64_t rung_ms; /* how long one lasts */
	bool first_done;
	bool suspended;
};

static void set_downtime(struct taking *t, uint64_t ms)
{
	struct err e = ERR_INIT;
	autodomain virDomainPtr d = conn_domain(t->conn, t->uuid, &e);

	/* refused by a QEMU too old for it: then it stays as it is */
	if (d)
		virDomainMigrateSetMaxDowntime(d, ms, 0);
}

/* Lower it, and know what it was. */
static int lower(struct taking *t, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(t->conn, t->uuid, e);
	unsigned long long old = 0;
	autofree char *text = NULL;

	if (!d)
		return -1;
	if (virDomainMigrateGetMaxDowntime(d, &old, 0) < 0)
		return 0;
	text = mem_fmt("%llu", old);
	if (JOT(t->journal, JOT_DOWNTIME, e, { "old", text }) < 0)
		return -1;
	set_downtime(t, t->downtime_ms ? t->downtime_ms : DOWNTIME_MS);
	return 0;
}

/* Everything was copied once? Then begins the waiting for convergence. */
static void look(struct taking *t, struct ladder *l)
{
	struct err e = ERR_INIT;
	autodomain virDomainPtr d = conn_domain(t->conn, t->uuid, &e);
	autofree char *what = NULL;
	virDomainJobInfo job = { .type = VIR_DOMAIN_JOB_NONE };
	int64_t now = clock_steady_ns();

	if (!d || virDomainGetJobInfo(d, &job) < 0 ||
	    job.type == VIR_DOMAIN_JOB_NONE)
		return;
	what = mem_fmt("%s: memory", t->name);
	talk_progress(t->talk, what, job.memProcessed,
		      job.memProcessed + job.memRemaining);
	if (l->first_done || job.memProcessed < job.memTotal)
		return;
	l->first_done = true;
	l->rung_ms = (int64_t)num_max(STEP_MS,
				      (uint64_t)(now - l->step_ns) / 1000000);
	l->step_ns = now;
}

static int suspend(struct taking *t, struct ladder *l, struct err *e)
{
	talk_say(t->talk, TALK_WARN,
		 "%s: the guest changes its memory faster than it can be "
		 "written: it stands still for the rest",
		 t->name);
	l->suspended = true;
	t->helped = true;
	if (JOT0(t->journal, JOT_PAUSE, e) < 0 ||
	    watchdog_pause(t->watchdog, STAND_MS, e) < 0)
		return -1;
	return guest_suspend(t->conn, t->uuid, e);
}

static int climb(struct taking *t, struct ladder *l, struct err *e)
{
	int64_t now = clock_steady_ns();

	look(t, l);
	if (t->still || !l->first_done || l->suspended || !t->watchdog ||
	    (now - l->step_ns) / 1000000 < l->rung_ms)
		return 0;
	l->step_ns = now;
	if (l->downtime >= DOWNTIME_MAX_MS)
		return suspend(t, l, e);
	l->downtime *= 2;
	set_downtime(t, l->downtime);
	return 0;
}

/* ---- while it runs ---- */

static int spool_room(struct taking *t, struct err *e)
{
	return overlay_room(t->memory, SPOOL_FLOOR, e);
}

static int mind(struct taking *t, struct ladder *l, struct err *e)
{
	if (t->cancel && atomic_load(t->cancel))
		return err_set(e, ERR_STOPPED, "stopped by the user");
	if (spool_room(t, e) < 0)
		return -1;
	return climb(t, l, e);
}

static void give_up(struct taking *t)
{
	struct err e = ERR_INIT;
	autodomain virDomainPtr d = conn_domain(t->conn, t->uuid, &e);

	if (d)
		virDomainAbortJob(d);
}

/* It ends with its thread; nobody else announces that. */
static void call_wait(struct call *c, unsigned ms)
{
	for (unsigned i = 0; i < ms && !atomic_load(&c->done); i += 2)
		nap_ms(2);
}

/* Until the call returns.  The first error of ours is the one that counts. */
static int shepherd(struct call *c, struct err *e)
{
	struct taking *t = c->t;
	struct ladder l = { .step_ns = clock_steady_ns() };
	bool failed = false;

	l.downtime = t->downtime_ms ? t->downtime_ms : DOWNTIME_MS;
	while (!atomic_load(&c->done)) {
		call_wait(c, LOOK_MS);
		if (atomic_load(&c->done))
			break;
		if (t->memory && !failed && mind(t, &l, e) < 0)
			failed = true;
		if (failed)
			give_up(t);
	}
	pthread_join(c->thread, NULL);
	return failed ? -1 : 0;
}

/*
 * libvirt stops the guest and resumes it; a daemon that is killed in between
 * leaves it paused for no reason that it knows.  So it counts as paused by
 * us.  The watchdog has the snapshot to abort first, hence the double time.
 */
static int stand_still(struct taking *t, struct err *e)
{
	if (!t->still || !t->memory || !t->watchdog)
		return 0;
	t->helped = true;
	if (JOT0(t->journal, JOT_PAUSE, e) < 0)
		return -1;
	return watchdog_pause(t->watchdog, 2 * STAND_MS, e);
}

/* libvirt resumes a guest that it found running; make sure of it. */
static int after(struct taking *t, struct err *e)
{
	if (!t->helped)
		return 0;
	if (guest_resume(t->conn, t->uuid, e) < 0 ||
	    watchdog_resumed(t->watchdog, e) < 0)
		return -1;
	return JOT0(t->journal, JOT_RESUMED, e);
}

static int call(struct taking *t, struct err *e)
{
	struct call c = { .t = t, .err = ERR_INIT };
	struct err ours = ERR_INIT;
	int sys;
	int minded;

	atomic_init(&c.done, false);
	if (stand_still(t, e) < 0 || JOT0(t->journal, JOT_SNAPSHOT, e) < 0)
		return -1;
	sys = pthread_create(&c.thread, NULL, make, &c);
	if (sys)
		return err_sysno(e, sys, "cannot start a thread");
	minded = shepherd(&c, &ours);
	if (after(t, e) < 0)
		return -1;
	if (c.ret == 0)
		return 0;
	*e = minded < 0 ? ours : c.err;
	return -1;
}

/* The watchdog stands by while libvirt may stop the guest. */
static int guarded(struct taking *t, struct err *e)
{
	bool guard = t->watchdog && t->memory;

	if (guard && watchdog_taking(t->watchdog, STAND_MS, e) < 0)
		return -1;

	int ret = call(t, e);
	struct err second = ERR_INIT;

	/* also after a failure: it must not abort what we do next */
	if (guard && watchdog_taken(t->watchdog, ret < 0 ? &second : e) < 0)
		return -1;
	return ret;
}

int taking_run(struct taking *t, struct err *e)
{
	if (t->memory && !t->still && t->watchdog && lower(t, e) < 0)
		return -1;
	if (guarded(t, e) < 0)
		return -1;
	return JOT0(t->journal, JOT_TAKEN, e);
}
