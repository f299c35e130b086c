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
#include "virt/merge.h"
#include "virt/plan.h"
#include "virt/stale.h"

/* ---- the journal ---- */

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

#define BEGIN                                                                  \
	REC(JOT_BEGIN, { "uuid", "u" }, { "name", "web1" }, { "id", "7" }, )
#define FLAT                                                                   \
	REC(JOT_DISK, { "target", "vda" }, { "base", "/1" },                   \
	    { "format", "raw" }, { "overlay", "/4" }, { "dev", "1" },          \
	    { "ino", "11" }, { "merge", "delete" }, { "odev", "1" },           \
	    { "oino", "14" }, { "size", "4096" }, )
#define BETWEEN(p)                                                             \
	REC(JOT_BETWEEN, { "target", "vda" }, { "path", p }, { "dev", "1" },   \
	    { "ino", "12" }, )
#define ABOUT(word) REC(word, { "target", "vda" }, )

static struct journal_record live[] = {
	BEGIN,
	FLAT,
	BETWEEN("/3"),
	BETWEEN("/2"),
	ABOUT(JOT_COMMIT),
	ABOUT(JOT_PIVOT),
	REC(JOT_COMMITTED, { "target", "vda" }, { "stamp", "77" }, ),
	ABOUT(JOT_MERGED),
	ABOUT(JOT_UNLINKED),
};

static const enum plan_step live_steps[] = {
	[2] = STEP_NAMED,  [3] = STEP_NAMED, [4] = STEP_NAMED,
	[5] = STEP_COMMIT, [6] = STEP_PIVOT, [7] = STEP_COMMITTED,
	[8] = STEP_MERGED, [9] = STEP_GONE,
};

static void every_prefix(void **state)
{
	(void)state;
	for (size_t n = 2; n <= sizeof(live) / sizeof(*live); n++) {
		struct plan p;
		struct err e = ERR_INIT;

		assert_int_equal(plan_read(live, n, &p, &e), 0);
		assert_int_equal(p.disk_count, 1);
		assert_true(p.disks[0].flat && p.disks[0].remove);
		assert_false(p.disks[0].offline || p.disks[0].given_up);
		assert_int_equal(p.disks[0].step, live_steps[n]);
		assert_int_equal(p.disks[0].between_count, n < 3    ? 0
							   : n == 3 ? 1
								    : 2);
		assert_int_equal(p.disks[0].stamp, n < 7 ? 0 : 77);
		plan_fini(&p);
	}
}

static void details(void **state)
{
	struct journal_record off[] = { BEGIN, FLAT, BETWEEN("/3"),
					ABOUT(JOT_OFFLINE), ABOUT(JOT_UNDONE) };
	struct plan p;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_read(off, 5, &p, &e), 0);
	assert_true(p.disks[0].offline);
	assert_int_equal(p.disks[0].step, STEP_UNDONE);
	assert_int_equal(p.disks[0].oino, 14);
	assert_int_equal(p.disks[0].size, 4096);
	assert_string_equal(p.disks[0].between[0].path, "/3");
	assert_int_equal(p.disks[0].between[0].ino, 12);
	plan_fini(&p);
}

static void nonsense(void **state)
{
	/* an image of a disk that is not named; of one that is a capture's;
	 * without a path */
	struct journal_record unknown[] = { BEGIN, BETWEEN("/3") };
	struct journal_record capture[] = {
		BEGIN,
		REC(JOT_DISK, { "target", "vda" }, { "base", "/1" },
		    { "format", "raw" }, { "overlay", "/4" }, ),
		BETWEEN("/3"),
	};
	struct journal_record no_path[] = { BEGIN, FLAT, ABOUT(JOT_BETWEEN) };
	struct plan p;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_read(unknown, 2, &p, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_int_equal(plan_read(capture, 3, &p, &e), -1);
	assert_int_equal(plan_read(no_path, 3, &p, &e), -1);
}

/* ---- decisions ---- */

static const struct plan_sight runs = { .exists = true,
					.active = true,
					.same_instance = true,
					.live = TOP_OVERLAY,
					.kept = TOP_OVERLAY,
					.overlay_there = true };
static const struct plan_sight is_off = { .exists = true,
					  .kept = TOP_OVERLAY,
					  .overlay_there = true };

static enum plan_action decide(enum plan_step step, bool given_up,
			       struct plan_sight s)
{
	struct plan_disk d = { .flat = true,
			       .step = step,
			       .given_up = given_up,
			       .offline = !s.active };

	return plan_decide(&d, &s);
}

/* As long as the domain is on its overlay, both ways are open. */
static void forth_and_back(void **state)
{
	(void)state;
	for (int n = STEP_NAMED; n < STEP_COMMITTED; n++) {
		enum plan_step step = (enum plan_step)n;

		assert_int_equal(decide(step, false, runs), ACT_MERGE_LIVE);
		assert_int_equal(decide(step, true, runs), ACT_UNDO);
		assert_int_equal(decide(step, false, is_off), ACT_MERGE_OFF);
		assert_int_equal(decide(step, true, is_off), ACT_UNDO);
	}
	assert_int_equal(decide(STEP_GONE, true, runs), ACT_NOTHING);
	assert_int_equal(decide(STEP_UNDONE, false, runs), ACT_NOTHING);
}

static void on_the_base(void **state)
{
	struct plan_sight s = runs;

	(void)state;
	s.live = TOP_BASE;
	for (int up = 0; up < 2; up++) {
		/* that was somebody else */
		s.kept = TOP_BASE;
		assert_int_equal(decide(STEP_COMMIT, up, s), ACT_UNDO);
		assert_int_equal(decide(STEP_PIVOT, up, s), ACT_RELEASE);
		assert_int_equal(decide(STEP_MERGED, up, s), ACT_RELEASE);
		s.kept = TOP_OVERLAY;
		assert_int_equal(decide(STEP_PIVOT, up, s), ACT_REDEFINE);
		s.same_instance = false;
		assert_int_equal(decide(STEP_PIVOT, up, s), ACT_KEEP_APART);
		assert_int_equal(decide(STEP_COMMITTED, up, s), ACT_REDEFINE);
		s.same_instance = true;
		s.overlay_locked = true;
		assert_int_equal(decide(STEP_COMMITTED, up, s),
				 ACT_KEEP_LOCKED);
		s.overlay_locked = false;
	}
}

/* Started from the overlay between qemu-img's end and the definition. */
static void started_between(void **state)
{
	struct plan_sight s = runs;

	(void)state;
	s.kept = TOP_BASE;
	assert_int_equal(decide(STEP_COMMITTED, true, s), ACT_MERGE_LIVE);
	/* and shut off again */
	s = is_off;
	s.touched = true;
	assert_int_equal(decide(STEP_COMMITTED, true, s), ACT_UNDO);
	assert_int_equal(decide(STEP_COMMITTED, false, s), ACT_MERGE_OFF);
	s.kept = TOP_BASE;
	assert_int_equal(decide(STEP_COMMITTED, true, s), ACT_KEEP_APART);
	s.touched = false;
	assert_int_equal(decide(STEP_COMMITTED, true, s), ACT_RELEASE);
	s.kept = TOP_OVERLAY;
	assert_int_equal(decide(STEP_COMMITTED, true, s), ACT_REDEFINE);
}

/* A capture's overlay, too, may have been written to in between. */
static void capture_between(void **state)
{
	struct plan_sight s = is_off;
	struct plan_disk d = { .step = STEP_COMMITTED, .offline = true };

	(void)state;
	s.kept = TOP_BASE;
	assert_int_equal(plan_decide(&d, &s), ACT_UNLINK);
	s.touched = true;
	assert_int_equal(plan_decide(&d, &s), ACT_KEEP_APART);
}

/* The daemon died in the pivot, and the guest is off. */
static void unsure(void **state)
{
	struct plan_sight s = is_off;

	(void)state;
	s.base_newer = true;
	assert_int_equal(decide(STEP_PIVOT, true, s), ACT_KEEP_UNSURE);
	assert_int_equal(decide(STEP_COMMIT, true, s), ACT_UNDO);
	s.equal = true;
	assert_int_equal(decide(STEP_PIVOT, true, s), ACT_REDEFINE);
	s = runs;
	s.pivoted = true;
	assert_int_equal(decide(STEP_PIVOT, true, s), ACT_REDEFINE);
	s.kept = TOP_BASE;
	assert_int_equal(decide(STEP_PIVOT, true, s), ACT_KEEP_PIVOTED);
}

/* Nothing is removed in what somebody else has arranged. */
static void elsewhere(void **state)
{
	static const enum plan_top tops[] = { TOP_NONE, TOP_ABOVE, TOP_OTHER };

	(void)state;
	for (int n = STEP_NAMED; n < STEP_GONE; n++) {
		enum plan_step step = (enum plan_step)n;
		struct plan_sight s = { .overlay_there = true };

		assert_int_equal(decide(step, false, s), ACT_UNDO);
		for (size_t i = 0; i < 3; i++) {
			s = runs;
			s.live = tops[i];
			assert_int_equal(decide(step, false, s), ACT_UNDO);
			s = is_off;
			s.kept = tops[i];
			assert_int_equal(decide(step, false, s), ACT_UNDO);
		}
	}
}

/* ---- snapshots ---- */

static char *two[] = { (char *)(uintptr_t) "/3" };

static enum stale judge(const char *disks, char **memory)
{
	struct plan_image between = { .path = two[0] };
	struct plan_disk d[] = {
		{ .target = (char *)(uintptr_t) "vda",
		  .overlay = (char *)(uintptr_t) "/4",
		  .flat = true,
		  .step = STEP_GONE,
		  .between = &between,
		  .between_count = 1 },
		{ .target = (char *)(uintptr_t) "vdb",
		  .overlay = (char *)(uintptr_t) "/b",
		  .flat = true,
		  .step = STEP_UNDONE },
	};
	const struct plan p = { .disks = d, .disk_count = 2 };
	autofree char *xml =
		mem_fmt("<domainsnapshot>%s</domainsnapshot>", disks);
	struct stale_snapshot s = { .stale = STALE_NOT };
	struct err e = ERR_INIT;

	assert_int_equal(stale_judge(xml, &p, &s, &e), 0);
	if (memory)
		*memory = s.memory;
	else
		free(s.memory);
	return s.stale;
}

#define EXTERNAL(t, f)                                                         \
	"<disk name='" t "' snapshot='external'><source file='" f "'/></disk>"

static void snapshots(void **state)
{
	char *memory = NULL;

	(void)state;
	assert_int_equal(
		judge("<disks>" EXTERNAL("vda", "/4") "</disks>", NULL),
		STALE_WHOLE);
	assert_int_equal(
		judge("<memory snapshot='external' file='/m'/><disks>" EXTERNAL(
			      "vda",
			      "/3") "<disk name='vdb' snapshot='no'/></disks>",
		      &memory),
		STALE_WHOLE);
	assert_string_equal(memory, "/m");
	free(memory);
	/* of another disk, another image, a disk that was given up */
	assert_int_equal(
		judge("<disks>" EXTERNAL("vdb", "/4") "</disks>", NULL),
		STALE_NOT);
	assert_int_equal(
		judge("<disks>" EXTERNAL("vda", "/2") "</disks>", NULL),
		STALE_NOT);
	assert_int_equal(judge("<disks>" EXTERNAL("vda", "/4")
				       EXTERNAL("vdb", "/b") "</disks>",
			       NULL),
			 STALE_PARTLY);
	assert_int_equal(
		judge("<disks>" EXTERNAL(
			      "vda",
			      "/4") "<disk name='vdb' snapshot='internal'/>"
				    "</disks>",
		      NULL),
		STALE_PARTLY);
	assert_int_equal(judge("<disks><disk name='vda' snapshot='internal'/>"
			       "</disks>",
			       NULL),
			 STALE_NOT);
	assert_int_equal(judge("", NULL), STALE_NOT);
}

static void no_snapshot(void **state)
{
	const struct plan p = { .disks = NULL };
	struct stale_snapshot s;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(stale_judge("<domain/>", &p, &s, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_int_equal(stale_judge("<domainsnaps", &p, &s, &e), -1);
}

/* ---- qemu-img ---- */

static void percent(void **state)
{
	(void)state;
	assert_int_equal(merge_percent("    (0.00/100%)\r"), 0);
	assert_int_equal(merge_percent("    (1.50/100%)\r    (12.34/100%)\r"),
			 1234);
	assert_int_equal(merge_percent("    (100.00/100%)\r\n"), 10000);
	assert_int_equal(merge_percent(""), 0);
	assert_int_equal(merge_percent("(x"), 0);
	assert_int_equal(merge_percent("(1e9/100%)"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_prefix),
		cmocka_unit_test(details),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(forth_and_back),
		cmocka_unit_test(on_the_base),
		cmocka_unit_test(started_between),
		cmocka_unit_test(capture_between),
		cmocka_unit_test(unsure),
		cmocka_unit_test(elsewhere),
		cmocka_unit_test(snapshots),
		cmocka_unit_test(no_snapshot),
		cmocka_unit_test(percent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
