/* SPDX-License-Identifier: Apache-2.0 */

/* A repository that uses what this version does not know: it does what it may,
 * and puts or deletes nothing when it may not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/talk.h"
#include "repo/access.h"
#include "repo/collect.h"
#include "repo/repair.h"
#include "repo/tomb.h"
#include "repo_kit.h"

static struct kit kit;
static struct err e;

static const struct fake image = { .size = 9u << 20, .seed = 1 };

/* A repository with one point, of which config says this. */
static struct store *made(uint64_t read, uint64_t write, uint64_t collect)
{
	struct store *s = kit_create_mem(&kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	struct repo_config c = r->config;

	kit_backup_one(r, &image, NULL);
	c.may_read = read;
	c.may_write = write;
	c.may_collect = collect;
	assert_int_equal(store_del(s, "config", &e), 0);
	assert_int_equal(config_put(s, r->keys, &c, &e), 0);
	return s;
}

/* It fails, and says that a newer one is needed. */
static void refused(int got)
{
	assert_int_equal(got, -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "use a newer "));
	err_clear(&e);
}

static int collect(struct repo *r)
{
	const struct collect_options o = { .silent_ns = 0 };
	struct collect_result result;
	int ok = collect_run(r, &o, &result, &e);

	collect_result_fini(&result);
	return ok;
}

static int back_up(struct repo *r)
{
	struct kit_backup b = { .images = &image, .count = 1, .workers = 1 };
	int ok = kit_backup(r, &b, &e);

	set_fini(&b.set);
	return ok;
}

static void nothing_at_all(void **state)
{
	AUTO(store_close_at) struct store *s = made(1u << 5, 0, 0);

	(void)state;
	assert_null(kit_try_open(&kit, store_mem_share(s), NULL, &e));
	refused(-1);
}

static void everything_but_collecting(void **state)
{
	AUTO(store_close_at) struct store *s = made(0, 0, 1);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);

	(void)state;
	size_t before = kit_count(s, "");

	refused(collect(r));
	assert_int_equal(kit_count(s, ""), before);
	assert_int_equal(back_up(r), 0);
	kit_verify_clean(&kit, s);
}

static void reading_only(void **state)
{
	AUTO(store_close_at) struct store *s = made(0, 1ull << 63, 0);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	const struct access_new new = { .role = ROLE_WRITER,
					.passphrase = "a passphrase",
					.label = "new" };
	struct access_sealing sealing;
	const struct repair_options o = { .level = VERIFY_DATA,
					  .talk = &talk_none };
	struct repair_result repaired;
	struct id id;

	(void)state;
	kit_verify_clean(&kit, s);
	size_t before = kit_count(s, "");

	refused(back_up(r));
	refused(collect(r));
	refused(tomb_allowed(r, &e));
	refused(access_add(r, &new, &id, &sealing, &e));
	refused(access_passphrase(r, "another one", &e));
	refused(repair_run(r, &o, &repaired, &e));
	repair_result_fini(&repaired);
	kit_verify_clean(&kit, s); /* and notes nothing */
	assert_int_equal(kit_count(s, ""), before);
}

/* Objects of a later version, beside all that a collection deletes. */
static void other_names(void **state)
{
	static const char *const names[] = { "later/one", "hold/0", "notes/x/1",
					     "points.more/1" };
	AUTO(store_close_at) struct store *s = made(0, 0, 0);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	const struct repair_options o = { .level = VERIFY_DATA,
					  .talk = &talk_none };
	struct repair_result repaired;

	(void)state;
	wr_string(&b, "of another time");
	for (size_t i = 0; i < 4; i++)
		kit_store(s, names[i], &b);
	assert_int_equal(back_up(r), 0);
	for (size_t i = 0; i < 3; i++)
		assert_true(collect(r) >= 0);
	assert_int_equal(repair_run(r, &o, &repaired, &e), 0);
	assert_false(repaired.changed);
	repair_result_fini(&repaired);
	kit_verify_clean(&kit, s);
	for (size_t i = 0; i < 4; i++) {
		AUTO(buf_fini) struct buf is = BUF_INIT;

		kit_load(s, names[i], &is);
		assert_int_equal(is.len, b.len);
		assert_memory_equal(is.p, b.p, b.len);
	}
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(everything_but_collecting),
		cmocka_unit_test(reading_only),
		cmocka_unit_test(other_names),
	};

	return cmocka_run_group_tests_name("repo/features", tests, setup,
					   teardown);
}
