/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/collect.h"
#include "repo/damage.h"
#include "repo/repair.h"
#include "repo/session.h"
#include "repo_kit.h"

/*
 * What is damaged comes back from a copy, from another repository with the
 * same images, or, where it is the index, from footers; what cannot be had
 * stays as it is and is told.
 */

static struct kit kit, other_kit;
static struct store *whole;

static const struct fake images[2] = {
	{ .size = EXTENT_SIZE + 5 * PAGE_SIZE_BYTES + 100, .seed = 1 },
	{ .size = 2 * EXTENT_SIZE + 100, .seed = 2, .zero_percent = 90 },
};

static void back_up(const struct kit *k, struct store *s)
{
	struct kit_backup b = { .images = images, .count = 2, .workers = 2 };
	struct repo *r = kit_open(k, s);
	struct err e = ERR_INIT;

	if (kit_backup(r, &b, &e) < 0)
		fail_msg("%s", e.msg);
	set_fini(&b.set);
	repo_close(r);
}

static int setup(void **state)
{
	(void)state;
	kit_init(&kit);
	kit_init(&other_kit);
	whole = kit_create_mem(&kit);
	back_up(&kit, whole);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(whole);
	kit_fini(&kit);
	kit_fini(&other_kit);
	return 0;
}

/* ---- doing it -------------------------------------------------------- */

/* from NULL: none. */
static void repair(struct store *s, const struct kit *from_kit,
		   struct store *from, struct repair_result *result)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(repo_close_at)
	struct repo *f = from != NULL ? kit_open(from_kit, from) : NULL;
	const struct repair_options o = { .from = f,
					  .level = VERIFY_DATA,
					  .talk = &talk_none };
	struct err e = ERR_INIT;

	if (repair_run(r, &o, result, &e) < 0)
		fail_msg("%s", e.msg);
}

/* How many images read right. */
static unsigned readable(struct store *s)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;
	unsigned n = 0;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	for (size_t i = 0; i < c.count; i++)
		for (size_t k = 0; k < c.sets[i].point_count; k++)
			n += kit_compare(r, &c.sets[i],
					 &c.sets[i].points[k].images[0].root,
					 &images[k], &e) == 0;
	return n;
}

static bool starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

static void harm_all(struct store *s, const char *prefix, enum kit_harm how)
{
	AUTO(kit_names_fini) struct kit_names n;

	kit_list(s, prefix, &n);
	assert_true(n.count > 0);
	for (size_t i = 0; i < n.count; i++)
		kit_harm(s, n.names[i], how);
}

/* Byte for byte, but for notes and what was set aside. */
static void same_objects(struct store *a, struct store *b)
{
	AUTO(kit_names_fini) struct kit_names n;
	AUTO(buf_fini) struct buf x = BUF_INIT;
	AUTO(buf_fini) struct buf y = BUF_INIT;

	kit_list(a, "", &n);
	for (size_t i = 0; i < n.count; i++) {
		kit_load(a, n.names[i], &x);
		kit_load(b, n.names[i], &y);
		if (x.len != y.len || memcmp(x.p, y.p, x.len) != 0)
			fail_msg("'%s' is another one", n.names[i]);
	}
}

/* ---- from a copy ----------------------------------------------------- */

/* Every object that may be gone without a trace is named here. */
static bool leaves_no_trace(const char *name, enum kit_harm how)
{
	return starts(name, "beat/") || strcmp(name, "config") == 0 ||
	       (how == KIT_GONE &&
		(starts(name, "points/") || starts(name, "keys/") ||
		 starts(name, "issued/") || starts(name, "gen/")));
}

static void from_copy(const char *name, enum kit_harm how)
{
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	struct repair_result result;

	if (leaves_no_trace(name, how))
		return;
	kit_harm(s, name, how);
	repair(s, &kit, whole, &result);
	if (result.before.damage_count == 0 || result.objects != 1 ||
	    result.after.damage_count != 0)
		fail_msg("'%s', %d: %zu damages, %llu put back, %zu left", name,
			 (int)how, result.before.damage_count,
			 (unsigned long long)result.objects,
			 result.after.damage_count);
	assert_int_equal(result.images, 0);
	repair_result_fini(&result);
	same_objects(whole, s);
	assert_int_equal(kit_count(s, "aside/"), how == KIT_GONE ? 0 : 1);
	/* what is whole again is not noted as damaged any more */
	assert_int_equal(kit_count(s, "notes/damage/"), 0);
	kit_verify_clean(&kit, s);
	assert_int_equal(readable(s), 2);
}

static void test_from_copy(void **state)
{
	AUTO(kit_names_fini) struct kit_names n;

	(void)state;
	kit_list(whole, "", &n);
	for (size_t i = 0; i < n.count; i++)
		for (int how = 0; how < KIT_HARMS; how++)
			from_copy(n.names[i], (enum kit_harm)how);
}

/* A copy that is damaged itself gives nothing, and nothing wrong. */
static void test_from_damaged_copy(void **state)
{
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	AUTO(store_close_at) struct store *copy = kit_clone(whole);
	struct repair_result result;

	(void)state;
	harm_all(s, "data/", KIT_FLIPPED);
	harm_all(copy, "data/", KIT_FLIPPED);
	repair(s, &kit, copy, &result);
	assert_int_equal(result.objects, 0);
	assert_true(result.before.damage_count > 0);
	repair_result_fini(&result);
	assert_true(kit_damages(&kit, s, false) > 0);
}

/* ---- from another repository ----------------------------------------- */

static struct store *another(void)
{
	struct store *s = kit_create_mem(&other_kit);

	back_up(&other_kit, s);
	return s;
}

static void collect(struct store *s)
{
	const struct collect_options o = { .silent_ns = 1 };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(collect_result_fini) struct collect_result done;
	struct err e = ERR_INIT;

	memset(&done, 0, sizeof(done));
	if (collect_run(r, &o, &done, &e) < 0)
		fail_msg("%s", e.msg);
}

static void from_other(const char *kind, enum kit_harm how)
{
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	AUTO(store_close_at) struct store *other = another();
	struct repair_result result;

	harm_all(s, kind, how);
	assert_true(readable(s) < 2);
	repair(s, &other_kit, other, &result);
	if (result.images == 0 || result.after.damage_count != 0)
		fail_msg("%s %d: %llu images, %zu left: %s", kind, (int)how,
			 (unsigned long long)result.images,
			 result.after.damage_count,
			 result.after.damage_count > 0
				 ? result.after.damages[0].msg
				 : "");
	assert_true(result.stored_bytes > 0);
	repair_result_fini(&result);
	kit_verify_clean(&kit, s);
	assert_int_equal(readable(s), 2);
	/* what it has stored outlives the session */
	collect(s);
	collect(s);
	kit_verify_clean(&kit, s);
	assert_int_equal(readable(s), 2);
}

static void test_from_other(void **state)
{
	(void)state;
	for (int how = 0; how < KIT_HARMS; how++) {
		from_other("data/", (enum kit_harm)how);
		from_other("meta/", (enum kit_harm)how);
	}
	from_other("ring/", KIT_GONE);
}

static void back_up_one(const struct kit *k, struct store *s,
			const struct fake *f)
{
	AUTO(repo_close_at) struct repo *r = kit_open(k, s);

	kit_backup_one(r, f, NULL);
}

/* How many segments of other sessions do sets without points name? */
static size_t count_leans(struct store *s)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(kit_names_fini) struct kit_names n;
	size_t leans = 0;

	kit_list(s, "points/", &n);
	for (size_t i = 0; i < n.count; i++) {
		AUTO(set_fini) struct set set = { .point_count = 0 };
		struct err e = ERR_INIT;
		char own[SEGMENT_NAME];

		assert_int_equal(outcome_load(r, n.names[i], &set, &e), 1);
		segment_name(&set.session, 0, own);
		for (size_t k = 0;
		     set.point_count == 0 && k < set.segment_count; k++)
			leans += strncmp(set.segments[k], own,
					 strlen(own) - 1) != 0;
	}
	return leans;
}

/* What the repair's set relies on it names: extents that are whole are in
 * segments of another session, and no chunk of theirs was looked up. */
static void test_names_all(void **state)
{
	const struct fake first = { .size = 4 * EXTENT_SIZE, .seed = 3 };
	const struct fake second = { .size = 5 * EXTENT_SIZE, .seed = 3 };
	struct kit own;
	struct store *s, *other;
	AUTO(kit_names_fini) struct kit_names old;
	AUTO(kit_names_fini) struct kit_names packs;
	struct repair_result result;

	(void)state;
	own = kit;
	kit_init(&kit);
	s = kit_create_mem(&kit);
	other = kit_create_mem(&other_kit);
	back_up_one(&kit, s, &first);
	kit_list(s, "data/", &old);
	back_up_one(&kit, s, &second);
	back_up_one(&other_kit, other, &second);
	kit_list(s, "data/", &packs);
	for (size_t i = 0, k = 0; i < packs.count; i++) {
		if (k < old.count && strcmp(packs.names[i], old.names[k]) == 0)
			k++;
		else
			kit_harm(s, packs.names[i], KIT_GONE);
	}
	repair(s, &other_kit, other, &result);
	assert_int_equal(result.images, 1);
	assert_int_equal(result.after.damage_count, 0);
	repair_result_fini(&result);
	assert_true(count_leans(s) > 0);
	store_close(s);
	store_close(other);
	kit_fini(&kit);
	kit = own;
}

/* The same names and times, and another content: nothing is taken. */
static void test_other_content(void **state)
{
	static const struct fake others[2] = {
		{ .size = EXTENT_SIZE + 5 * PAGE_SIZE_BYTES + 100, .seed = 7 },
		{ .size = 2 * EXTENT_SIZE + 100,
		  .seed = 8,
		  .zero_percent = 90 },
	};
	struct kit_backup b = { .images = others, .count = 2, .workers = 1 };
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	AUTO(store_close_at) struct store *other = kit_create_mem(&other_kit);
	struct repo *r = kit_open(&other_kit, other);
	struct repair_result result;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(kit_backup(r, &b, &e), 0);
	set_fini(&b.set);
	repo_close(r);
	harm_all(s, "data/", KIT_GONE);
	size_t sets = kit_count(s, "points/");

	repair(s, &other_kit, other, &result);
	assert_int_equal(result.images, 0);
	assert_true(result.before.damage_count > 0);
	assert_false(result.changed);
	repair_result_fini(&result);
	assert_int_equal(kit_count(s, "points/"), sets);
	assert_true(kit_damages(&kit, s, false) > 0);
}

/* ---- alone ----------------------------------------------------------- */

static void test_index(void **state)
{
	(void)state;
	for (int how = 0; how < KIT_HARMS; how++) {
		AUTO(store_close_at) struct store *s = kit_clone(whole);
		struct repair_result result;

		harm_all(s, "idx/", (enum kit_harm)how);
		repair(s, NULL, NULL, &result);
		assert_true(result.before.damage_count > 0);
		assert_true(result.segments > 0);
		repair_result_fini(&result);
		kit_verify_clean(&kit, s);
		assert_int_equal(readable(s), 2);
	}
}

/* Segments of a generation: readers find all again. */
static void test_collected_index(void **state)
{
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	struct repair_result result;

	(void)state;
	collect(s);
	collect(s);
	assert_int_equal(readable(s), 2);
	harm_all(s, "idx/", KIT_GONE);
	repair(s, NULL, NULL, &result);
	assert_true(result.segments > 0);
	repair_result_fini(&result);
	assert_int_equal(readable(s), 2);
	/* and the next collection makes an index of them again */
	for (unsigned i = 0; i < 3; i++) {
		collect(s);
		assert_int_equal(readable(s), 2);
	}
	kit_verify_clean(&kit, s);
}

static void test_nothing_to_do(void **state)
{
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	struct repair_result result;
	size_t objects = kit_count(s, "");

	(void)state;
	repair(s, &kit, whole, &result);
	assert_false(result.changed);
	assert_int_equal(result.before.damage_count, 0);
	repair_result_fini(&result);
	/* when it was read is noted */
	assert_int_equal(kit_count(s, ""), objects + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_from_copy),
		cmocka_unit_test(test_from_damaged_copy),
		cmocka_unit_test(test_from_other),
		cmocka_unit_test(test_names_all),
		cmocka_unit_test(test_other_content),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_collected_index),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
