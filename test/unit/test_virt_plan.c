/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "virt/jot.h"
#include "virt/plan.h"

#define REC(name, ...)                                                         \
	{                                                                      \
		(char *)(uintptr_t)name, (struct journal_field[])              \
		{                                                              \
			__VA_ARGS__                                            \
			{                                                      \
				NULL, NULL                                     \
			}                                                      \
		}                                                              \
	}

#define DISK(t)                                                                \
	REC(JOT_DISK, { "target", t }, { "base", "/b/" t },                    \
	    { "format", "raw" }, { "dev", "1" }, { "ino", "2" },               \
	    { "overlay", "/o/" t }, )

/* A capture with RAM of two disks, killed nowhere. */
static struct journal_record whole[] = {
	REC(JOT_BEGIN, { "uuid", "u" }, { "name", "web1" },
	    { "uri", "qemu:///system" }, { "id", "7" }, { "paused", "0" }, ),
	REC(JOT_WATCHDOG, { "pid", "12" }, { "start", "34" }, ),
	DISK("vda"),
	DISK("vdb"),
	REC(JOT_SPOOL, { "path", "/s/ram" }, ),
	REC(JOT_DOWNTIME, { "old", "300" }, ),
	REC(JOT_SNAPSHOT, ),
	REC(JOT_TAKEN, ),
	REC(JOT_DOWNTIME_DONE, ),
	REC(JOT_COMMIT, { "target", "vda" }, ),
	REC(JOT_PIVOT, { "target", "vda" }, ),
	REC(JOT_COMMITTED, { "target", "vda" }, ),
	REC(JOT_MERGED, { "target", "vda" }, ),
	REC(JOT_UNLINKED, { "target", "vda" }, ),
	REC(JOT_COMMIT, { "target", "vdb" }, ),
	REC(JOT_PAUSE, ),
	REC(JOT_PIVOT, { "target", "vdb" }, ),
	REC(JOT_RESUMED, ),
	REC(JOT_COMMITTED, { "target", "vdb" }, ),
	REC(JOT_MERGED, { "target", "vdb" }, ),
	REC(JOT_UNLINKED, { "target", "vdb" }, ),
	REC(JOT_SPOOL_DONE, ),
};

#define WHOLE (sizeof(whole) / sizeof(*whole))

/* What the plan says after each prefix. */
static const struct {
	int disks;
	int a, b; /* steps; -1: no such disk yet */
	bool spool, downtime, snapshotting, paused;
} expected[WHOLE + 1] = {
	{ 0, -1, -1, 0, 0, 0, 0 },
	{ 0, -1, -1, 0, 0, 0, 0 },
	{ 0, -1, -1, 0, 0, 0, 0 },
	{ 1, STEP_NAMED, -1, 0, 0, 0, 0 },
	{ 2, STEP_NAMED, STEP_NAMED, 0, 0, 0, 0 },
	{ 2, STEP_NAMED, STEP_NAMED, 1, 0, 0, 0 },
	{ 2, STEP_NAMED, STEP_NAMED, 1, 1, 0, 0 },
	{ 2, STEP_NAMED, STEP_NAMED, 1, 1, 1, 0 },
	{ 2, STEP_TAKEN, STEP_TAKEN, 1, 1, 0, 0 },
	{ 2, STEP_TAKEN, STEP_TAKEN, 1, 0, 0, 0 },
	{ 2, STEP_COMMIT, STEP_TAKEN, 1, 0, 0, 0 },
	{ 2, STEP_PIVOT, STEP_TAKEN, 1, 0, 0, 0 },
	{ 2, STEP_COMMITTED, STEP_TAKEN, 1, 0, 0, 0 },
	{ 2, STEP_MERGED, STEP_TAKEN, 1, 0, 0, 0 },
	{ 2, STEP_GONE, STEP_TAKEN, 1, 0, 0, 0 },
	{ 2, STEP_GONE, STEP_COMMIT, 1, 0, 0, 0 },
	{ 2, STEP_GONE, STEP_COMMIT, 1, 0, 0, 1 },
	{ 2, STEP_GONE, STEP_PIVOT, 1, 0, 0, 1 },
	{ 2, STEP_GONE, STEP_PIVOT, 1, 0, 0, 0 },
	{ 2, STEP_GONE, STEP_COMMITTED, 1, 0, 0, 0 },
	{ 2, STEP_GONE, STEP_MERGED, 1, 0, 0, 0 },
	{ 2, STEP_GONE, STEP_GONE, 1, 0, 0, 0 },
	{ 2, STEP_GONE, STEP_GONE, 0, 0, 0, 0 },
};

static int step_of(struct plan *p, const char *target)
{
	struct plan_disk *d = plan_disk(p, target);

	return d ? (int)d->step : -1;
}

static void every_prefix(void **state)
{
	(void)state;
	for (size_t n = 0; n <= WHOLE; n++) {
		struct plan p;
		struct err e = ERR_INIT;

		assert_int_equal(plan_read(whole, n, &p, &e), 0);
		assert_int_equal(p.disk_count, expected[n].disks);
		assert_int_equal(step_of(&p, "vda"), expected[n].a);
		assert_int_equal(step_of(&p, "vdb"), expected[n].b);
		assert_int_equal(p.spool != NULL, expected[n].spool);
		assert_int_equal(p.downtime_set, expected[n].downtime);
		assert_int_equal(p.snapshotting, expected[n].snapshotting);
		assert_int_equal(p.paused, expected[n].paused);
		assert_false(p.frozen);
		plan_fini(&p);
	}
}

/* By storage snapshots, with RAM, of a guest that runs meanwhile. */
static struct journal_record held[] = {
	REC(JOT_BEGIN, { "uuid", "u" }, ),
	REC(JOT_WATCHDOG, { "pid", "12" }, { "start", "34" }, ),
	REC(JOT_SPOOL, { "path", "/s/ram" }, ),
	REC(JOT_DOWNTIME, { "old", "300" }, ),
	REC(JOT_HOLD, ),
	REC(JOT_SNAPSHOT, ),
	REC(JOT_PAUSE, ),
	REC(JOT_TAKEN, ),
	REC(JOT_RESUMED, ),
	REC(JOT_DOWNTIME_DONE, ),
	REC(JOT_SPOOL_DONE, ),
};

/* What is held or paused, asked to be snapshotted, or frozen, after each
 * record. */
struct still {
	bool held, paused, snapshotting, frozen;
};

static const struct still held_expected[] = {
	{ 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 },
	{ 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 1, 0, 1, 0 }, { 1, 1, 1, 0 },
	{ 1, 1, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 },
};

/* By storage snapshots, without RAM: frozen, and suspended besides. */
static struct journal_record frozen[] = {
	REC(JOT_BEGIN, { "uuid", "u" }, ),
	REC(JOT_WATCHDOG, { "pid", "12" }, { "start", "34" }, ),
	REC(JOT_FREEZE, ),
	REC(JOT_PAUSE, ),
	REC(JOT_RESUMED, ),
	REC(JOT_THAWED, ),
};

static const struct still frozen_expected[] = {
	{ 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 1 },
	{ 0, 1, 0, 1 }, { 0, 0, 0, 1 }, { 0, 0, 0, 0 },
};

static void stands_still(const struct journal_record *r, size_t count,
			 const struct still *is)
{
	for (size_t n = 0; n <= count; n++) {
		struct plan p;
		struct err e = ERR_INIT;

		assert_int_equal(plan_read(r, n, &p, &e), 0);
		assert_int_equal(p.held, is[n].held);
		assert_int_equal(p.paused, is[n].paused);
		assert_int_equal(p.snapshotting, is[n].snapshotting);
		assert_int_equal(p.frozen, is[n].frozen);
		assert_int_equal(p.disk_count, 0);
		plan_fini(&p);
	}
}

static void every_prefix_of_snapshots(void **state)
{
	(void)state;
	stands_still(held, sizeof(held) / sizeof(*held), held_expected);
	stands_still(frozen, sizeof(frozen) / sizeof(*frozen), frozen_expected);
}

static void details(void **state)
{
	struct plan p;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_read(whole, WHOLE, &p, &e), 0);
	assert_string_equal(p.uuid, "u");
	assert_string_equal(p.name, "web1");
	assert_int_equal(p.domain_id, 7);
	assert_int_equal(p.watchdog_pid, 12);
	assert_int_equal(p.watchdog_start, 34);
	assert_int_equal(p.downtime_old, 300);
	assert_string_equal(p.disks[1].overlay, "/o/vdb");
	assert_int_equal(p.disks[1].ino, 2);
	plan_fini(&p);
}

static void refuse(struct journal_record *r, size_t n)
{
	struct plan p;
	struct err e = ERR_INIT;

	assert_int_equal(plan_read(r, n, &p, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

static void nonsense(void **state)
{
	struct journal_record no_begin[] = { DISK("vda") };
	struct journal_record twice[] = { whole[0], whole[2], whole[2] };
	struct journal_record begins_twice[] = { whole[0], whole[0] };
	struct journal_record unknown[] = { whole[0], whole[9] };
	struct journal_record half[] = { whole[0],
					 REC(JOT_DISK, { "target", "vda" }, ) };

	(void)state;
	refuse(no_begin, 1);
	refuse(twice, 3);
	refuse(begins_twice, 2);
	refuse(unknown, 2);
	refuse(half, 2);
}

/* ---- decisions ---- */

static struct plan_sight running(enum plan_top live, enum plan_top kept)
{
	return (struct plan_sight){
		.exists = true,
		.active = true,
		.same_instance = true,
		.live = live,
		.kept = kept,
		.overlay_there = true,
	};
}

static struct plan_sight off(enum plan_top kept)
{
	return (struct plan_sight){
		.exists = true,
		.kept = kept,
		.overlay_there = true,
	};
}

static enum plan_action decide(enum plan_step step, struct plan_sight s)
{
	struct plan_disk d = { .step = step };

	return plan_decide(&d, &s);
}

static void on_the_overlay(void **state)
{
	(void)state;
	for (int step = STEP_NAMED; step < STEP_GONE; step++) {
		enum plan_step s = (enum plan_step)step;

		assert_int_equal(decide(s, running(TOP_OVERLAY, TOP_OVERLAY)),
				 ACT_MERGE_LIVE);
		assert_int_equal(decide(s, running(TOP_OVERLAY, TOP_BASE)),
				 ACT_MERGE_LIVE);
		assert_int_equal(decide(s, running(TOP_OVERLAY, TOP_NONE)),
				 ACT_MERGE_LIVE);
		assert_int_equal(decide(s, off(TOP_OVERLAY)), ACT_MERGE_OFF);
	}
}

static void off_the_overlay(void **state)
{
	struct plan_sight s = running(TOP_BASE, TOP_BASE);

	(void)state;
	assert_int_equal(decide(STEP_TAKEN, s), ACT_KEEP_APART);
	assert_int_equal(decide(STEP_COMMIT, s), ACT_KEEP_APART);
	assert_int_equal(decide(STEP_PIVOT, s), ACT_UNLINK);
	assert_int_equal(decide(STEP_COMMITTED, s), ACT_UNLINK);
	assert_int_equal(decide(STEP_MERGED, s), ACT_UNLINK);
	s.same_instance = false;
	assert_int_equal(decide(STEP_PIVOT, s), ACT_KEEP_APART);
	s.overlay_empty = true;
	assert_int_equal(decide(STEP_NAMED, s), ACT_UNLINK);
	assert_int_equal(decide(STEP_PIVOT, off(TOP_BASE)), ACT_KEEP_APART);
	assert_int_equal(decide(STEP_COMMITTED, off(TOP_BASE)), ACT_UNLINK);
}

/* Nothing that is open in some QEMU is ever removed, whatever the journal
 * and the definitions say. */
static void locked(void **state)
{
	(void)state;
	for (int step = STEP_NAMED; step < STEP_GONE; step++) {
		struct plan_sight s = running(TOP_BASE, TOP_BASE);

		s.overlay_locked = true;
		s.overlay_empty = true;
		assert_int_equal(decide((enum plan_step)step, s),
				 ACT_MERGE_STRAY);
		s.active = false;
		assert_int_equal(decide((enum plan_step)step, s),
				 ACT_KEEP_LOCKED);
	}
}

/* The pivot may have happened behind libvirt's back. */
static void unsure(void **state)
{
	struct plan_sight s = off(TOP_OVERLAY);

	(void)state;
	s.base_newer = true;
	assert_int_equal(decide(STEP_PIVOT, s), ACT_KEEP_UNSURE);
	assert_int_equal(decide(STEP_COMMIT, s), ACT_MERGE_OFF);
	assert_int_equal(decide(STEP_COMMITTED, s), ACT_MERGE_OFF);
	s.base_newer = false;
	assert_int_equal(decide(STEP_PIVOT, s), ACT_MERGE_OFF);
}

/* libvirt names the overlay, QEMU has let go of it. */
static void pivoted(void **state)
{
	struct plan_sight s = running(TOP_OVERLAY, TOP_OVERLAY);

	(void)state;
	assert_int_equal(decide(STEP_PIVOT, s), ACT_MERGE_LIVE);
	s.pivoted = true;
	assert_int_equal(decide(STEP_PIVOT, s), ACT_REDEFINE);
	s.kept = TOP_BASE;
	assert_int_equal(decide(STEP_PIVOT, s), ACT_KEEP_PIVOTED);
	assert_int_equal(decide(STEP_COMMIT, s), ACT_KEEP_PIVOTED);
}

static void gone_and_away(void **state)
{
	struct plan_sight s = { .overlay_there = true };

	(void)state;
	assert_int_equal(decide(STEP_TAKEN, s), ACT_KEEP_GONE);
	assert_int_equal(decide(STEP_MERGED, s), ACT_UNLINK);
	s.migrated = true;
	assert_int_equal(decide(STEP_TAKEN, s), ACT_KEEP_AWAY);
	s = off(TOP_OVERLAY);
	s.migrated = true;
	assert_int_equal(decide(STEP_TAKEN, s), ACT_KEEP_AWAY);
	assert_int_equal(decide(STEP_TAKEN, running(TOP_ABOVE, TOP_ABOVE)),
			 ACT_KEEP_ABOVE);
	assert_int_equal(decide(STEP_TAKEN, off(TOP_ABOVE)), ACT_KEEP_ABOVE);
}

static void no_overlay(void **state)
{
	struct plan_sight s = running(TOP_BASE, TOP_BASE);

	(void)state;
	s.overlay_there = false;
	assert_int_equal(decide(STEP_NAMED, s), ACT_NOTHING);
	s = off(TOP_OVERLAY);
	s.overlay_there = false;
	assert_int_equal(decide(STEP_TAKEN, s), ACT_LOST);
	assert_int_equal(decide(STEP_COMMITTED, s), ACT_REDEFINE);
	assert_int_equal(decide(STEP_GONE, s), ACT_NOTHING);
	s = running(TOP_BASE, TOP_OVERLAY);
	assert_int_equal(decide(STEP_COMMITTED, s), ACT_REDEFINE);
	assert_int_equal(decide(STEP_TAKEN, s), ACT_KEEP_APART);
}

static void advice(void **state)
{
	struct plan p;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_read(whole, WHOLE, &p, &e), 0);
	for (int a = ACT_NOTHING; a <= ACT_LOST; a++) {
		char *text = plan_advice((enum plan_action)a, &p, p.disks);

		if (a >= ACT_KEEP_GONE)
			assert_non_null(strstr(text, "/o/vda"));
		else
			assert_null(text);
		free(text);
	}
	plan_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_prefix),
		cmocka_unit_test(every_prefix_of_snapshots),
		cmocka_unit_test(details),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(on_the_overlay),
		cmocka_unit_test(off_the_overlay),
		cmocka_unit_test(locked),
		cmocka_unit_test(unsure),
		cmocka_unit_test(pivoted),
		cmocka_unit_test(gone_and_away),
		cmocka_unit_test(no_overlay),
		cmocka_unit_test(advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
