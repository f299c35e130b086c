/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "odd_store.h"
#include "repo/checked.h"
#include "repo/damage.h"
#include "repo/repair.h"
#include "repo/stats.h"
#include "repo/verify.h"
#include "repo_kit.h"

/* Levels, budgets and notes; what damage does is in test_repo_damage.c. */

static struct kit kit;
static struct store *whole;

static const struct fake image = { .size = 3 * EXTENT_SIZE, .seed = 5 };

static int setup(void **state)
{
	(void)state;
	kit_init(&kit);
	whole = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, whole);

	kit_backup_one(r, &image, NULL);
	repo_close(r);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(whole);
	kit_fini(&kit);
	return 0;
}

static void verify(struct store *s, enum verify_level level, uint64_t max_ms,
		   struct verify_result *result)
{
	const struct verify_options o = { .level = level,
					  .max_time_ms = max_ms,
					  .threads = 1,
					  .talk = &talk_none };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	if (verify_run(r, &c, &o, result, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Each level finds what is its own, and none of what is above it. */
static void test_levels(void **state)
{
	AUTO(kit_names_fini) struct kit_names packs;
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	kit_list(whole, "data/", &packs);
	for (int level = VERIFY_SIZES; level <= VERIFY_DATA; level++) {
		AUTO(store_close_at) struct store *s = kit_clone(whole);
		AUTO(verify_result_fini) struct verify_result v;
		AUTO(verify_result_fini) struct verify_result w;

		verify(s, (enum verify_level)level, 0, &v);
		assert_int_equal(v.damage_count, 0);
		assert_int_equal(v.packs_read > 0, level >= VERIFY_CHECKSUMS);
		assert_int_equal(v.nodes > 0, level >= VERIFY_TREES);
		kit_load(s, packs.names[0], &b);
		b.p[b.len / 2] ^= 1;
		kit_store(s, packs.names[0], &b);
		verify(s, (enum verify_level)level, 0, &w);
		assert_int_equal(w.damage_count > 0, level >= VERIFY_CHECKSUMS);
		assert_int_equal(kit_count(s, DAMAGE_PREFIX),
				 level >= VERIFY_CHECKSUMS);
	}
}

/* However short the time, every run reads something else, until all is. */
static void test_budget(void **state)
{
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	uint64_t before = 0;
	unsigned runs = 0;

	(void)state;
	for (;;) {
		AUTO(verify_result_fini) struct verify_result v;

		verify(s, VERIFY_CHECKSUMS, 1, &v);
		assert_int_equal(v.damage_count, 0);
		assert_true(v.packs_read > 0 || v.packs == 0);
		assert_true(v.bytes_ever > before);
		assert_int_equal(kit_count(s, CHECKED_PREFIX), 1);
		before = v.bytes_ever;
		runs++;
		if (v.bytes_ever == v.bytes) {
			assert_true(v.oldest_ns > 0);
			break;
		}
		assert_int_equal(v.oldest_ns, 0);
	}
	assert_true(runs >= 1);
}

static void test_stopped(void **state)
{
	const _Atomic bool cancel = true;
	const struct verify_options o = { .level = VERIFY_DATA,
					  .talk = &talk_none,
					  .cancel = &cancel };
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	AUTO(verify_result_fini) struct verify_result v;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(verify_run(r, &c, &o, &v, &e), -1);
	assert_int_equal(e.code, ERR_STOPPED);
	/* what was not looked at is not noted as damaged */
	assert_int_equal(kit_count(s, "notes/"), 0);
}

/* ---- a store that does not answer for the moment ------------------------- */

static bool is_name(void *ctx, const char *name)
{
	return strcmp(ctx, name) == 0;
}

static struct repo *open_failing(struct store *s, const struct odd *odd)
{
	struct err e = ERR_INIT;
	struct store *o = store_odd_new(store_mem_share(s), odd);
	struct repo *r = kit_try_open(&kit, o, NULL, &e);

	assert_true(r != NULL || err_passing(&e));
	return r;
}

/* Nothing is said to be damaged, or noted as such. */
static void verify_failing(struct store *s, char *name)
{
	const struct odd odd = { .fails = is_name, .ctx = name };
	const struct verify_options o = { .level = VERIFY_DATA,
					  .threads = 1,
					  .talk = &talk_none };
	AUTO(repo_close_at) struct repo *r = open_failing(s, &odd);
	AUTO(catalog_fini) struct catalog c = { .count = 0 };
	AUTO(verify_result_fini) struct verify_result v = { .unread = 0 };
	struct err e = ERR_INIT;
	int ok;

	if (r == NULL)
		return;
	ok = catalog_load(r, &c, &e);
	if (ok == 0)
		ok = verify_run(r, &c, &o, &v, &e);
	if (ok < 0 && !err_passing(&e))
		fail_msg("'%s': %s", name, e.msg);
	if (v.damage_count > 0 || v.healed_count > 0)
		fail_msg("'%s' is damaged: '%s': %s", name, v.damages[0].object,
			 v.damages[0].msg);
	/* who reads it at all says so */
	if (ok == 0 && strncmp(name, "beat/", 5) != 0)
		assert_true(v.unread > 0 && !v.complete);
	if (ok == 0 && v.unread > 0)
		assert_non_null(strstr(v.unread_msg, "the line is down"));
	assert_int_equal(kit_count(s, DAMAGE_PREFIX), 0);
}

/* What it was asked for is told, or that it cannot be told now. */
static void stats_failing(struct store *s, char *name)
{
	const struct odd odd = { .fails = is_name, .ctx = name };
	const struct stats_options o = { .cancel = NULL };
	AUTO(repo_close_at) struct repo *r = open_failing(s, &odd);
	AUTO(catalog_fini) struct catalog c = { .count = 0 };
	AUTO(stats_result_fini) struct stats_result st = { .lost = 0 };
	struct err e = ERR_INIT;

	if (r == NULL)
		return;
	int ok = catalog_load(r, &c, &e);

	if (ok == 0)
		ok = stats_run(r, &c, &o, &st, &e);
	if (ok < 0 && !err_passing(&e))
		fail_msg("'%s': %s", name, e.msg);
	if (ok == 0 && st.lost > 0)
		fail_msg("'%s': %llu lost", name, (unsigned long long)st.lost);
}

static void repair_failing(struct store *s, char *name)
{
	const struct odd odd = { .fails = is_name, .ctx = name };
	AUTO(repo_close_at) struct repo *r = open_failing(s, &odd);
	AUTO(repo_close_at) struct repo *copy = kit_open(&kit, whole);
	const struct repair_options o = { .from = copy,
					  .level = VERIFY_DATA,
					  .talk = &talk_none };
	AUTO(repair_result_fini) struct repair_result result = { 0 };
	struct err e = ERR_INIT;

	if (r == NULL)
		return;
	int ok = repair_run(r, &o, &result, &e);

	if (ok < 0 && !err_passing(&e))
		fail_msg("'%s': %s", name, e.msg);
	assert_false(result.changed);
	assert_int_equal(kit_count(s, "aside/"), 0);
}

static void test_passing(void **state)
{
	AUTO(kit_names_fini) struct kit_names n;

	(void)state;
	kit_list(whole, "", &n);
	for (size_t i = 0; i < n.count; i++) {
		AUTO(store_close_at) struct store *s = kit_clone(whole);

		if (strcmp(n.names[i], "config") == 0)
			continue;
		verify_failing(s, n.names[i]);
		stats_failing(s, n.names[i]);
		repair_failing(s, n.names[i]);
	}
	kit_verify_clean(&kit, whole);
}

/* The same with damage beside it: that is found, and nothing else is. */
static void test_passing_and_damage(void **state)
{
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	AUTO(kit_names_fini) struct kit_names packs;
	const struct verify_options o = { .level = VERIFY_DATA,
					  .threads = 1,
					  .talk = &talk_none };
	AUTO(catalog_fini) struct catalog c;
	AUTO(verify_result_fini) struct verify_result v;
	struct err e = ERR_INIT;

	(void)state;
	kit_list(s, "data/", &packs);
	assert_true(packs.count > 1);
	kit_harm(s, packs.names[0], KIT_FLIPPED);
	const struct odd odd = { .fails = is_name, .ctx = packs.names[1] };
	AUTO(repo_close_at) struct repo *r = open_failing(s, &odd);

	assert_non_null(r);
	assert_int_equal(catalog_load(r, &c, &e), 0);
	if (verify_run(r, &c, &o, &v, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(v.damage_count > 0 && v.unread > 0 && !v.complete);
	for (size_t i = 0; i < v.damage_count; i++)
		if (v.damages[i].object[0] != '\0')
			assert_string_equal(v.damages[i].object,
					    packs.names[0]);
}

/* ---- notes ----------------------------------------------------------- */

static struct id id_of(uint8_t n)
{
	struct id id = { { n } };

	return id;
}

static void test_checked(void **state)
{
	AUTO(checked_fini) struct checked c = { .count = 0 };
	AUTO(checked_fini) struct checked d = { .count = 0 };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct id one = id_of(1), two = id_of(2), three = id_of(3);

	(void)state;
	checked_add(&c, &two, 3, 50);
	checked_add(&c, &one, 5, 10);
	checked_add(&c, &one, 3, 30);
	checked_add(&c, &one, 3, 20);
	checked_sort(&c);
	checked_encode(&c, &b);
	struct reader r = reader_of(b.p, b.len);

	checked_decode(&r, &d);
	assert_false(r.bad);
	checked_sort(&d);
	assert_int_equal(d.count, 3);
	assert_int_equal(checked_when(&d, &one, 3), 30);
	assert_int_equal(checked_when(&d, &one, 4), 10);
	assert_int_equal(checked_when(&d, &two, 3), 50);
	assert_int_equal(checked_when(&d, &two, 5), 0);
	assert_int_equal(checked_when(&d, &three, 3), 0);
	/* cut anywhere it is none */
	for (size_t n = 0; n < b.len; n++) {
		AUTO(checked_fini) struct checked cut = { .count = 0 };
		struct reader part = reader_of(b.p, n);

		checked_decode(&part, &cut);
		assert_true(part.bad);
	}
}

static void test_damage_note(void **state)
{
	AUTO(damage_fini) struct damage d = { .count = 0 };
	AUTO(damage_fini) struct damage got = { .count = 0 };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct id one = id_of(1), two = id_of(2);
	struct place node = { .class = BLOB_NODE, .pack = two, .blob = 4 };

	(void)state;
	damage_add_blob(&d, BLOB_DATA, &one, 7);
	damage_add_pack(&d, BLOB_NODE, &two);
	node.slot = 9;
	damage_add_node(&d, &node);
	damage_add_node(&d, &node);
	damage_sort(&d);
	assert_int_equal(d.count, 1);
	damage_encode(&d, &b);
	for (size_t n = 0; n <= b.len; n++) {
		AUTO(damage_fini) struct damage part = { .count = 0 };
		struct reader r = reader_of(b.p, n);

		damage_decode(&r, &part);
		assert_int_equal(r.bad, n < b.len);
	}
	struct reader r = reader_of(b.p, b.len);

	damage_decode(&r, &got);
	assert_true(damage_covers(&got, &d) && damage_covers(&d, &got));
	assert_true(damage_has_blob(&got, &one, 7));
	assert_false(damage_has_blob(&got, &one, 8));
	assert_true(damage_has_blob(&got, &two, 1234));
	assert_true(damage_has(&got, &node));
	node.pack = one;
	assert_false(damage_has(&got, &node));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checked),
		cmocka_unit_test(test_damage_note),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_passing),
		cmocka_unit_test(test_passing_and_damage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
