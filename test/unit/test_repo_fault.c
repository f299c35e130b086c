/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo_kit.h"

/*
 * Call 1, 2, 3... of a whole backup fails, in every way there is, until one
 * backup is not hit any more.  After each, whoever opens the repository anew
 * finds nothing damaged, every earlier point whole, and the new set either
 * whole or not there at all.
 */

static struct kit kit;
static struct store *before; /* a repository with one set */

static const struct fake earlier = {
	.size = 2 * EXTENT_SIZE + 4321,
	.seed = 5,
	.zero_percent = 80,
	.seed2 = 6,
};

static struct fake later(void)
{
	struct fake f = earlier;

	f.size += 2 * EXTENT_SIZE;
	f.changed_permille = 100;
	return f;
}

static int setup(void **state)
{
	(void)state;
	kit_init(&kit);
	before = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, before);

	kit_backup_one(r, &earlier, NULL);
	repo_close(r);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(before);
	kit_fini(&kit);
	return 0;
}

/* The whole job on a store that fails once. */
static int job(struct store *inner, const struct store_fault_plan *plan,
	       uint64_t *calls, struct err *e)
{
	struct store *s = store_fault_new(store_mem_share(inner), plan);
	AUTO(repo_close_at) struct repo *r = kit_try_open(&kit, s, NULL, e);
	const struct fake images[2] = { later(), later() };
	struct kit_backup b = {
		.images = images, .count = 2, .workers = 2, .claims_max = 60
	};

	if (r == NULL) {
		*calls = plan->fail_at; /* the store is closed already */
		return -1;
	}
	int done = kit_backup(r, &b, e);

	*calls = store_fault_calls(s);
	if (done == 0)
		set_fini(&b.set);
	return done;
}

/* All sets restore; returns how many there are. */
static size_t check_sets(struct store *s, const struct catalog *c)
{
	const struct fake next = later();
	struct err e = ERR_INIT;

	for (size_t i = 0; i < c->count; i++) {
		const struct set *set = &c->sets[i];
		AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);

		for (size_t k = 0; k < set->point_count; k++)
			if (kit_compare(r, set, &set->points[k].images[0].root,
					set->point_count == 1 ? &earlier
							      : &next,
					&e) < 0)
				fail_msg("set %zu, point %zu: %s", i, k, e.msg);
	}
	return c->count;
}

/*
 * What the world looks like after a failure.  torn: one object may have been
 * left in halves, against the store's promise, the commit itself even; then
 * it is said, and nothing else is wrong.
 */
static size_t check_after(struct store *s, bool torn)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_true(c.damaged_count <= (torn ? 1 : 0));
	size_t damages = kit_damages(&kit, s, false);

	if (damages < c.damaged_count || damages > (torn ? 1 : 0)) {
		kit_damages(&kit, s, true);
		fail_msg("verify finds damage");
	}
	return check_sets(s, &c);
}

static void fail_each_call(enum store_fault_kind kind)
{
	bool done = false;

	for (uint64_t n = 1; !done; n++) {
		const struct store_fault_plan plan = { .fail_at = n,
						       .kind = kind };
		struct store *s = kit_clone(before);
		struct err e = ERR_INIT;
		uint64_t calls;

		alarm(300); /* instead of hanging */
		int ok = job(s, &plan, &calls, &e);
		size_t sets = check_after(s, kind == FAULT_TEAR);

		if (ok == 0)
			assert_int_equal(sets, 2);
		else
			assert_int_not_equal(e.code, ERR_NONE);
		if (ok < 0 && kind == FAULT_FAIL)
			assert_int_equal(sets, 1);
		done = ok == 0 && calls < n;
		assert_true(n < 1000);
		store_close(s);
		if (done)
			print_message("# %llu calls\n", (unsigned long long)n);
	}
	alarm(0);
}

static void test_fail(void **state)
{
	(void)state;
	fail_each_call(FAULT_FAIL);
}

static void test_forget(void **state)
{
	(void)state;
	fail_each_call(FAULT_FORGET);
}

static void test_dead(void **state)
{
	(void)state;
	fail_each_call(FAULT_DEAD);
}

static void test_tear(void **state)
{
	(void)state;
	fail_each_call(FAULT_TEAR);
}

/* A bit that flips on the way in is found by whoever reads it; a backup may
 * succeed or fail, but leaves no damage. */
static void test_flip(void **state)
{
	(void)state;
	fail_each_call(FAULT_FLIP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_tear),
	};
	/* meson takes cmocka's "skipped" for a failure */
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_fail), cmocka_unit_test(test_forget),
		cmocka_unit_test(test_dead), cmocka_unit_test(test_tear),
		cmocka_unit_test(test_flip),
	};

	if (kit_long())
		return cmocka_run_group_tests(all, setup, teardown);
	return cmocka_run_group_tests(tests, setup, teardown);
}
