/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/keys.h"
#include "job/describe.h"
#include "job/gather.h"
#include "job/group.h"
#include "job/keep.h"
#include "job/member.h"
#include "job/open.h"
#include "job/places.h"
#include "job/recover.h"
#include "job/room.h"

/*
 * The way of a block: the capture freezes an instant; disks are read over
 * NBD, from where they are or from storage snapshots, RAM and definition as
 * files; the intake hashes, cuts, looks up, compresses, seals and packs; the
 * capture is undone as soon as the last byte is read, for the guest comes
 * first; the commit makes the points exist.
 */

/* One set under way: a domain, or several of one instant. */
struct backup {
	const struct job *job;
	const struct job_backup *asked;
	struct repo *repo;
	struct member *members;
	size_t count;
	struct snapped *snapped;
	struct err no_snaps; /* why they could not be planned */
	struct group_skew skew;
	struct local_new *local; /* with --keep local */
	struct set kept;         /* there */
	struct intake *intake;   /* NULL with --keep local alone */
	struct set set;
	struct result_backup *result;
};

/* Storage snapshots that cannot be given back are everybody's. */
static void end_snaps(struct backup *b)
{
	struct err e = ERR_INIT;

	if (snapped_end(mem_take(&b->snapped), &e) == 0)
		return;
	for (size_t i = 0; i < b->count; i++) {
		struct result_backup_item *item = b->members[i].item;

		result_strings_add(&item->warnings, "%s", e.msg);
		item->degraded = true;
	}
}

/* Guests first: what they have to wait for is never a storage's. */
static void put_back(struct backup *b)
{
	for (size_t i = 0; i < b->count; i++)
		member_end(&b->members[i]);
	end_snaps(b);
}

static void backup_fini(struct backup *b)
{
	put_back(b);
	for (size_t i = 0; i < b->count; i++)
		member_fini(&b->members[i]);
	free(b->members);
	local_free(b->local);
	set_fini(&b->kept);
	intake_close(b->intake);
	set_fini(&b->set);
}

/* ---- members --------------------------------------------------------- */

static bool any_left(const struct backup *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->members[i].lost)
			return true;
	return false;
}

static void lose_all(struct backup *b, const struct err *e)
{
	for (size_t i = 0; i < b->count; i++)
		member_lose(&b->members[i], e);
}

/* One step for each that is not lost by now; whoever fails in it is.  -1:
 * there is nobody left. */
static int each(struct backup *b,
		int (*step)(struct backup *b, struct member *m, struct err *e))
{
	for (size_t i = 0; i < b->count; i++) {
		struct member *m = &b->members[i];
		struct err e = ERR_INIT;

		if (!m->lost && step(b, m, &e) < 0)
			member_lose(m, &e);
	}
	return any_left(b) ? 0 : -1;
}

static int open_one(struct backup *b, struct member *m, struct err *e)
{
	(void)b;
	return member_open(m, e);
}

static int choose_one(struct backup *b, struct member *m, struct err *e)
{
	return member_capture(m, b->asked, e);
}

/* ---- capture --------------------------------------------------------- */

static bool keeps(const struct backup *b, enum job_keep where)
{
	unsigned keep = b->asked->keep;

	return (keep != 0 ? keep : JOB_KEEP_REPOSITORY) & (unsigned)where;
}

/* To be read from storage snapshots, or to stay in them. */
static bool wants_snaps(const struct backup *b, const struct member *m)
{
	return !m->lost &&
	       (keeps(b, JOB_KEEP_LOCAL) || capture_snaps(m->capture));
}

/* The paths of all that need storage snapshots. */
static void snap_paths(const struct backup *b, const char ***all, size_t *count)
{
	*all = NULL;
	*count = 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct member *m = &b->members[i];
		const char **paths;
		size_t n;

		if (!wants_snaps(b, m))
			continue;
		member_paths(m, &paths, &n);
		*all = mem_grow(*all, *count + n, sizeof(**all));
		for (size_t p = 0; p < n; p++)
			(*all)[(*count)++] = paths[p];
		free(paths);
	}
}

/* Who needs them and cannot have them? */
static int choose_again(struct backup *b, struct member *m, struct err *e)
{
	if (keeps(b, JOB_KEEP_LOCAL)) {
		*e = b->no_snaps;
		return err_ctx(e, "cannot be kept on this host");
	}
	if (!capture_snaps(m->capture))
		return 0;
	return capture_without_snaps(m->capture, &b->no_snaps, e);
}

static int plan_snaps(struct backup *b)
{
	const char **paths;
	size_t count;
	int ret;

	snap_paths(b, &paths, &count);
	ret = snapped_plan(b->snapped, paths, count, &b->no_snaps);
	free(paths);
	return ret < 0 ? each(b, choose_again) : 0;
}

static int check_room(struct backup *b)
{
	room_check(b->members, b->count,
		   keeps(b, JOB_KEEP_LOCAL) ? b->job->local_dir : NULL);
	return any_left(b) ? 0 : -1;
}

/* While all stand still.  A capture that tries in another way needs no
 * snapshots any more. */
static int take_snaps(void *ctx, struct err *e)
{
	struct backup *b = ctx;

	for (size_t i = 0; i < b->count; i++)
		if (wants_snaps(b, &b->members[i]))
			return snapped_take(b->snapped, CAPTURE_SNAP_MS, e);
	return 0;
}

static int capture_members(struct backup *b, struct err *e)
{
	const struct capture_instant instant = { .ctx = b, .take = take_snaps };
	autofree struct capture **caps = mem_zalloc(b->count, sizeof(*caps));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < b->count; i++)
		if (!b->members[i].lost)
			caps[n++] = b->members[i].capture;
	ret = capture_take(caps, n, &instant, e);
	for (size_t i = 0; i < b->count; i++) {
		struct member *m = &b->members[i];
		const struct err *why =
			m->lost ? NULL : capture_failed(m->capture);

		if (why == NULL)
			continue;
		member_lose(m, why);
		member_end(m);
	}
	return ret;
}

/* Whoever knows the set by its snapshots finds it by this id. */
static int choose_id(struct backup *b, char id[ID_TEXT], struct err *e)
{
	struct id chance;

	keys_random(chance.b, ID_SIZE);
	if (keeps(b, JOB_KEEP_LOCAL)) {
		b->local = local_begin(b->job->local_dir, e);
		if (b->local == NULL)
			return keep_failed(b->job, e);
		chance = *local_id(b->local);
	}
	hex_encode(chance.b, ID_SIZE, id);
	return 0;
}

static int freeze_instant(struct backup *b, struct err *e)
{
	char id[ID_TEXT];

	if (choose_id(b, id, e) < 0)
		return -1;
	b->snapped = snapped_new(b->job, id);
	if (each(b, choose_one) < 0)
		return -1;
	if (plan_snaps(b) < 0 || check_room(b) < 0 || capture_members(b, e) < 0)
		return -1;
	group_measure(b->members, b->count, &b->skew);
	return 0;
}

/* ---- on this host ---------------------------------------------------- */

static int keep_one(struct backup *b, struct member *m, struct err *e)
{
	int ret = keep_member(m, b->snapped, b->local, &b->kept, e);

	/* there is nothing to be read that would be kept nowhere */
	if (ret < 0 || b->intake == NULL)
		member_end(m);
	return ret;
}

/* The points are there once it is committed, whatever comes of the rest. */
static int keep_here(struct backup *b, struct err *e)
{
	if (each(b, keep_one) < 0)
		return -1;
	/* copying RAM takes a while: do they hold? */
	if (snapped_sure(b->snapped, e) < 0)
		return -1;
	group_describe(&b->skew, b->asked->group, b->members, b->count,
		       &b->kept);
	int ret = local_commit(b->local, &b->kept, e);

	if (local_committed(b->local))
		snapped_stay(b->snapped);
	return ret < 0 ? keep_failed(b->job, e) : 0;
}

/* ---- reading --------------------------------------------------------- */

static int read_one(struct backup *b, struct member *m, struct err *e)
{
	int ret = member_read(m, b->snapped, b->intake, &b->set, e);

	/* before the others are read: an overlay grows all the while */
	member_end(m);
	return ret;
}

/* Those that are on overlays come first. */
static int read_first(struct backup *b, struct member *m, struct err *e)
{
	return capture_snaps(m->capture) ? 0 : read_one(b, m, e);
}

static int read_rest(struct backup *b, struct member *m, struct err *e)
{
	return m->capture != NULL ? read_one(b, m, e) : 0;
}

/* ---- the set --------------------------------------------------------- */

static void describe_places(const struct backup *b, struct result_point *p)
{
	if (keeps(b, JOB_KEEP_LOCAL))
		result_strings_add(&p->places, PLACE_LOCAL);
	if (keeps(b, JOB_KEEP_REPOSITORY))
		result_strings_add(&p->places, PLACE_REPOSITORY);
}

static void describe(struct backup *b)
{
	const struct set *set = b->intake != NULL ? &b->set : &b->kept;

	if (b->intake != NULL)
		gather_counters(b->intake, b->result);
	for (size_t i = 0; i < b->count; i++)
		b->members[i].item->ok = !b->members[i].lost;
	for (size_t point = 0; point < set->point_count; point++) {
		const struct point *p = &set->points[point];

		for (size_t i = 0; i < b->count; i++) {
			struct member *m = &b->members[i];

			if (m->lost || strcmp(m->domain->name, p->name) != 0)
				continue;
			describe_point(set, p, &m->item->point);
			describe_places(b, &m->item->point);
		}
	}
}

static int store(struct backup *b, struct err *e)
{
	if (each(b, read_first) < 0 || each(b, read_rest) < 0)
		return -1;
	/* before the commit; the data is whole also when this fails */
	put_back(b);
	group_describe(&b->skew, b->asked->group, b->members, b->count,
		       &b->set);
	return intake_commit(b->intake, &b->set, e) < 0 ? gather_failed(e) : 0;
}

static int set_steps(struct backup *b, struct err *e)
{
	if (each(b, open_one) < 0)
		return -1;
	/* what the repository refuses is known before a guest is touched */
	if (b->repo != NULL) {
		b->intake =
			intake_open(b->repo, &(struct intake_options){ 0 }, e);
		if (b->intake == NULL)
			return gather_failed(e);
	}
	if (job_stopped(b->job, e) < 0 || freeze_instant(b, e) < 0)
		return -1;
	if (keeps(b, JOB_KEEP_LOCAL) && keep_here(b, e) < 0)
		return -1;
	if (b->intake != NULL)
		return store(b, e);
	put_back(b);
	return 0;
}

/* The domains from `first` on are one set. */
static void backup_set(const struct job *j, const struct job_backup *asked,
		       struct repo *repo, size_t first, size_t count,
		       struct result_backup *result)
{
	AUTO(backup_fini)
	struct backup b = {
		.job = j,
		.asked = asked,
		.repo = repo,
		.members = mem_zalloc(count, sizeof(*b.members)),
		.count = count,
		.result = result,
	};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < count; i++) {
		struct member *m = &b.members[i];

		m->job = j;
		m->name = asked->domains[first + i];
		m->item = &result->items[result->count++];
		m->item->name = mem_strdup(m->name);
	}
	if (set_steps(&b, &e) < 0)
		lose_all(&b, &e);
	else
		describe(&b);
}

/* ---- all domains ----------------------------------------------------- */

/* The first error; busy only when nothing else went wrong. */
static void worst(struct err *e, const struct err *new)
{
	if (e->code == ERR_NONE ||
	    (e->code == ERR_BUSY && new->code != ERR_BUSY))
		*e = *new;
}

static int judge(const struct result_backup *result, struct err *e)
{
	bool failed = false;

	for (size_t i = 0; i < result->count; i++) {
		if (result->items[i].ok)
			continue;
		worst(e, &result->items[i].err);
		failed = true;
	}
	return failed ? -1 : 0;
}

/* Is libvirt there at all?  Said once, not for each domain. */
static int reach(const struct job *j, struct err *e)
{
	AUTO(conn_close_at) struct conn *conn = conn_open(j->uri, e);

	return conn != NULL ? 0 : -1;
}

static int backup_domains(const struct job *j, const struct job_backup *asked,
			  struct result_backup *result, struct err *e)
{
	AUTO(repo_close_at) struct repo *repo = NULL;
	size_t step = asked->together ? asked->domain_count : 1;

	if (group_check(asked, e) < 0)
		return -1;
	if (asked->keep != JOB_KEEP_LOCAL) {
		repo = job_repo(j, e);
		if (repo == NULL)
			return -1;
	}
	if (reach(j, e) < 0)
		return -1;
	recover_sets(j);
	result->items = mem_zalloc(asked->domain_count, sizeof(*result->items));
	for (size_t i = 0; i < asked->domain_count; i += step) {
		if (job_stopped(j, e) < 0)
			return -1;
		backup_set(j, asked, repo, i, step, result);
	}
	return judge(result, e);
}

int job_backup(const struct job *j, const struct job_backup *asked,
	       struct result_backup *result, struct err *e)
{
	int64_t start = clock_steady_ns();

	memset(result, 0, sizeof(*result));
	int ok = backup_domains(j, asked, result, e);

	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
