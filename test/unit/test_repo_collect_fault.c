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

/* A collection on a store that fails, in every way, at every call. */

/* ---- failing calls ----------------------------------------------------------
 */

#define SHARED 3

/* A repository where a collection has everything to do: an index of one
 * generation, points forgotten since, packs to be compacted, a session that
 * has died, and siblings. */
static struct store *busy_store(struct fake *fakes)
{
	struct store *s = kit_create_mem(&ck_kit);
	struct fake dead = ck_image_of(900);

	ck_fill_small(s, fakes);
	ck_collect(s);
	for (size_t i = 0; i < SMALL; i++)
		if (i % 4 != 0)
			ck_forget(s, &fakes[i], TOMB_POINT);
	for (size_t i = 0; i < SHARED; i++) {
		fakes[SMALL + i] = (struct fake){ .size = (200 + i) * 4096,
						  .seed = i == 1 ? 700 : 701 };
		ck_backup(s, &fakes[SMALL + i]);
	}
	ck_forget(s, &fakes[SMALL], TOMB_POINT);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);

	dead.size = 300 * 4096;
	intake_close(ck_leave_open(r, &dead));
	return s;
}

/* One collection on a store that fails once; true when it was not hit. */
static bool failing_collect(struct store *s,
			    const struct store_fault_plan *plan)
{
	struct err e = ERR_INIT;
	struct store *f = store_fault_new(store_mem_share(s), plan);
	AUTO(repo_close_at) struct repo *r = kit_try_open(&ck_kit, f, NULL, &e);
	const struct collect_options o = { .silent_ns = 1 };
	AUTO(collect_result_fini) struct collect_result result = { 0 };

	if (r == NULL)
		return false;
	int ok = collect_run(r, &o, &result, &e);

	if (ok < 0)
		assert_int_not_equal(e.code, ERR_NONE);
	return ok == 0 && store_fault_calls(f) < plan->fail_at;
}

/* Whatever went wrong, all points are whole; and the next collection comes to
 * the same end as one that was never disturbed. */
static void fail_each_call(enum store_fault_kind kind, unsigned step)
{
	struct fake fakes[SMALL + SHARED];
	AUTO(store_close_at) struct store *before = busy_store(fakes);
	AUTO(store_close_at) struct store *calm = kit_clone(before);
	bool done = false;
	uint64_t n;

	ck_collect(calm);
	uint64_t packs = kit_count(calm, "data/");

	for (n = 1; !done; n += step) {
		const struct store_fault_plan plan = { .fail_at = n,
						       .kind = kind };
		AUTO(store_close_at) struct store *s = kit_clone(before);

		done = failing_collect(s, &plan);
		assert_int_equal(ck_compare_all(s, fakes, SMALL + SHARED), 5);
		ck_collect(s);
		assert_int_equal(ck_compare_all(s, fakes, SMALL + SHARED), 5);
		ck_collect(s);
		/* what was in doubt at one time may have been copied then */
		assert_in_range(kit_count(s, "data/"), packs,
				packs + (kind == FAULT_FLIP));
		assert_int_equal(kit_count(s, "tomb/"), 9);
		assert_true(n < 4000);
	}
	print_message("# %llu calls\n", (unsigned long long)n);
}

static void test_fail(void **state)
{
	(void)state;
	fail_each_call(FAULT_FAIL, kit_long() ? 1 : 7);
}

static void test_forgotten_answer(void **state)
{
	(void)state;
	fail_each_call(FAULT_FORGET, kit_long() ? 1 : 11);
}

static void test_dead(void **state)
{
	(void)state;
	fail_each_call(FAULT_DEAD, kit_long() ? 1 : 7);
}

/* A bit that flips on the way in: what it makes doubtful is kept. */
static void test_flip(void **state)
{
	(void)state;
	fail_each_call(FAULT_FLIP, kit_long() ? 1 : 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_forgotten_answer),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_flip),
	};

	return cmocka_run_group_tests(tests, ck_setup, ck_teardown);
}
