/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/collect.h"
#include "repo/generation.h"
#include "repo_kit.h"

/* A part of the index is damaged: what is backed up then can be read. */

/* The second image is the first one with a few changes: its nodes are in later
 * segments, and lead to chunks in the earlier ones. */
static const struct fake images[2] = {
	{ .size = 8 * EXTENT_SIZE, .seed = 5 },
	{ .size = 8 * EXTENT_SIZE,
	  .seed = 5,
	  .changed_permille = 2,
	  .seed2 = 6 },
};

static struct kit kit;
static struct store *mem;

static int setup(void **state)
{
	(void)state;
	kit_init(&kit);
	mem = kit_create_mem(&kit);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(mem);
	kit_fini(&kit);
	return 0;
}

/* The only session's first segment. */
static void damage_first(void)
{
	AUTO(kit_names_fini) struct kit_names names = { .names = NULL };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	const char *first = NULL;

	kit_list(mem, "idx/", &names);
	assert_true(names.count > 2);
	for (size_t i = 0; i < names.count; i++)
		if (strcmp(strrchr(names.names[i], '-'), "-0") == 0)
			first = names.names[i];
	assert_non_null(first);
	kit_load(mem, first, &b);
	b.p[b.len / 2] ^= 1;
	kit_store(mem, first, &b);
}

/* Backs the second image up, and reads it from the store alone. */
static void back_up(void)
{
	AUTO(repo_close_at) struct repo *writer = kit_open(&kit, mem);
	AUTO(repo_close_at) struct repo *reader = kit_open(&kit, mem);
	struct kit_backup b = { .images = &images[1],
				.count = 1,
				.workers = 1 };
	struct err e = ERR_INIT;

	if (kit_backup(writer, &b, &e) < 0 ||
	    kit_compare(reader, &b.set, &b.set.points[0].images[0].root,
			&images[1], &e) < 0)
		fail_msg("%s", e.msg);
	/* what was not lost is not stored again */
	assert_true(b.stats.new_bytes < images[1].size / 2);
	set_fini(&b.set);
}

static void test_sibling(void **state)
{
	const struct intake_options o = { .workers = 1, .claims_max = 8 };
	const struct collect_options collect = { .silent_ns = 1 };
	struct collect_result result = { 0 };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, mem);
	struct image_root root;
	struct err e = ERR_INIT;
	struct intake *in = intake_open(r, &o, &e);

	(void)state;
	assert_non_null(in);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kit_put(in, &images[i], &root, &e), 0);
	damage_first();
	AUTO(repo_close_at) struct repo *writer = kit_open(&kit, mem);
	AUTO(repo_close_at) struct repo *reader = kit_open(&kit, mem);
	struct kit_backup b = { .images = &images[1],
				.count = 1,
				.workers = 1 };

	if (kit_backup(writer, &b, &e) < 0 ||
	    kit_compare(reader, &b.set, &b.set.points[0].images[0].root,
			&images[1], &e) < 0)
		fail_msg("%s", e.msg);
	set_fini(&b.set);
	intake_close(in);

	/* and nothing stands in the collector's way */
	AUTO(repo_close_at) struct repo *keeper = kit_open(&kit, mem);

	if (collect_run(keeper, &collect, &result, &e) < 0)
		fail_msg("%s", e.msg);
	collect_result_fini(&result);
}

static void test_listed(void **state)
{
	AUTO(kit_names_fini) struct kit_names names = { .names = NULL };
	AUTO(generation_fini) struct generation g = { .number = 1 };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, mem);
	struct kit_backup b = {
		.images = images, .count = 2, .workers = 1, .claims_max = 8
	};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(kit_backup(r, &b, &e), 0);
	set_fini(&b.set);
	kit_list(mem, "idx/", &names);
	for (size_t i = 0; i < names.count; i++)
		generation_add_segment(&g, names.names[i], false);
	assert_int_equal(generation_put(r->store, r->keys, &g, &e), 0);
	damage_first();
	back_up();
	/* and once more, with what was stored again in a sibling's */
	back_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sibling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
