/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/collect.h"
#include "repo/generation.h"
#include "repo/session.h"
#include "repo/tomb.h"
#include "repo_kit.h"

static struct kit kit;

static int setup(void **state)
{
	(void)state;
	kit_init(&kit);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_fini(&kit);
	return 0;
}

/* ---- what the tests do ----------------------------------------------------
 */

static void say(void *ctx, enum talk_level level, const char *text)
{
	(void)ctx;
	if (level == TALK_WARN)
		print_message("# %s\n", text);
}

static const struct talk talk = { .say = say };

static struct fake image_of(uint64_t seed, unsigned permille)
{
	return (struct fake){
		.size = 3 * EXTENT_SIZE + 1000,
		.seed = 77,
		.seed2 = seed,
		.changed_permille = permille,
		.zero_percent = 30,
	};
}

static void backup(struct store *s, const struct fake *f)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);

	kit_backup_one(r, f, NULL);
}

static int try_collect(struct store *s, int64_t silent_ns,
		       struct collect_result *result, struct err *e)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	const struct collect_options o = { .silent_ns = silent_ns,
					   .talk = &talk };

	return collect_run(r, &o, result, e);
}

static struct collect_result collect(struct store *s)
{
	struct collect_result result;
	struct err e = ERR_INIT;

	if (try_collect(s, 1, &result, &e) < 0)
		fail_msg("%s", e.msg);
	assert_null(result.wait.host);
	return result;
}

/* Forget the first point of this image. */
static void forget(struct store *s, const struct fake *f, enum tomb_scope scope)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	size_t i = 0;

	while (i < c.count &&
	       c.sets[i].points[0].images[0].root.size != f->size)
		i++;
	assert_true(i < c.count);
	if (tomb_put(r, &c.sets[i], &c.sets[i].points[0], scope, &e) < 0)
		fail_msg("%s", e.msg);
}

/* All points that there are, each as the one of these with its seed. */
static size_t compare_all(struct store *s, const struct fake *fakes,
			  size_t count)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;
	size_t points = 0;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.damaged_count, 0);
	for (size_t i = 0; i < c.count; i++) {
		const struct image_root *root =
			&c.sets[i].points[0].images[0].root;

		for (size_t k = 0; k < count; k++) {
			if (fakes[k].size != root->size)
				continue;
			if (kit_compare(r, &c.sets[i], root, &fakes[k], &e) < 0)
				fail_msg("%s", e.msg);
			points++;
		}
	}
	assert_int_equal(points, c.count);
	kit_verify_clean(&kit, s);
	return points;
}

static uint64_t newest(struct store *s)
{
	struct err e = ERR_INIT;
	uint64_t n;

	assert_int_equal(generation_newest(s, &n, &e), 0);
	return n;
}

static int add_size(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	(void)name;
	(void)e;
	*(uint64_t *)ctx += st->size;
	return 0;
}

static uint64_t size_of(struct store *s, const char *prefix)
{
	struct err e = ERR_INIT;
	uint64_t sum = 0;

	assert_int_equal(store_list(s, prefix, add_size, &sum, &e), 0);
	return sum;
}

/* ---- tests ------------------------------------------------------------------
 */

/* Images of different sizes, so that a point tells which one it is. */
static void fill(struct store *s, struct fake *fakes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fakes[i] = image_of(i + 1, i == 0 ? 0 : 300);
		fakes[i].size += i * 4096;
		backup(s, &fakes[i]);
	}
}

static void test_nothing(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);

	(void)state;
	struct collect_result r = collect(s);

	assert_int_equal(r.steps, 0);
	assert_int_equal(r.generation, 0);
	assert_int_equal(newest(s), 0);
}

static void test_index(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	struct fake fakes[3];

	(void)state;
	fill(s, fakes, 3);
	uint64_t before = size_of(s, "data/");
	struct collect_result r = collect(s);

	assert_true(r.steps >= 1);
	assert_int_equal(r.packs, 0);
	assert_int_equal(r.generation, newest(s));
	assert_int_equal(size_of(s, "data/"), before);
	assert_int_equal(compare_all(s, fakes, 3), 3);
	/* a second one has nothing to do */
	r = collect(s);
	assert_int_equal(r.steps, 0);
	/* and what is indexed is known */
	uint64_t data = size_of(s, "data/");

	backup(s, &fakes[1]);
	assert_int_equal(size_of(s, "data/"), data);
	assert_int_equal(compare_all(s, fakes, 3), 4);
}

static void test_forget(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	struct fake fakes[4];

	(void)state;
	fill(s, fakes, 4);
	uint64_t before = size_of(s, "data/");

	forget(s, &fakes[1], TOMB_POINT);
	assert_int_equal(compare_all(s, fakes, 4), 3);
	struct collect_result r = collect(s);

	assert_int_equal(r.points, 1);
	assert_true(r.packs > 0 && r.bytes > 0);
	assert_int_equal(r.waiting_packs, 0);
	assert_true(size_of(s, "data/") < before);
	assert_int_equal(compare_all(s, fakes, 4), 3);
	assert_int_equal(kit_count(s, "tomb/"), 0);
	assert_int_equal(kit_count(s, "points/") - kit_count(s, "sess/"), 0);
	/* the rest */
	forget(s, &fakes[0], TOMB_POINT);
	forget(s, &fakes[2], TOMB_POINT);
	forget(s, &fakes[3], TOMB_POINT);
	r = collect(s);
	assert_int_equal(r.points, 3);
	assert_int_equal(kit_count(s, "data/"), 0);
	assert_int_equal(kit_count(s, "meta/"), 0);
	assert_int_equal(kit_count(s, "ring/"), 0);
	collect(s);
	assert_int_equal(compare_all(s, fakes, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_forget),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
