/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/collect.h"
#include "repo/index_rebuild.h"
#include "repo/tomb.h"
#include "repo_kit.h"

/* Index segments that are gone come back from the footers of packs. */

static struct kit kit;
static struct store *whole;

static const struct fake fake = { .size = 8 * EXTENT_SIZE + 1000,
				  .seed = 5,
				  .zero_percent = 30 };

/* The image of backup i; its size tells which it is. */
static struct fake fake_of(uint64_t i)
{
	struct fake f = fake;

	f.size += i;
	f.changed_permille = (unsigned)i * 400;
	f.seed2 = 9;
	return f;
}

/* Two sets; the second leans on the first, and each has several segments. */
static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	whole = kit_create_mem(&kit);
	for (unsigned i = 0; i < 2; i++) {
		struct repo *r = kit_open(&kit, whole);
		struct fake f = fake_of(i);
		struct kit_backup b = { .images = &f,
					.count = 1,
					.workers = 1,
					.claims_max = 200 };

		if (kit_backup(r, &b, &e) < 0)
			fail_msg("%s", e.msg);
		set_fini(&b.set);
		repo_close(r);
	}
	assert_true(kit_count(whole, "idx/") >= 4);
	kit_verify_clean(&kit, whole);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(whole);
	kit_fini(&kit);
	return 0;
}

static void rebuild_sets(struct store *s, struct index_rebuilt *out)
{
	struct repo *r = kit_open(&kit, s);
	struct catalog c;
	struct err e = ERR_INIT;

	memset(out, 0, sizeof(*out));
	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.count, 2);
	for (size_t i = 0; i < c.count; i++)
		if (index_rebuild_set(r, &c.sets[i], out, &e) < 0)
			fail_msg("%s", e.msg);
	unsigned own = out->segments;

	for (size_t i = 0; i < c.count; i++)
		if (index_rebuild_leans(r, &c.sets[i], out, &e) < 0)
			fail_msg("%s", e.msg);
	assert_int_equal(out->segments, own);
	catalog_fini(&c);
	repo_close(r);
}

static unsigned read_sets(struct store *s)
{
	struct repo *r = kit_open(&kit, s);
	struct catalog c;
	struct err e = ERR_INIT;
	unsigned good = 0;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	for (size_t i = 0; i < c.count; i++) {
		const struct image_root *root =
			&c.sets[i].points[0].images[0].root;
		struct fake f = fake_of(root->size - fake.size);

		err_clear(&e);
		good += kit_compare(r, &c.sets[i], root, &f, &e) == 0;
	}
	catalog_fini(&c);
	repo_close(r);
	return good;
}

static void remove_all(struct store *s, size_t but)
{
	struct kit_names n = { .names = NULL };
	struct err e = ERR_INIT;

	kit_list(s, "idx/", &n);
	for (size_t i = 0; i < n.count; i++)
		if (i != but)
			assert_int_equal(store_del(s, n.names[i], &e), 0);
	kit_names_fini(&n);
}

static void test_nothing_lost(void **state)
{
	struct store *s = kit_clone(whole);
	struct index_rebuilt out;

	(void)state;
	rebuild_sets(s, &out);
	assert_int_equal(out.segments, 0);
	store_close(s);
}

/* A backup after it is what it would have been: all is known. */
static void must_know_all(struct store *s)
{
	struct repo *r = kit_open(&kit, s);
	struct intake_stats st;

	kit_backup_one(r, &fake, &st);
	assert_int_equal(st.new_chunks, 0);
	repo_close(r);
}

static void test_all_lost(void **state)
{
	struct store *s = kit_clone(whole);
	struct index_rebuilt out;
	size_t segments = kit_count(s, "idx/");

	(void)state;
	remove_all(s, SIZE_MAX);
	assert_int_equal(read_sets(s), 0);
	rebuild_sets(s, &out);
	assert_int_equal(out.segments, segments);
	assert_int_equal(out.unread, 0);
	assert_int_equal(kit_count(s, "idx/"), segments);
	assert_int_equal(read_sets(s), 2);
	kit_verify_clean(&kit, s);
	must_know_all(s);
	store_close(s);
}

/* One of them is whole: what it names is not named twice. */
static void test_one_left(void **state)
{
	(void)state;
	for (size_t left = 0; left < 4; left++) {
		struct store *s = kit_clone(whole);
		struct index_rebuilt out;
		size_t packs = kit_count(s, "data/") + kit_count(s, "meta/");

		remove_all(s, left);
		rebuild_sets(s, &out);
		assert_int_equal(out.segments, kit_count(s, "idx/") - 1);
		assert_true(out.packs < packs);
		assert_int_equal(read_sets(s), 2);
		kit_verify_clean(&kit, s);
		store_close(s);
	}
}

static void test_damaged(void **state)
{
	struct store *s = kit_clone(whole);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct kit_names n = { .names = NULL };
	struct index_rebuilt out;

	(void)state;
	kit_list(s, "idx/", &n);
	kit_load(s, n.names[0], &b);
	b.p[b.len / 2] ^= 4;
	kit_store(s, n.names[0], &b);
	rebuild_sets(s, &out);
	assert_int_equal(out.segments, 1);
	kit_verify_clean(&kit, s);
	kit_names_fini(&n);
	store_close(s);
}

/* A pack that is gone or damaged as well does not stop it. */
static void test_pack_damaged(void **state)
{
	struct store *s = kit_clone(whole);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct kit_names n = { .names = NULL };
	struct index_rebuilt out;

	(void)state;
	kit_list(s, "data/", &n);
	kit_load(s, n.names[0], &b);
	b.p[b.len - 60] ^= 4; /* the footer */
	kit_store(s, n.names[0], &b);
	remove_all(s, SIZE_MAX);
	rebuild_sets(s, &out);
	assert_int_equal(out.unread, 1);
	assert_true(out.segments > 0);
	assert_true(kit_damages(&kit, s, false) > 0);
	kit_names_fini(&n);
	store_close(s);
}

/* Of everything: readers find all again, writers rely on nothing of it. */
static void test_for_readers(void **state)
{
	struct store *s = kit_clone(whole);
	struct repo *r = kit_open(&kit, s);
	struct index_rebuilt out = { 0 };
	struct intake_stats st;
	struct err e = ERR_INIT;

	(void)state;
	remove_all(s, SIZE_MAX);
	if (index_rebuild_all(r, "here", &out, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(out.segments, 1);
	assert_int_equal(out.packs,
			 kit_count(s, "data/") + kit_count(s, "meta/"));
	repo_close(r);
	assert_int_equal(read_sets(s), 2);
	r = kit_open(&kit, s);
	kit_backup_one(r, &fake, &st);
	assert_int_equal(st.new_chunks, st.chunks);
	repo_close(r);
	store_close(s);
}

static void collect(struct store *s)
{
	const struct collect_options o = { .silent_ns = 1 };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(collect_result_fini) struct collect_result done = { 0 };
	struct err e = ERR_INIT;

	if (collect_run(r, &o, &done, &e) < 0)
		fail_msg("%s", e.msg);
}

/* One generation only. */
static void step(struct store *s)
{
	const struct collect_options o = { .silent_ns = 1 };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(collect_result_fini) struct collect_result done = { 0 };
	AUTO(collect_free_at) struct collect *c;
	enum collect_state state;
	struct err e = ERR_INIT;

	c = collect_new(r, &o, &e);
	assert_non_null(c);
	if (collect_step(c, &done, &state, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(done.steps, 1);
}

/* Sets of the generation before: a collector still wants what they name. */
static void test_generation_before(void **state)
{
	struct store *s = kit_clone(whole);
	AUTO(kit_names_fini) struct kit_names own;
	struct index_rebuilt out;
	struct err e = ERR_INIT;

	(void)state;
	kit_list(s, "idx/", &own);
	step(s);
	for (size_t i = 0; i < own.count; i++)
		assert_int_equal(store_del(s, own.names[i], &e), 0);
	assert_true(kit_damages(&kit, s, false) > 0);
	rebuild_sets(s, &out);
	assert_int_equal(out.segments, own.count);
	kit_verify_clean(&kit, s);
	collect(s);
	kit_verify_clean(&kit, s);
	assert_int_equal(read_sets(s), 2);
	store_close(s);
}

/* How many segments of other sessions the set names. */
static size_t count_others(const struct set *set)
{
	char name[SEGMENT_NAME];
	size_t others = 0;

	segment_name(&set->session, 0, name);
	for (size_t i = 0; i < set->segment_count; i++)
		others +=
			strncmp(set->segments[i], name, strlen(name) - 1) != 0;
	return others;
}

/* A set leans on a session that has no point of its own any more. */
static void test_leaned(void **state)
{
	struct store *s = kit_clone(whole);
	struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct index_rebuilt out = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(catalog_load(r, &c, &e), 0);
	size_t second = count_others(&c.sets[1]) > 0 ? 1 : 0;
	const struct set *first = &c.sets[1 - second];
	const struct set *set = &c.sets[second];

	assert_true(count_others(set) > 0 && count_others(first) == 0);
	assert_int_equal(tomb_put(r, first, &first->points[0], TOMB_POINT, &e),
			 0);
	remove_all(s, SIZE_MAX);
	if (index_rebuild_set(r, set, &out, &e) < 0 ||
	    index_rebuild_leans(r, set, &out, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(out.segments, set->segment_count);
	repo_close(r);
	assert_int_equal(read_sets(s), 1);
	for (unsigned i = 0; i < 3; i++) {
		collect(s);
		kit_verify_clean(&kit, s);
		assert_int_equal(read_sets(s), 1);
	}
	store_close(s);
}

/* What a generation lists is lost: what is made of all footers outlives the
 * next collections, and these go on with it. */
static void test_listed(void **state)
{
	struct store *s = kit_clone(whole);
	struct index_rebuilt out = { 0 };
	const struct collect_options o = { .silent_ns = 1 };
	AUTO(collect_result_fini) struct collect_result done = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	collect(s);
	remove_all(s, SIZE_MAX);
	struct repo *r = kit_open(&kit, s);

	/* with nothing but what is lost it refuses */
	assert_int_equal(collect_run(r, &o, &done, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	err_clear(&e);
	repo_close(r);
	rebuild_sets(s, &out);
	r = kit_open(&kit, s);
	assert_int_equal(collect_run(r, &o, &done, &e), -1);
	err_clear(&e);
	if (index_rebuild_all(r, "here", &out, &e) < 0)
		fail_msg("%s", e.msg);
	repo_close(r);
	assert_int_equal(read_sets(s), 2);
	for (unsigned i = 0; i < 4; i++) {
		collect(s);
		assert_int_equal(read_sets(s), 2);
	}
	kit_verify_clean(&kit, s);
	must_know_all(s);
	store_close(s);
}

/* Another role's key must not try. */
static void test_role(void **state)
{
	struct store *s = kit_clone(whole);
	struct repo *r = kit_open(&kit, s);
	struct keyring *owner = r->keys;
	struct keyring *keeper = kit_role(owner, ROLE_MAINTAINER);
	struct index_rebuilt out = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	keeper->role = ROLE_MAINTAINER;
	r->keys = keeper;
	assert_int_equal(index_rebuild_all(r, "here", &out, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	r->keys = owner;
	keyring_free(keeper);
	repo_close(r);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_lost),
		cmocka_unit_test(test_all_lost),
		cmocka_unit_test(test_one_left),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_pack_damaged),
		cmocka_unit_test(test_for_readers),
		cmocka_unit_test(test_generation_before),
		cmocka_unit_test(test_leaned),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_role),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
