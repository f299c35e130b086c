/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The live commit.  Rules that scripts got wrong, with who found out
 * (project names are those of the issue trackers):
 *  - jobs are named by target ("vda"), never by path, which changes under
 *    the job (backup-vm 15);
 *  - SHALLOW, or a domain that had a chain before is flattened (where that
 *    is wanted, the base is named);
 *  - "100 %" is not ready: only the READY event or the mirror's ready='yes'
 *    is, and even then the pivot may be refused for a moment (fi-backup 41);
 *  - events can be lost (daemon restarted) and jobs can fail: every wait
 *    polls besides and ends;
 *  - libvirt 9.0 may show the job for a moment after the pivot: wait until it
 *    is gone.
 */

#include "virt/merge.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/jot.h"
#include "virt/pause.h"
#include "virt/sight.h"

#define POLL_MS 200
/* No progress for so long: the guest writes faster than it is merged. */
#define STALL_MS 30000
/* Then it stands still for at most so long. */
#define PAUSE_MS 20000
#define PIVOT_MS 10000
#define GONE_MS  30000
#define LOST_MS  3000
/* Free space that a flatten leaves where the base is. */
#define FLOOR_MAX  ((uint64_t)64 << 20)
#define FLOOR_PART 20

static int64_t passed_ms(int64_t since_ns)
{
	return (clock_steady_ns() - since_ns) / 1000000;
}

/* ---- a brief standstill, as the last means ---- */

static struct pause pause_of(struct merge *m)
{
	return (struct pause){
		.conn = m->conn,
		.uuid = m->plan->uuid,
		.journal = m->journal,
		.watchdog = m->watchdog,
	};
}

static int pause_guest(struct merge *m, struct err *e)
{
	struct pause p;

	if (!m->watchdog)
		m->watchdog = watchdog_start(m->program, conn_uri(m->conn),
					     m->plan->uuid, e);
	if (!m->watchdog)
		return -1;
	p = pause_of(m);
	return pause_begin(&p, PAUSE_MS, e);
}

static int unpause_guest(struct merge *m, struct err *e)
{
	struct pause p = pause_of(m);

	return pause_end(&p, e);
}

static bool guest_runs(struct merge *m)
{
	struct guest_state s;
	struct err e = ERR_INIT;

	return guest_state(m->conn, m->plan->uuid, &s, &e) == 0 &&
	       s.state == VIR_DOMAIN_RUNNING;
}

/* ---- the job ---- */

static int mirror_now(struct merge *m, const char *target,
		      enum sight_mirror *now, struct err *e)
{
	autofree char *xml = sight_xml(m->conn, m->plan->uuid, 0, e);

	return xml ? sight_mirror(xml, target, now, e) : -1;
}

/* Start the commit, unless it is under way already. */
static int start(struct merge *m, const struct plan_disk *disk, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(m->conn, m->plan->uuid, e);
	virDomainBlockJobInfo info;
	int there;

	if (!d)
		return -1;
	there = virDomainGetBlockJobInfo(d, disk->target, &info, 0);
	if (there < 0)
		return virt_err(e, "cannot ask for block jobs");
	if (there > 0 && info.type != VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT)
		return err_set(e, ERR_BUSY,
			       "another block job is active on it");
	if (there > 0)
		return 0;
	track_job_forget(m->track, disk->target);
	if (virDomainBlockCommit(
		    d, disk->target, disk->flat ? disk->base : NULL, NULL, 0,
		    VIR_DOMAIN_BLOCK_COMMIT_ACTIVE |
			    (disk->flat ? 0
					: VIR_DOMAIN_BLOCK_COMMIT_SHALLOW)) ==
	    0)
		return 0;
	return virt_err(e, "cannot commit the overlay");
}

struct ready {
	uint64_t left;      /* bytes to go, the least seen */
	int64_t better_ns;  /* when that was */
	int64_t missing_ns; /* since when there is no job; 0: there is */
	bool paused;
};

/* How far it is.  1 when there is no job, for a while now. */
static int look_job(struct merge *m, const struct plan_disk *disk,
		    struct ready *r, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(m->conn, m->plan->uuid, e);
	virDomainBlockJobInfo info = { .end = 0 };
	autofree char *what = NULL;
	uint64_t left;

	if (!d)
		return -1;
	if (virDomainGetBlockJobInfo(d, disk->target, &info, 0) < 1) {
		if (!r->missing_ns)
			r->missing_ns = clock_steady_ns();
		return passed_ms(r->missing_ns) > LOST_MS;
	}
	r->missing_ns = 0;
	left = info.end > info.cur ? info.end - info.cur : 0;
	if (left < r->left) {
		r->left = left;
		r->better_ns = clock_steady_ns();
	}
	what = mem_fmt("%s: %s: merging", m->plan->name, disk->target);
	talk_progress(m->talk, what, info.cur, info.end);
	return 0;
}

static int job_failed(int status, struct err *e)
{
	switch (status) {
	case VIR_DOMAIN_BLOCK_JOB_FAILED:
		return err_set(e, ERR_FAILED,
			       "the commit failed in QEMU (is the file system "
			       "of the base full?)");
	case VIR_DOMAIN_BLOCK_JOB_CANCELED:
		return err_set(e, ERR_FAILED,
			       "somebody has canceled the commit");
	default:
		return 0;
	}
}

/* 1 ready, 0 not yet. */
static int is_ready(struct merge *m, const struct plan_disk *disk,
		    struct ready *r, struct err *e)
{
	enum sight_mirror now = MIRROR_NONE;
	int status = track_job(m->track, disk->target);
	int lost;

	if (status == VIR_DOMAIN_BLOCK_JOB_READY)
		return 1;
	if (job_failed(status, e) < 0)
		return -1;
	if (mirror_now(m, disk->target, &now, e) < 0)
		return -1;
	if (now == MIRROR_READY)
		return 1;
	lost = look_job(m, disk, r, e);
	if (lost > 0)
		return err_set(e, ERR_FAILED, "the commit job has vanished");
	return lost;
}

/* The guest outruns the job: let it stand still for a moment. */
static int help_ready(struct merge *m, struct ready *r, struct err *e)
{
	if (passed_ms(r->better_ns) < STALL_MS)
		return 0;
	if (r->paused)
		return err_set(e, ERR_FAILED,
			       "the commit makes no progress for %d s",
			       STALL_MS / 1000);
	if (!guest_runs(m)) {
		r->better_ns = clock_steady_ns();
		return 0;
	}
	talk_say(m->talk, TALK_WARN,
		 "%s: the guest writes faster than it can be merged: it "
		 "stands still for a moment",
		 m->plan->name);
	r->better_ns = clock_steady_ns();
	r->paused = true;
	return pause_guest(m, e);
}

/* The guest's overlay is on the same file system, as a rule, and comes
 * first. */
uint64_t merge_floor(const char *base)
{
	struct err ignored = ERR_INIT;
	struct file_room room;
	struct stat st;

	if (stat(base, &st) < 0 || !S_ISREG(st.st_mode) ||
	    file_room(base, &room, &ignored) < 0)
		return 0;
	return num_min(room.size / FLOOR_PART, FLOOR_MAX);
}

int merge_may_go_on(struct merge *m, const struct plan_disk *disk,
		    struct err *e)
{
	struct file_room room;
	uint64_t floor = merge_floor(disk->base);
	char text[NUM_TEXT];

	if (!disk->flat)
		return 0;
	if (m->cancel && *m->cancel)
		return err_set(e, ERR_STOPPED, "stopped");
	if (floor == 0)
		return 0;
	if (file_room(disk->base, &room, e) < 0)
		return -1;
	if (room.free >= floor)
		return 0;
	num_size_text(room.free, text);
	return err_set(e, ERR_NO_SPACE,
		       "only %s are left on the file system of '%s'", text,
		       disk->base);
}

static int wait_ready(struct merge *m, const struct plan_disk *disk,
		      struct ready *r, struct err *e)
{
	for (;;) {
		int ready = is_ready(m, disk, r, e);

		/* also when it is ready: who stops it before the pivot does
		 * not want that */
		if (ready < 0 || merge_may_go_on(m, disk, e) < 0)
			return -1;
		if (ready > 0)
			return 0;
		if (help_ready(m, r, e) < 0)
			return -1;
		track_wait(m->track, POLL_MS);
	}
}

/* 1 done, 0 not just now. */
static int try_pivot(struct merge *m, const char *target, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(m->conn, m->plan->uuid, e);
	enum sight_mirror now = MIRROR_BUSY;

	if (!d)
		return -1;
	if (virDomainBlockJobAbort(d, target,
				   VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) == 0)
		return 1;
	virt_err(e, "cannot pivot to the base");
	if (e->code == ERR_BUSY)
		return 0;
	/* the answer may have been lost with the daemon, not the deed */
	struct err later = ERR_INIT;

	if (mirror_now(m, target, &now, &later) < 0)
		return -1;
	return now == MIRROR_NONE ? 1 : 0;
}

static int pivot(struct merge *m, const struct plan_disk *disk, struct ready *r,
		 struct err *e)
{
	int64_t began = clock_steady_ns();
	int done;

	while ((done = try_pivot(m, disk->target, e)) == 0) {
		if (merge_may_go_on(m, disk, e) < 0)
			return -1;
		if (passed_ms(began) > PIVOT_MS && r->paused)
			return -1;
		if (passed_ms(began) > PIVOT_MS && guest_runs(m)) {
			r->paused = true;
			began = clock_steady_ns();
			if (pause_guest(m, e) < 0)
				return -1;
		} else if (passed_ms(began) > 2 * PIVOT_MS) {
			return -1;
		}
		track_wait(m->track, POLL_MS / 2);
	}
	return done < 0 ? -1 : 0;
}

/* The pivot returned; is it over in libvirt's eyes, too? */
static int wait_gone(struct merge *m, const char *target, struct err *e)
{
	int64_t began = clock_steady_ns();

	for (;;) {
		autodomain virDomainPtr d =
			conn_domain(m->conn, m->plan->uuid, e);
		virDomainBlockJobInfo info;

		if (!d)
			return -1;
		if (virDomainGetBlockJobInfo(d, target, &info, 0) == 0)
			return 0;
		if (passed_ms(began) > GONE_MS)
			return err_set(e, ERR_BUSY,
				       "the job does not end after the pivot");
		track_wait(m->track, POLL_MS);
	}
}

/* What settles a flatten decides by how far it came. */
static void came_to(struct plan_disk *disk, enum plan_step step)
{
	if (disk->flat)
		disk->step = step;
}

static int run_job(struct merge *m, struct plan_disk *disk, struct ready *r,
		   struct err *e)
{
	if (merge_may_go_on(m, disk, e) < 0 ||
	    JOT(m->journal, JOT_COMMIT, e, { "target", disk->target }) < 0)
		return -1;
	came_to(disk, STEP_COMMIT);
	if (start(m, disk, e) < 0 || wait_ready(m, disk, r, e) < 0 ||
	    merge_may_go_on(m, disk, e) < 0 ||
	    JOT(m->journal, JOT_PIVOT, e, { "target", disk->target }) < 0)
		return -1;
	came_to(disk, STEP_PIVOT);
	return pivot(m, disk, r, e);
}

int merge_live(struct merge *m, struct plan_disk *disk, struct err *e)
{
	struct ready r = { .left = UINT64_MAX, .better_ns = clock_steady_ns() };
	int ret = run_job(m, disk, &r, e);
	struct err second = ERR_INIT;

	if (r.paused && unpause_guest(m, ret < 0 ? &second : e) < 0)
		ret = -1;
	if (ret < 0)
		return -1;
	return wait_gone(m, disk->target, e);
}

/* ---- the other way out ---- */

/* Is the job that runs on the disk a commit into its base? */
static int is_ours(struct merge *m, const struct plan_disk *disk, struct err *e)
{
	autofree char *xml = sight_xml(m->conn, m->plan->uuid, 0, e);
	enum sight_mirror now = MIRROR_NONE;

	if (!xml || sight_mirror(xml, disk->target, &now, e) < 0)
		return -1;
	return disk->step >= STEP_COMMIT && now != MIRROR_NONE &&
	       now != MIRROR_OTHER;
}

int merge_undo(struct merge *m, const struct plan_disk *disk, struct err *e)
{
	int ours = is_ours(m, disk, e);

	if (ours <= 0)
		return ours;
	autodomain virDomainPtr d = conn_domain(m->conn, m->plan->uuid, e);

	if (!d)
		return -1;
	if (virDomainBlockJobAbort(d, disk->target, 0) < 0) {
		virt_err(e, "cannot end the commit");
		/* it may just have ended by itself */
		struct err ignored = ERR_INIT;

		if (is_ours(m, disk, &ignored) != 0)
			return -1;
		err_clear(e);
	}
	return wait_gone(m, disk->target, e);
}
