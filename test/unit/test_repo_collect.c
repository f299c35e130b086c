/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "collect_kit.h"
#include "repo/session.h"

/* ---- tests ------------------------------------------------------------------
 */

static void test_nothing(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);

	(void)state;
	struct collect_result r = ck_collect(s);

	assert_int_equal(r.steps, 0);
	assert_int_equal(r.generation, 0);
	assert_int_equal(ck_newest(s), 0);
}

static void test_index(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake fakes[3];

	(void)state;
	ck_fill(s, fakes, 3);
	uint64_t before = ck_size_of(s, "data/");
	struct collect_result r = ck_collect(s);

	assert_true(r.steps >= 1);
	assert_int_equal(r.packs, 0);
	assert_int_equal(r.generation, ck_newest(s));
	assert_int_equal(ck_size_of(s, "data/"), before);
	assert_int_equal(ck_compare_all(s, fakes, 3), 3);
	/* a second one has nothing to do */
	r = ck_collect(s);
	assert_int_equal(r.steps, 0);
	/* and what is indexed is known */
	uint64_t data = ck_size_of(s, "data/");

	ck_backup(s, &fakes[1]);
	assert_int_equal(ck_size_of(s, "data/"), data);
	assert_int_equal(ck_compare_all(s, fakes, 3), 4);
}

static void test_forget(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake fakes[4];

	(void)state;
	ck_fill(s, fakes, 3);
	uint64_t before = ck_size_of(s, "data/");

	fakes[3] = ck_image_of(200);
	ck_backup(s, &fakes[3]);
	ck_forget(s, &fakes[3], TOMB_POINT);
	assert_int_equal(ck_compare_all(s, fakes, 4), 3);
	struct collect_result r = ck_collect(s);

	/* all that it had alone is gone, and nothing else */
	assert_int_equal(r.points, 1);
	assert_true(r.packs > 0 && r.bytes > 0);
	assert_int_equal(r.waiting_packs, 0);
	assert_int_equal(ck_size_of(s, "data/"), before);
	assert_int_equal(ck_compare_all(s, fakes, 4), 3);
	assert_int_equal(kit_count(s, "tomb/"), 0);
	/* what others have, too, stays */
	ck_forget(s, &fakes[0], TOMB_POINT);
	r = ck_collect(s);
	assert_int_equal(r.points, 1);
	assert_in_range(ck_size_of(s, "data/"), before * 9 / 10, before);
	assert_int_equal(ck_compare_all(s, fakes, 4), 2);
	/* the rest */
	ck_forget(s, &fakes[1], TOMB_POINT);
	ck_forget(s, &fakes[2], TOMB_POINT);
	r = ck_collect(s);
	assert_int_equal(r.points, 2);
	assert_int_equal(kit_count(s, "data/"), 0);
	assert_int_equal(kit_count(s, "meta/"), 0);
	assert_int_equal(kit_count(s, "ring/"), 0);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, fakes, 4), 0);
}

/* What is left of packs that are mostly dead is copied, as it is. */
static void test_compact(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake fakes[SMALL];

	(void)state;
	ck_fill_small(s, fakes);
	uint64_t before = ck_size_of(s, "data/");

	for (size_t i = 0; i < SMALL; i++)
		if (i % 4 != 0)
			ck_forget(s, &fakes[i], TOMB_POINT);
	struct collect_result r = ck_collect(s);

	assert_true(r.moved_bytes > 0);
	assert_true(ck_size_of(s, "data/") < before / 2);
	assert_int_equal(ck_compare_all(s, fakes, SMALL), 3);
	assert_int_equal(kit_count(s, "ring/"), 1);
	/* it is known where it is now, and not copied again */
	uint64_t data = ck_size_of(s, "data/");

	ck_backup(s, &fakes[0]);
	assert_int_equal(ck_size_of(s, "data/"), data);
	r = ck_collect(s);
	assert_int_equal(r.moved_bytes, 0);
	/* moved once more, from where it was moved to */
	ck_forget(s, &fakes[4], TOMB_POINT);
	ck_forget(s, &fakes[8], TOMB_POINT);
	r = ck_collect(s);
	assert_true(r.moved_bytes > 0);
	assert_int_equal(ck_compare_all(s, fakes, SMALL), 2);
	/* and gone, with the key that only origins named */
	ck_forget(s, &fakes[0], TOMB_POINT);
	ck_forget(s, &fakes[0], TOMB_POINT);
	ck_collect(s);
	assert_int_equal(kit_count(s, "data/"), 0);
	assert_int_equal(kit_count(s, "ring/"), 0);
}

/* Nothing is to be done any more: nothing is made, put or deleted. */
static void assert_idle(struct store *s)
{
	uint64_t newest = ck_newest(s), size = ck_size_of(s, "");
	size_t count = kit_count(s, "");

	for (int i = 0; i < 2; i++) {
		struct collect_result r = ck_collect(s);

		assert_int_equal(r.steps, 0);
		assert_int_equal(r.generation, newest);
		assert_int_equal(kit_count(s, ""), count);
		assert_int_equal(ck_size_of(s, ""), size);
	}
}

static void test_idle(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake fakes[3];

	(void)state;
	assert_true(kit_count(s, "") > 0);
	assert_idle(s);
	assert_int_equal(kit_count(s, "sess/"), 0);
	ck_fill(s, fakes, 3);
	ck_collect(s);
	assert_idle(s);
	ck_forget(s, &fakes[1], TOMB_POINT);
	ck_collect(s);
	assert_idle(s);
	assert_int_equal(ck_compare_all(s, fakes, 3), 2);
}

/* ---- sessions ---------------------------------------------------------------
 */

static int commit(struct intake *in, const struct fake *f, struct err *e)
{
	AUTO(set_fini) struct set set = { 0 };
	struct image_root root;

	if (kit_put(in, f, &root, e) < 0)
		return -1;
	struct point *p = set_add_point(&set);
	struct image *image = point_add_image(p);

	keys_random(p->id.b, ID_SIZE);
	p->name = mem_strdup("late");
	p->time_ns = 1;
	image->kind = IMAGE_DISK;
	image->name = mem_strdup("vda");
	image->root = root;
	return intake_commit(in, &set, e);
}

/* One that lives is waited for, and then all goes on. */
static void test_wait(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	struct fake fakes[3];
	struct err e = ERR_INIT;

	(void)state;
	ck_fill(s, fakes, 2);
	fakes[2] = ck_image_of(300);
	struct intake *in = ck_leave_open(r, &fakes[2]);

	ck_forget(s, &fakes[1], TOMB_POINT);
	assert_int_equal(ck_try_collect(s, 0, &result, &e), 0);
	assert_non_null(result.wait.host);
	assert_int_equal(result.steps, 1);
	assert_true(result.waiting_packs > 0);
	assert_int_equal(result.packs, 0);
	assert_int_equal(commit(in, &fakes[2], &e), 0);
	intake_close(in);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, fakes, 3), 2);
}

/* One that is silent is ended: its commit fails, what it stored goes. */
static void test_silent(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct fake fakes[3];
	struct err e = ERR_INIT;

	(void)state;
	ck_fill(s, fakes, 2);
	uint64_t data = ck_size_of(s, "data/");

	fakes[2] = ck_image_of(300);
	struct intake *in = ck_leave_open(r, &fakes[2]);

	assert_true(ck_size_of(s, "data/") > data);
	struct collect_result result = ck_collect(s);

	assert_int_equal(result.ended, 1);
	assert_int_equal(commit(in, &fakes[2], &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	intake_close(in);
	ck_collect(s);
	ck_collect(s);
	assert_int_equal(ck_size_of(s, "data/"), data);
	assert_int_equal(ck_compare_all(s, fakes, 3), 2);
}

/* A writer of the newest generation was killed, nothing else is to be done:
 * all that it has left goes by collecting alone. */
static void test_killed(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	AUTO(collect_result_fini) struct collect_result live = { 0 };
	struct fake fakes[2] = { ck_image_of(1), ck_image_of(300) };
	struct err e = ERR_INIT;

	(void)state;
	ck_backup(s, &fakes[0]);
	ck_collect(s);
	uint64_t newest = ck_newest(s), data = ck_size_of(s, "data/");
	uint64_t meta = ck_size_of(s, "meta/");
	size_t rings = kit_count(s, "ring/");
	struct intake *in = ck_leave_open(r, &fakes[1]);

	assert_true(ck_size_of(s, "data/") > data);
	/* as long as it may be alive nothing happens */
	assert_int_equal(ck_try_collect(s, 0, &live, &e), 0);
	assert_int_equal(live.steps, 0);
	assert_int_equal(ck_newest(s), newest);
	assert_true(kit_count(s, "ring/") > rings);
	struct collect_result result = ck_collect(s);

	assert_int_equal(result.ended, 1);
	assert_true(result.packs > 0);
	assert_int_equal(ck_size_of(s, "data/"), data);
	assert_int_equal(ck_size_of(s, "meta/"), meta);
	assert_int_equal(kit_count(s, "ring/"), rings);
	assert_idle(s);
	intake_close(in);
	assert_int_equal(ck_compare_all(s, fakes, 2), 1);
}

/* One that was killed before it had stored anything. */
static void test_killed_early(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct session a;
	struct err e = ERR_INIT;
	char name[OUTCOME_NAME];
	struct store_stat st;

	(void)state;
	assert_int_equal(session_open(r, "here", &a, &e), 0);
	session_name(&a.id, name);
	assert_int_equal(ck_collect(s).ended, 1);
	assert_int_equal(store_stat(s, name, &st, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_true(kit_count(s, "sess/") <= 2);
	assert_true(kit_count(s, "beat/") <= 2);
	assert_true(kit_count(s, "points/") <= 2);
	assert_idle(s);
	session_close(&a, false);
}

/* Ended, cleaned up altogether, and then it wakes: nothing may count. */
static void test_late_commit(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct fake fakes[2] = { ck_image_of(1), ck_image_of(2) };
	struct err e = ERR_INIT;

	(void)state;
	fakes[1].size += 4096;
	ck_backup(s, &fakes[0]);
	struct intake *in = ck_leave_open(r, &fakes[1]);

	for (int i = 0; i < 3; i++) {
		ck_forget(s, &fakes[0], TOMB_POINT);
		ck_backup(s, &fakes[0]);
		ck_collect(s);
	}
	assert_int_equal(commit(in, &fakes[1], &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	intake_close(in);
	/* its outcome, its beat and its late packs go, too */
	ck_forget(s, &fakes[0], TOMB_POINT);
	ck_backup(s, &fakes[0]);
	ck_collect(s);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, fakes, 2), 1);
	assert_true(kit_count(s, "beat/") <= kit_count(s, "sess/"));
	assert_int_equal(kit_count(s, "points/"), kit_count(s, "sess/"));
}

/* A sibling of the same generation is leaned on; then it is ended. */
static void test_sibling(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct fake fakes[2] = { ck_image_of(1), ck_image_of(2) };

	(void)state;
	fakes[1].size += 4096;
	struct intake *in = ck_leave_open(r, &fakes[1]);
	uint64_t data = ck_size_of(s, "data/");

	ck_backup(s, &fakes[0]);
	ck_backup(s, &fakes[1]);
	assert_true(ck_size_of(s, "data/") > data);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, fakes, 2), 2);
	intake_close(in);
	ck_collect(s);
	ck_backup(s, &fakes[0]);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, fakes, 2), 3);
}

/* Committed after the next generation has condemned what it found. */
static void test_rescue(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	struct fake f = ck_image_of(1);
	struct fake more = ck_image_of(2);
	struct err e = ERR_INIT;

	(void)state;
	more.size += 4096;
	ck_backup(s, &f);
	ck_backup(s, &more);
	ck_collect(s);
	struct intake *in = ck_leave_open(r, &f);

	ck_forget(s, &f, TOMB_POINT);
	assert_int_equal(ck_try_collect(s, 0, &result, &e), 0);
	assert_non_null(result.wait.host);
	assert_true(result.waiting_packs > 0);
	assert_int_equal(commit(in, &f, &e), 0);
	intake_close(in);
	ck_compare_all(s, (const struct fake[]){ f, more }, 2);
	ck_collect(s);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, (const struct fake[]){ f, more }, 2),
			 2);
}

/* ---- several collectors -----------------------------------------------------
 */

/* Two, step by step in turn, with sessions between: what one has made the
 * other goes on with. */
static void test_two(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *ra = kit_open(&ck_kit, s);
	AUTO(repo_close_at) struct repo *rb = kit_open(&ck_kit, s);
	const struct collect_options o = { .silent_ns = 1, .talk = &ck_talk };
	AUTO(collect_result_fini) struct collect_result r = { 0 };
	struct fake fakes[4];
	struct err e = ERR_INIT;
	AUTO(collect_free_at) struct collect *a = collect_new(ra, &o, &e);
	AUTO(collect_free_at) struct collect *b = collect_new(rb, &o, &e);

	(void)state;
	ck_fill(s, fakes, 4);
	ck_forget(s, &fakes[1], TOMB_POINT);
	for (int i = 0; i < 12; i++) {
		enum collect_state st;

		if (collect_step(i % 2 == 0 ? a : b, &r, &st, &e) < 0)
			fail_msg("%s", e.msg);
		if (i == 3)
			ck_backup(s, &fakes[1]);
		if (i == 6)
			ck_forget(s, &fakes[0], TOMB_POINT);
	}
	assert_int_equal(ck_compare_all(s, fakes, 4), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_compact),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_killed_early),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_late_commit),
		cmocka_unit_test(test_sibling),
		cmocka_unit_test(test_rescue),
		cmocka_unit_test(test_two),
	};

	return cmocka_run_group_tests(tests, ck_setup, ck_teardown);
}
