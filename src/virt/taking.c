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
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/jot.h"
#include "virt/overlay.h"
#include "virt/pause.h"

#define DOWNTIME_MS     50
#define DOWNTIME_MAX_MS 1000
/* Asking costs the monitor a moment, which must not be in the last round. */
#define LOOK_MS 200
/* How long RAM may be copied at one downtime before it is doubled: so long
 * as a first pass took, at least. */
#define STEP_MS 5000
/* In a group none shall converge by itself before the others. */
#define TOGETHER_MS 1
/* Little enough to be left for the moment when all stand still. */
#define NEARLY      ((uint64_t)32 << 20)
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
	uint64_t left;   /* bytes of RAM, as last seen */
	bool first_done;
	bool suspended;
	bool came; /* to the meeting */
};

static struct pause pause_of(const struct taking *t)
{
	return (struct pause){
		.conn = t->conn,
		.uuid = t->uuid,
		.journal = t->journal,
		.watchdog = t->watchdog,
	};
}

static unsigned stand_ms(const struct taking *t)
{
	return TAKING_STAND_MS * t->members;
}

static uint64_t first_downtime(const struct taking *t)
{
	if (t->meeting)
		return TOGETHER_MS;
	return t->downtime_ms ? t->downtime_ms : DOWNTIME_MS;
}

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
	set_downtime(t, first_downtime(t));
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
	l->left = job.memRemaining;
	if (l->first_done || job.memProcessed < job.memTotal)
		return;
	l->first_done = true;
	l->rung_ms = (int64_t)num_max(STEP_MS,
				      (uint64_t)(now - l->step_ns) / 1000000);
	l->step_ns = now;
}

static int suspend(struct taking *t, struct ladder *l, struct err *e)
{
	struct pause p = pause_of(t);

	l->suspended = true;
	t->helped = true;
	return pause_begin(&p, stand_ms(t), e);
}

/* Alone: let QEMU stop it for longer and longer, then do it ourselves. */
static int climb(struct taking *t, struct ladder *l, struct err *e)
{
	int64_t now = clock_steady_ns();

	if (!l->first_done || (now - l->step_ns) / 1000000 < l->rung_ms)
		return 0;
	l->step_ns = now;
	if (l->downtime >= DOWNTIME_MAX_MS) {
		talk_say(t->talk, TALK_WARN,
			 "%s: the guest changes its memory faster than it can "
			 "be written: it stands still for the rest",
			 t->name);
		return suspend(t, l, e);
	}
	l->downtime *= 2;
	set_downtime(t, l->downtime);
	return 0;
}

/* With others: wait until all of them have little left. */
static int gather(struct taking *t, struct ladder *l, struct err *e)
{
	int64_t now = clock_steady_ns();

	if (!l->came && l->first_done &&
	    (l->left <= NEARLY || (now - l->step_ns) / 1000000 >= l->rung_ms)) {
		l->came = true;
		t->met = true;
		meeting_come(t->meeting);
	}
	return l->came && meeting_full(t->meeting, 0) ? suspend(t, l, e) : 0;
}

static int nudge(struct taking *t, struct ladder *l, struct err *e)
{
	look(t, l);
	if (t->still || t->paused || l->suspended || !t->watchdog)
		return 0;
	return t->meeting ? gather(t, l, e) : climb(t, l, e);
}

/* ---- while it runs ---- */

static int spool_room(struct taking *t, struct err *e)
{
	return overlay_room(t->memory, SPOOL_FLOOR, "--spool-dir", e);
}

static int mind(struct taking *t, struct ladder *l, struct err *e)
{
	if (t->cancel && atomic_load(t->cancel))
		return err_set(e, ERR_STOPPED, "stopped by the user");
	if (spool_room(t, e) < 0)
		return -1;
	return nudge(t, l, e);
}

static void give_up(struct taking *t)
{
	struct err e = ERR_INIT;
	autodomain virDomainPtr d = conn_domain(t->conn, t->uuid, &e);

	if (d)
		virDomainAbortJob(d);
}

/* It ends with its thread; nobody else announces that.  Who waits for others
 * stops with them, at once. */
static void call_wait(struct call *c, const struct ladder *l, unsigned ms)
{
	bool waits = l->came && !l->suspended;

	for (unsigned i = 0; i < ms && !atomic_load(&c->done); i += 2) {
		if (!waits)
			nap_ms(2);
		else if (meeting_full(c->t->meeting, 2))
			return;
	}
}

/* It is over: nobody shall wait for this one any more; and when it was
 * sooner than the others, it waits for them. */
static void part(struct call *c, struct ladder *l)
{
	struct meeting *m = c->t->meeting;

	if (!m)
		return;
	c->t->met = true;
	if (!l->came && c->ret < 0)
		meeting_leave(m);
	else if (!l->came)
		meeting_come(m);
	while (c->ret == 0 && !meeting_full(m, LOOK_MS))
		continue;
}

/* Until the call returns.  The first error of ours is the one that counts. */
static int shepherd(struct call *c, struct err *e)
{
	struct taking *t = c->t;
	struct ladder l = { .step_ns = clock_steady_ns() };
	bool failed = false;

	l.downtime = first_downtime(t);
	while (!atomic_load(&c->done)) {
		call_wait(c, &l, LOOK_MS);
		if (atomic_load(&c->done))
			break;
		if (t->memory && !failed && mind(t, &l, e) < 0)
			failed = true;
		if (failed)
			give_up(t);
	}
	pthread_join(c->thread, NULL);
	part(c, &l);
	return failed ? -1 : 0;
}

/*
 * libvirt stops the guest and resumes it; a daemon that is killed in between
 * leaves it paused for no reason that it knows.  So it counts as paused by
 * us.  The watchdog has the snapshot to abort first, hence the double time.
 *
 * One that runs while its RAM is copied may be paused by its user meanwhile;
 * so only what libvirt has paused will count as ours.
 */
static int before(struct taking *t, struct err *e)
{
	struct pause p = pause_of(t);

	if (!t->memory || !t->watchdog || t->paused)
		return 0;
	if (!t->still)
		return t->hold ? JOT0(t->journal, JOT_HOLD, e) : 0;
	t->helped = true;
	return pause_announce(&p, 2 * stand_ms(t), e);
}

/* It is to stand still now, and does: because of us? */
static int keep(struct taking *t, struct err *e)
{
	bool ours = t->helped || t->paused;
	struct guest_state s;

	if (guest_state(t->conn, t->uuid, &s, e) < 0)
		return -1;
	if (s.state != VIR_DOMAIN_PAUSED)
		return err_set(e, ERR_BUSY,
			       "somebody has set the guest going meanwhile");
	t->theirs = !ours && !guest_held(&s);
	if (t->theirs)
		return 0;
	/* counted from now */
	return watchdog_pause(t->watchdog, stand_ms(t), e);
}

/* libvirt resumes a guest that it found running; make sure of it. */
static int let_go(struct taking *t, struct err *e)
{
	struct pause p = pause_of(t);
	struct guest_state s = { .state = 0 };

	if (t->helped || t->paused)
		return pause_end(&p, e);
	if (!t->hold || !t->memory || !t->watchdog)
		return 0;
	if (guest_state(t->conn, t->uuid, &s, e) < 0)
		return -1;
	return guest_held(&s) ? pause_end(&p, e)
			      : JOT0(t->journal, JOT_RESUMED, e);
}

/* libvirt was quicker than our watch to find that the spool is full; its words
 * are of the daemon's language, but name the file. */
static int told(const struct taking *t, struct err *e)
{
	if (t->memory && strstr(e->msg, t->memory))
		err_ctx(e, "RAM cannot be written: make room, or say another "
			   "--spool-dir");
	return -1;
}

static int call(struct taking *t, struct err *e)
{
	struct call c = { .t = t, .err = ERR_INIT };
	struct err ours = ERR_INIT;
	int sys;
	int minded;

	atomic_init(&c.done, false);
	if (before(t, e) < 0 || JOT0(t->journal, JOT_SNAPSHOT, e) < 0)
		return -1;
	sys = pthread_create(&c.thread, NULL, make, &c);
	if (sys)
		return err_sysno(e, sys, "cannot start a thread");
	minded = shepherd(&c, &ours);
	if (c.ret == 0 && t->hold)
		return keep(t, e);
	if (let_go(t, e) < 0)
		return -1;
	if (c.ret == 0)
		return 0;
	*e = minded < 0 ? ours : c.err;
	return minded < 0 ? -1 : told(t, e);
}

/* The watchdog stands by while libvirt may stop the guest. */
static int guarded(struct taking *t, struct err *e)
{
	bool guard = t->watchdog && t->memory;

	if (guard && watchdog_taking(t->watchdog, stand_ms(t), e) < 0)
		return -1;

	int ret = call(t, e);
	struct err second = ERR_INIT;

	/* also after a failure: it must not abort what we do next */
	if (guard && watchdog_taken(t->watchdog, ret < 0 ? &second : e) < 0)
		return -1;
	return ret;
}

static int run(struct taking *t, struct err *e)
{
	bool runs = !t->still && !t->paused && t->watchdog;

	if (t->memory && runs && lower(t, e) < 0)
		return -1;
	if (guarded(t, e) < 0)
		return -1;
	return JOT0(t->journal, JOT_TAKEN, e);
}

int taking_run(struct taking *t, struct err *e)
{
	int ret = run(t, e);

	/* it failed before it came so far: the others shall not wait */
	if (t->meeting && !t->met)
		meeting_leave(t->meeting);
	return ret;
}
