/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/stats.h"
#include "repo_kit.h"

static struct kit kit, own_kit;
static struct store *store;

/* The second shares most with the first, the third nothing. */
static const struct fake images[3] = {
	{ .size = 3 * EXTENT_SIZE, .seed = 1, .zero_percent = 20 },
	{ .size = 3 * EXTENT_SIZE,
	  .seed = 1,
	  .zero_percent = 20,
	  .changed_permille = 100,
	  .seed2 = 9 },
	{ .size = EXTENT_SIZE + 4096, .seed = 3 },
};

static int setup(void **state)
{
	struct kit_backup b = { .images = images, .count = 3, .workers = 1 };
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	kit_init(&own_kit);
	store = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, store);

	assert_int_equal(kit_backup(r, &b, &e), 0);
	set_fini(&b.set);
	repo_close(r);
	/* vm0 once more, unchanged */
	r = kit_open(&kit, store);
	kit_backup_one(r, &images[0], NULL);
	repo_close(r);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	kit_fini(&kit);
	kit_fini(&own_kit);
	return 0;
}

static void stats_of(struct repo *r, const struct catalog *c,
		     struct stats_result *result)
{
	const struct stats_options o = { .talk = &talk_none };
	struct err e = ERR_INIT;

	if (stats_run(r, c, &o, result, &e) < 0)
		fail_msg("%s", e.msg);
}

static uint64_t data_of(const struct fake *f)
{
	static uint8_t room[EXTENT_SIZE];
	uint64_t bytes = 0;

	for (uint64_t i = 0; i * EXTENT_SIZE < f->size; i++) {
		fake_extent(f, i, room);
		for (size_t at = 0; at < EXTENT_SIZE; at += PAGE_SIZE_BYTES)
			bytes += bytes_zero(room + at, PAGE_SIZE_BYTES)
					 ? 0
					 : PAGE_SIZE_BYTES;
	}
	return bytes;
}

/* What is said of images follows from their pages. */
static void test_sizes(void **state)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, store);
	AUTO(catalog_fini) struct catalog c;
	AUTO(stats_result_fini) struct stats_result s;
	struct err e = ERR_INIT;
	uint64_t data = 0;

	(void)state;
	assert_int_equal(catalog_load(r, &c, &e), 0);
	stats_of(r, &c, &s);
	assert_int_equal(s.point_count, 4);
	assert_int_equal(s.name_count, 3);
	for (size_t i = 0; i < s.point_count; i++) {
		const struct fake *f =
			&images[s.points[i].point->name[2] - '0'];

		assert_int_equal(s.points[i].size, f->size);
		assert_int_equal(s.points[i].data, data_of(f));
		data += s.points[i].data;
	}
	assert_int_equal(s.data, data);
	assert_int_equal(s.lost, 0);
	/* vm0 twice, and most of vm1 */
	assert_true(s.unique < data - data_of(&images[0]));
	assert_true(s.unique > data_of(&images[0]) + data_of(&images[2]));
	assert_true(s.stored < s.unique); /* half of a page repeats */
	assert_true(s.stored <= s.pack_bytes && s.pack_bytes < s.bytes);
	assert_string_equal(s.names[0].name, "vm0");
	assert_int_equal(s.names[0].points, 2);
}

/* A set that has the point, and its number there. */
static struct set *set_of(struct catalog *c, const struct point *p, size_t *at)
{
	for (size_t i = 0; i < c->count; i++)
		for (*at = 0; *at < c->sets[i].point_count; ++*at)
			if (&c->sets[i].points[*at] == p)
				return &c->sets[i];
	fail();
	return &c->sets[0];
}

/* With the last one of its set. */
static void swap_last(struct set *s, size_t at)
{
	struct point p = s->points[at];

	s->points[at] = s->points[s->point_count - 1];
	s->points[s->point_count - 1] = p;
}

/* What a point frees is what is stored less when it is not there. */
static void test_frees(void **state)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, store);
	AUTO(catalog_fini) struct catalog c;
	AUTO(stats_result_fini) struct stats_result all;
	struct err e = ERR_INIT;
	unsigned some = 0;

	(void)state;
	assert_int_equal(catalog_load(r, &c, &e), 0);
	stats_of(r, &c, &all);
	for (size_t i = 0; i < all.point_count; i++) {
		AUTO(stats_result_fini) struct stats_result rest;
		uint64_t frees = all.points[i].frees;
		size_t at = 0;
		struct set *from = set_of(&c, all.points[i].point, &at);

		swap_last(from, at);
		from->point_count--;
		stats_of(r, &c, &rest);
		from->point_count++;
		swap_last(from, at);
		/* whole packs go with header, footer and trailer */
		uint64_t less = all.stored - rest.stored;

		assert_true(frees >= less && frees <= less + (64u << 10));
		some += frees > 0;
	}
	/* of vm0 both points have the same: neither frees anything alone */
	assert_true(some >= 2);
}

/* Two points of one name that are the same: neither frees anything, both
 * together all. */
static void test_name(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&own_kit);
	AUTO(catalog_fini) struct catalog c;
	AUTO(stats_result_fini) struct stats_result result;
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct repo *r = kit_open(&own_kit, s);

		kit_backup_one(r, &images[0], NULL);
		repo_close(r);
	}
	AUTO(repo_close_at) struct repo *r = kit_open(&own_kit, s);

	assert_int_equal(catalog_load(r, &c, &e), 0);
	stats_of(r, &c, &result);
	assert_int_equal(result.point_count, 2);
	assert_int_equal(result.points[0].frees, 0);
	assert_int_equal(result.points[1].frees, 0);
	assert_int_equal(result.names[0].points, 2);
	assert_int_equal(result.names[0].frees, result.pack_bytes);
	assert_int_equal(result.unique, data_of(&images[0]));
}

/* A lost pack is counted, and the rest is told. */
static void test_damaged(void **state)
{
	AUTO(kit_names_fini) struct kit_names packs;
	AUTO(store_close_at) struct store *s = kit_clone(store);
	AUTO(catalog_fini) struct catalog c;
	AUTO(stats_result_fini) struct stats_result result;
	struct err e = ERR_INIT;

	(void)state;
	kit_list(s, "data/", &packs);
	assert_int_equal(store_del(s, packs.names[0], &e), 0);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);

	assert_int_equal(catalog_load(r, &c, &e), 0);
	stats_of(r, &c, &result);
	assert_true(result.lost > 0);
	assert_true(result.unique > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_frees),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
