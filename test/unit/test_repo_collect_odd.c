/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "collect_kit.h"
#include "odd_store.h"
#include "repo/damage.h"
#include "repo/session.h"

/* A collector whose store, or whose neighbours, do what is rare. */

static struct repo *open_odd(struct store *s, const struct odd *odd)
{
	struct err e = ERR_INIT;
	struct store *o = store_odd_new(store_mem_share(s), odd);
	struct repo *r = kit_try_open(&ck_kit, o, NULL, &e);

	if (r == NULL)
		fail_msg("%s", e.msg);
	return r;
}

static void collect_odd(struct store *s, const struct odd *odd)
{
	AUTO(repo_close_at) struct repo *r = open_odd(s, odd);
	const struct collect_options o = { .silent_ns = 1, .talk = &ck_talk };
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	struct err e = ERR_INIT;

	if (collect_run(r, &o, &result, &e) < 0)
		fail_msg("%s", e.msg);
}

/* ---- a list that lacks a name --------------------------------------------
 */

static bool hides_sessions(void *ctx, const char *name)
{
	(void)ctx;
	return strncmp(name, "sess/", 5) == 0;
}

/* What belongs to a session is not deleted because one list lacks it. */
static void test_hidden(void **state)
{
	const struct odd odd = { .hides = hides_sessions };
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake fakes[3];

	(void)state;
	ck_fill(s, fakes, 3);
	ck_collect(s);
	ck_forget(s, &fakes[1], TOMB_POINT);
	struct fake more = ck_image_of(5);

	ck_backup(s, &more);
	static const char *const kinds[] = { "idx/", "beat/", "points/",
					     "tomb/", "sess/" };
	size_t before[5];

	for (size_t i = 0; i < 5; i++)
		before[i] = kit_count(s, kinds[i]);
	AUTO(store_close_at) struct store *odd_one = kit_clone(s);
	/* only cleaning up, for the lists are no good for more */
	AUTO(repo_close_at) struct repo *r = open_odd(odd_one, &odd);
	const struct collect_options o = { .silent_ns = 1, .dry_run = false };
	AUTO(collect_free_at) struct collect *c;
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	enum collect_state st;
	struct err e = ERR_INIT;

	c = collect_new(r, &o, &e);
	assert_non_null(c);
	if (collect_step(c, &result, &st, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < 5; i++)
		if (kit_count(odd_one, kinds[i]) < before[i])
			fail_msg("%s: %zu of %zu left", kinds[i],
				 kit_count(odd_one, kinds[i]), before[i]);
	const struct fake all[] = { fakes[0], fakes[2], more };

	assert_int_equal(ck_compare_all(odd_one, all, 3), 3);
}

/* ---- notes ------------------------------------------------------------------
 */

static void note(struct store *s, const char *pack)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	AUTO(damage_fini) struct damage d = { .count = 0 };
	char name[DAMAGE_NAME];
	struct err e = ERR_INIT;
	struct id id;

	assert_true(hex_decode(strrchr(pack, '/') + 1, id.b, ID_SIZE));
	damage_add_pack(&d, *pack == 'd' ? BLOB_DATA : BLOB_NODE, &id);
	damage_sort(&d);
	assert_int_equal(damage_put(r, &d, name, &e), 0);
}

struct late {
	struct store *store;
	const struct fake *image;
	bool done;
};

/* A backup is made, and its damage noted, just before the generation is. */
static void late_backup(void *ctx, const char *name)
{
	struct late *l = ctx;
	AUTO(kit_names_fini) struct kit_names old = { NULL, 0 };
	AUTO(kit_names_fini) struct kit_names new = { NULL, 0 };

	if (l->done || strncmp(name, "gen/0000000000000001", 20) != 0)
		return;
	l->done = true;
	kit_list(l->store, "data/", &old);
	ck_backup(l->store, l->image);
	kit_list(l->store, "data/", &new);
	for (size_t i = 0; i < new.count; i++)
		if (i >= old.count || strcmp(new.names[i], old.names[i]) != 0) {
			note(l->store, new.names[i]);
			return;
		}
}

/* A note about what was put after the packs were listed stays. */
static void test_late_note(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake f = ck_image_of(1);
	struct fake late_image = ck_image_of(2);
	struct late late = { .store = s, .image = &late_image };
	const struct odd odd = { .before = late_backup, .ctx = &late };
	AUTO(kit_names_fini) struct kit_names packs;

	(void)state;
	ck_backup(s, &f);
	/* so that notes are looked at */
	kit_list(s, "data/", &packs);
	note(s, packs.names[0]);
	AUTO(repo_close_at) struct repo *r = open_odd(s, &odd);
	const struct collect_options o = { .silent_ns = 1, .talk = &ck_talk };
	AUTO(collect_free_at) struct collect *c;
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	enum collect_state st;
	struct err e = ERR_INIT;

	c = collect_new(r, &o, &e);
	assert_non_null(c);
	if (collect_step(c, &result, &st, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(late.done);
	assert_int_equal(kit_count(s, DAMAGE_PREFIX), 2);
}

/* One about a pack that is gone goes. */
static void test_old_note(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	const struct odd odd = { .ctx = NULL };
	struct fake f = ck_image_of(1);

	(void)state;
	ck_backup(s, &f);
	note(s, "data/01/01000000000000000000000000000000");
	collect_odd(s, &odd);
	assert_int_equal(kit_count(s, DAMAGE_PREFIX), 0);
}

/* ---- clocks ---------------------------------------------------------------
 */

struct clock_off {
	struct store *store;
	int64_t start, off;
	int64_t ticks;
	bool moves;
	bool busy;
};

/* A writer beats just before anybody looks, and its clock is wrong. */
static void beat(void *ctx, const char *name)
{
	struct clock_off *c = ctx;
	AUTO(buf_fini) struct buf b = BUF_INIT;

	if (c->busy || strncmp(name, "beat/", 5) != 0)
		return;
	c->busy = true;
	c->ticks += c->moves || c->ticks == 0;
	wr_u64(&b, (uint64_t)(c->start + c->off + c->ticks));
	kit_store(c->store, name, &b);
	c->busy = false;
}

/* Is an open session of the generation before waited for, or ended? */
static void check_clock(int64_t off, bool moves)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake f = ck_image_of(1);
	struct clock_off clock = {
		.store = s, .start = clock_wall_ns(), .off = off, .moves = moves
	};
	const struct odd odd = { .before = beat, .ctx = &clock };
	AUTO(repo_close_at) struct repo *writer = kit_open(&ck_kit, s);
	AUTO(intake_close_at) struct intake *in = ck_leave_open(writer, &f);
	struct fake other = ck_image_of(2);
	const struct collect_options o = { .silent_ns = 20 * 1000000,
					   .talk = &ck_talk };
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	struct err e = ERR_INIT;

	(void)in; /* stays open */
	ck_backup(s, &other);
	AUTO(repo_close_at) struct repo *r = open_odd(s, &odd);

	if (collect_run(r, &o, &result, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(result.wait.host != NULL, moves);
	assert_int_equal(result.ended, !moves);
}

/* A clock that is years behind, or ahead, neither ends a backup that lives nor
 * keeps one that is dead. */
static void test_clock(void **state)
{
	const int64_t year = 365 * INT64_C(86400) * 1000000000;

	(void)state;
	check_clock(-20 * year, true);
	check_clock(-20 * year, false);
	check_clock(20 * year, true);
	check_clock(20 * year, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_late_note),
		cmocka_unit_test(test_old_note),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, ck_setup, ck_teardown);
}
