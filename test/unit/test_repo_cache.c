/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo_kit.h"

/* The local cache is a help: whatever is in it, points read as they are, and
 * a backup is what it would have been without. */

static struct kit kit;
static struct store *s;
static char *folder; /* where the cached segments are */
static struct kit_names segments;

static const struct fake fake = { .size = 2 * EXTENT_SIZE + 77,
				  .seed = 3,
				  .zero_percent = 70 };

static struct repo *open_cached(void)
{
	struct err e = ERR_INIT;
	struct repo *r = kit_try_open(&kit, store_mem_share(s), kit.dir, &e);

	if (r == NULL)
		fail_msg("%s", e.msg);
	return r;
}

static int setup(void **state)
{
	char hex[ID_TEXT];

	(void)state;
	kit_init(&kit);
	s = kit_create_mem(&kit);
	struct repo *r = open_cached();

	kit_backup_one(r, &fake, NULL);
	hex_encode(repo_id(r)->b, ID_SIZE, hex);
	folder = mem_fmt("%s/%s", kit.dir, hex);
	repo_close(r);
	kit_list(s, "idx/", &segments);
	return segments.count == 1 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	kit_names_fini(&segments);
	free(folder);
	store_close(s);
	kit_fini(&kit);
	return 0;
}

static char *cached_path(void)
{
	return path_join(folder, segments.names[0]);
}

/* Restore and verify through the cache. */
static void must_read(void)
{
	const struct verify_options o = { .read_data = true,
					  .talk = &talk_none };
	struct verify_result v;
	struct catalog c;
	struct err e = ERR_INIT;
	struct repo *r = open_cached();

	assert_int_equal(catalog_load(r, &c, &e), 0);
	for (size_t i = 0; i < c.count; i++)
		if (kit_compare(r, &c.sets[i],
				&c.sets[i].points[0].images[0].root, &fake,
				&e) < 0)
			fail_msg("%s", e.msg);
	repo_close(r);
	r = open_cached();
	assert_int_equal(verify_run(r, &c, &o, &v, &e), 0);
	assert_int_equal(v.damage_count, 0);
	verify_result_fini(&v);
	catalog_fini(&c);
	repo_close(r);
}

static void put_cached(const struct buf *b)
{
	autofree char *path = cached_path();
	struct err e = ERR_INIT;

	assert_int_equal(file_save(path, 0600, b->p, b->len, &e), 0);
}

static void load_cached(struct buf *b)
{
	autofree char *path = cached_path();
	struct err e = ERR_INIT;

	assert_int_equal(file_load(path, 1u << 24, b, &e), 0);
}

static void test_is_used(void **state)
{
	autofree char *path = cached_path();
	struct stat st;

	(void)state;
	assert_true(file_exists(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	must_read();
}

static void test_removed(void **state)
{
	autofree char *path = cached_path();

	(void)state;
	assert_int_equal(unlink(path), 0);
	must_read();
	assert_true(file_exists(path));
}

static void test_flipped(void **state)
{
	AUTO(buf_fini) struct buf good = BUF_INIT;

	(void)state;
	load_cached(&good);
	for (size_t at = 0; at < good.len; at += at < 80 ? 1 : 397) {
		good.p[at] ^= 0x10;
		put_cached(&good);
		must_read();
		good.p[at] ^= 0x10;
	}
	/* every prefix wrong: nothing would be found */
	AUTO(buf_fini) struct buf bad = BUF_INIT;

	wr_bytes(&bad, good.p, good.len);
	for (size_t at = SEGMENT_HEAD + 10 * SEGMENT_PACK; at < bad.len; at++)
		bad.p[at] ^= 0xff;
	put_cached(&bad);
	must_read();
	put_cached(&good);
}

static void test_cut(void **state)
{
	AUTO(buf_fini) struct buf good = BUF_INIT;

	(void)state;
	load_cached(&good);
	for (size_t n = 0; n < 8; n++) {
		struct buf cut = good;

		cut.len = good.len * n / 8;
		put_cached(&cut);
		must_read();
	}
}

/* Another repository's segment, and one of another session. */
static void test_foreign(void **state)
{
	AUTO(buf_fini) struct buf good = BUF_INIT;
	AUTO(buf_fini) struct buf other = BUF_INIT;

	(void)state;
	load_cached(&good);
	wr_bytes(&other, good.p, good.len);
	other.p[20] ^= 1; /* the session's id */
	put_cached(&other);
	must_read();
	load_cached(&other);
	struct repo *r = open_cached();
	struct intake_stats st;

	kit_backup_one(r, &fake, &st);
	assert_int_equal(st.new_chunks, 0);
	repo_close(r);
	must_read();
}

/* A folder that cannot be written is no reason to fail. */
static void test_unwritable(void **state)
{
	struct err e = ERR_INIT;
	struct repo *r =
		kit_try_open(&kit, store_mem_share(s), "/proc/nothing", &e);

	(void)state;
	assert_non_null(r);
	repo_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_used),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_unwritable),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
