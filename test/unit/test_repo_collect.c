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

static struct fake image_of(uint64_t seed)
{
	return (struct fake){
		.size = 3 * EXTENT_SIZE + 1000 + seed % 64 * 4096,
		.seed = seed,
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

/* The first point of this image that there is. */
static struct catalog_hit find_point(const struct catalog *c,
				     const struct fake *f)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].point_count; k++) {
			const struct point *p = &c->sets[i].points[k];

			if (p->images[0].root.size == f->size)
				return (struct catalog_hit){ &c->sets[i], p };
		}
	fail_msg("no point of %llu bytes", (unsigned long long)f->size);
	return (struct catalog_hit){ NULL, NULL };
}

static void forget(struct store *s, const struct fake *f, enum tomb_scope scope)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	struct catalog_hit hit = find_point(&c, f);

	if (tomb_put(r, hit.set, hit.point, scope, &e) < 0)
		fail_msg("%s", e.msg);
}

static size_t compare_one(struct repo *r, const struct set *set,
			  const struct point *p, const struct fake *fakes,
			  size_t count)
{
	const struct image_root *root = &p->images[0].root;
	struct err e = ERR_INIT;
	size_t i = 0;

	while (i < count && fakes[i].size != root->size)
		i++;
	assert_true(i < count);
	if (kit_compare(r, set, root, &fakes[i], &e) < 0)
		fail_msg("%s", e.msg);
	return 1;
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
	for (size_t i = 0; i < c.count; i++)
		for (size_t k = 0; k < c.sets[i].point_count; k++)
			points +=
				compare_one(r, &c.sets[i], &c.sets[i].points[k],
					    fakes, count);
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

/* Images of different sizes, so that a point tells which one it is.  Those
 * with an even number share all but their ends, the others share nothing. */
static void fill(struct store *s, struct fake *fakes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fakes[i] = image_of(i % 2 == 0 ? 77 : 100 + i);
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
	fill(s, fakes, 3);
	uint64_t before = size_of(s, "data/");

	fakes[3] = image_of(200);
	backup(s, &fakes[3]);
	forget(s, &fakes[3], TOMB_POINT);
	assert_int_equal(compare_all(s, fakes, 4), 3);
	struct collect_result r = collect(s);

	/* all that it had alone is gone, and nothing else */
	assert_int_equal(r.points, 1);
	assert_true(r.packs > 0 && r.bytes > 0);
	assert_int_equal(r.waiting_packs, 0);
	assert_int_equal(size_of(s, "data/"), before);
	assert_int_equal(compare_all(s, fakes, 4), 3);
	assert_int_equal(kit_count(s, "tomb/"), 0);
	/* what others have, too, stays */
	forget(s, &fakes[0], TOMB_POINT);
	r = collect(s);
	assert_int_equal(r.points, 1);
	assert_in_range(size_of(s, "data/"), before * 9 / 10, before);
	assert_int_equal(compare_all(s, fakes, 4), 2);
	/* the rest */
	forget(s, &fakes[1], TOMB_POINT);
	forget(s, &fakes[2], TOMB_POINT);
	r = collect(s);
	assert_int_equal(r.points, 2);
	assert_int_equal(kit_count(s, "data/"), 0);
	assert_int_equal(kit_count(s, "meta/"), 0);
	assert_int_equal(kit_count(s, "ring/"), 0);
	collect(s);
	assert_int_equal(compare_all(s, fakes, 4), 0);
}

#define SMALL 12

/* Many small points in one set, and so in the same packs. */
static void fill_small(struct store *s, struct fake *fakes)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	struct kit_backup b = { .images = fakes, .count = SMALL, .workers = 1 };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < SMALL; i++)
		fakes[i] = (struct fake){ .size = (70 + i) * 4096,
					  .seed = 500 + i };
	if (kit_backup(r, &b, &e) < 0)
		fail_msg("%s", e.msg);
	set_fini(&b.set);
}

/* What is left of packs that are mostly dead is copied, as it is. */
static void test_compact(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	struct fake fakes[SMALL];

	(void)state;
	fill_small(s, fakes);
	uint64_t before = size_of(s, "data/");

	for (size_t i = 0; i < SMALL; i++)
		if (i % 4 != 0)
			forget(s, &fakes[i], TOMB_POINT);
	struct collect_result r = collect(s);

	assert_true(r.moved_bytes > 0);
	assert_true(size_of(s, "data/") < before / 2);
	assert_int_equal(compare_all(s, fakes, SMALL), 3);
	assert_int_equal(kit_count(s, "ring/"), 1);
	/* it is known where it is now, and not copied again */
	uint64_t data = size_of(s, "data/");

	backup(s, &fakes[0]);
	assert_int_equal(size_of(s, "data/"), data);
	r = collect(s);
	assert_int_equal(r.moved_bytes, 0);
	/* moved once more, from where it was moved to */
	forget(s, &fakes[4], TOMB_POINT);
	forget(s, &fakes[8], TOMB_POINT);
	r = collect(s);
	assert_true(r.moved_bytes > 0);
	assert_int_equal(compare_all(s, fakes, SMALL), 2);
	/* and gone, with the key that only origins named */
	forget(s, &fakes[0], TOMB_POINT);
	forget(s, &fakes[0], TOMB_POINT);
	collect(s);
	assert_int_equal(kit_count(s, "data/"), 0);
	assert_int_equal(kit_count(s, "ring/"), 0);
}

/* ---- sessions ---------------------------------------------------------------
 */

/* A session that is opened, stores an image, and is not committed. */
static struct intake *leave_open(struct repo *r, const struct fake *f)
{
	const struct intake_options o = { .workers = 1, .claims_max = 20 };
	struct err e = ERR_INIT;
	struct intake *in = intake_open(r, &o, &e);
	struct image_root root;

	assert_non_null(in);
	assert_int_equal(kit_put(in, f, &root, &e), 0);
	return in;
}

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
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	struct fake fakes[3];
	struct err e = ERR_INIT;

	(void)state;
	fill(s, fakes, 2);
	fakes[2] = image_of(300);
	struct intake *in = leave_open(r, &fakes[2]);

	forget(s, &fakes[1], TOMB_POINT);
	assert_int_equal(try_collect(s, 0, &result, &e), 0);
	assert_non_null(result.wait.host);
	assert_int_equal(result.steps, 1);
	assert_true(result.waiting_packs > 0);
	assert_int_equal(result.packs, 0);
	assert_int_equal(commit(in, &fakes[2], &e), 0);
	intake_close(in);
	collect(s);
	assert_int_equal(compare_all(s, fakes, 3), 2);
}

/* One that is silent is ended: its commit fails, what it stored goes. */
static void test_silent(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	struct fake fakes[3];
	struct err e = ERR_INIT;

	(void)state;
	fill(s, fakes, 2);
	uint64_t data = size_of(s, "data/");

	fakes[2] = image_of(300);
	struct intake *in = leave_open(r, &fakes[2]);

	assert_true(size_of(s, "data/") > data);
	struct collect_result result = collect(s);

	assert_int_equal(result.ended, 1);
	assert_int_equal(commit(in, &fakes[2], &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	intake_close(in);
	collect(s);
	collect(s);
	assert_int_equal(size_of(s, "data/"), data);
	assert_int_equal(compare_all(s, fakes, 3), 2);
}

/* Ended, cleaned up altogether, and then it wakes: nothing may count. */
static void test_late_commit(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	struct fake fakes[2] = { image_of(1), image_of(2) };
	struct err e = ERR_INIT;

	(void)state;
	fakes[1].size += 4096;
	backup(s, &fakes[0]);
	struct intake *in = leave_open(r, &fakes[1]);

	for (int i = 0; i < 3; i++) {
		forget(s, &fakes[0], TOMB_POINT);
		backup(s, &fakes[0]);
		collect(s);
	}
	assert_int_equal(commit(in, &fakes[1], &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	intake_close(in);
	/* its outcome, its beat and its late packs go, too */
	forget(s, &fakes[0], TOMB_POINT);
	backup(s, &fakes[0]);
	collect(s);
	collect(s);
	assert_int_equal(compare_all(s, fakes, 2), 1);
	assert_true(kit_count(s, "beat/") <= kit_count(s, "sess/"));
	assert_int_equal(kit_count(s, "points/"), kit_count(s, "sess/"));
}

/* A sibling of the same generation is leaned on; then it is ended. */
static void test_sibling(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	struct fake fakes[2] = { image_of(1), image_of(2) };

	(void)state;
	fakes[1].size += 4096;
	struct intake *in = leave_open(r, &fakes[1]);
	uint64_t data = size_of(s, "data/");

	backup(s, &fakes[0]);
	backup(s, &fakes[1]);
	assert_true(size_of(s, "data/") > data);
	collect(s);
	assert_int_equal(compare_all(s, fakes, 2), 2);
	intake_close(in);
	collect(s);
	backup(s, &fakes[0]);
	collect(s);
	assert_int_equal(compare_all(s, fakes, 2), 3);
}

/* Committed after the next generation has condemned what it found. */
static void test_rescue(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	struct fake f = image_of(1);
	struct fake more = image_of(2);
	struct err e = ERR_INIT;

	(void)state;
	more.size += 4096;
	backup(s, &f);
	backup(s, &more);
	collect(s);
	struct intake *in = leave_open(r, &f);

	forget(s, &f, TOMB_POINT);
	assert_int_equal(try_collect(s, 0, &result, &e), 0);
	assert_non_null(result.wait.host);
	assert_true(result.waiting_packs > 0);
	assert_int_equal(commit(in, &f, &e), 0);
	intake_close(in);
	compare_all(s, (const struct fake[]){ f, more }, 2);
	collect(s);
	collect(s);
	assert_int_equal(compare_all(s, (const struct fake[]){ f, more }, 2),
			 2);
}

/* ---- several collectors -----------------------------------------------------
 */

/* Two, step by step in turn, with sessions between: what one has made the
 * other goes on with. */
static void test_two(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&kit);
	AUTO(repo_close_at) struct repo *ra = kit_open(&kit, s);
	AUTO(repo_close_at) struct repo *rb = kit_open(&kit, s);
	const struct collect_options o = { .silent_ns = 1, .talk = &talk };
	AUTO(collect_result_fini) struct collect_result r = { 0 };
	struct fake fakes[4];
	struct err e = ERR_INIT;
	AUTO(collect_free_at) struct collect *a = collect_new(ra, &o, &e);
	AUTO(collect_free_at) struct collect *b = collect_new(rb, &o, &e);

	(void)state;
	fill(s, fakes, 4);
	forget(s, &fakes[1], TOMB_POINT);
	for (int i = 0; i < 12; i++) {
		enum collect_state st;

		if (collect_step(i % 2 == 0 ? a : b, &r, &st, &e) < 0)
			fail_msg("%s", e.msg);
		if (i == 3)
			backup(s, &fakes[1]);
		if (i == 6)
			forget(s, &fakes[0], TOMB_POINT);
	}
	assert_int_equal(compare_all(s, fakes, 4), 3);
}

/* ---- failing calls ----------------------------------------------------------
 */

#define SHARED 3

/* A repository where a collection has everything to do: an index of one
 * generation, points forgotten since, packs to be compacted, a session that
 * has died, and siblings. */
static struct store *busy_store(struct fake *fakes)
{
	struct store *s = kit_create_mem(&kit);
	struct fake dead = image_of(900);

	fill_small(s, fakes);
	collect(s);
	for (size_t i = 0; i < SMALL; i++)
		if (i % 4 != 0)
			forget(s, &fakes[i], TOMB_POINT);
	for (size_t i = 0; i < SHARED; i++) {
		fakes[SMALL + i] = (struct fake){ .size = (200 + i) * 4096,
						  .seed = i == 1 ? 700 : 701 };
		backup(s, &fakes[SMALL + i]);
	}
	forget(s, &fakes[SMALL], TOMB_POINT);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);

	dead.size = 300 * 4096;
	intake_close(leave_open(r, &dead));
	return s;
}

/* One collection on a store that fails once; true when it was not hit. */
static bool failing_collect(struct store *s,
			    const struct store_fault_plan *plan)
{
	struct err e = ERR_INIT;
	struct store *f = store_fault_new(store_mem_share(s), plan);
	AUTO(repo_close_at) struct repo *r = kit_try_open(&kit, f, NULL, &e);
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

	collect(calm);
	uint64_t packs = kit_count(calm, "data/");

	for (n = 1; !done; n += step) {
		const struct store_fault_plan plan = { .fail_at = n,
						       .kind = kind };
		AUTO(store_close_at) struct store *s = kit_clone(before);

		done = failing_collect(s, &plan);
		assert_int_equal(compare_all(s, fakes, SMALL + SHARED), 5);
		collect(s);
		assert_int_equal(compare_all(s, fakes, SMALL + SHARED), 5);
		collect(s);
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
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_compact),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_late_commit),
		cmocka_unit_test(test_sibling),
		cmocka_unit_test(test_rescue),
		cmocka_unit_test(test_two),
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_forgotten_answer),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_flip),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
