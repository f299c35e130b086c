/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/generation.h"
#include "repo/obj.h"
#include "repo/pages.h"
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
	for (size_t at = 0; at < good.len; at += at < 80 ? 1 : 1397) {
		good.p[at] ^= 0x10;
		put_cached(&good);
		must_read();
		good.p[at] ^= 0x10;
	}
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

/* ---- while it is open ------------------------------------------------ */

/* The file that is open becomes another: from `at` on `n` wrong bytes, or cut
 * there. */
static void spoil(off_t at, size_t n)
{
	autofree char *path = cached_path();
	autofree uint8_t *junk = mem_zalloc(n + 1, 1);
	autofd int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (n > 0)
		assert_int_equal(pwrite(fd, junk, n, at), n);
	else
		assert_int_equal(ftruncate(fd, at), 0);
}

/* Nothing of the cache is held in memory. */
static struct repo *open_bare(void)
{
	struct repo *r = open_cached();

	index_free(r->index);
	r->index = index_new(&(struct index_parts){
		.store = r->store,
		.keys = r->keys,
		.footers = r->footers,
		.cache_dir = r->cache_dir,
	});
	return r;
}

static int read_all(struct repo *r, struct err *e)
{
	struct catalog c;
	int got = 0;

	assert_int_equal(catalog_load(r, &c, e), 0);
	for (size_t i = 0; i < c.count && got == 0; i++)
		got = kit_compare(r, &c.sets[i],
				  &c.sets[i].points[0].images[0].root, &fake,
				  e);
	catalog_fini(&c);
	return got;
}

static void test_spoiled_open(void **state)
{
	AUTO(buf_fini) struct buf good = BUF_INIT;

	(void)state;
	load_cached(&good);
	for (size_t at = 0; at < good.len; at += PAGES_SIZE) {
		for (size_t n = 0; n <= PAGES_SIZE; n += PAGES_SIZE) {
			struct repo *r = open_bare();
			struct err e = ERR_INIT;

			assert_int_equal(index_open_sessions(r->index, &e), 0);
			spoil((off_t)at, n);
			if (read_all(r, &e) < 0)
				fail_msg("%zu: %s", at, e.msg);
			repo_close(r);
			must_read();
		}
	}
}

/* And the store has it no more: a failure, no crash. */
static void test_spoiled_lost(void **state)
{
	AUTO(buf_fini) struct buf object = BUF_INIT;
	struct repo *r = open_bare();
	struct err e = ERR_INIT;

	(void)state;
	kit_load(s, segments.names[0], &object);
	assert_int_equal(index_open_sessions(r->index, &e), 0);
	assert_int_equal(store_del(s, segments.names[0], &e), 0);
	spoil(0, 0);
	assert_int_equal(read_all(r, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_true(index_trouble(r->index, &e));
	repo_close(r);
	kit_store(s, segments.names[0], &object);
	must_read();
}

/* ---- several processes ----------------------------------------------- */

/* 0 when all could be read. */
static int child(void)
{
	struct err e = ERR_INIT;
	struct repo *r = kit_try_open(&kit, store_mem_share(s), kit.dir, &e);
	int bad = r == NULL || index_open_sessions(r->index, &e) < 0 ||
		  index_trouble(r->index, &e) ||
		  index_segment_at(r->index, 0) == NULL;

	for (int i = 0; i < 200 && !bad; i++) {
		struct index_about about;
		const struct index_segment *seg = index_segment_at(r->index, 0);

		index_segment_about(seg, &about);
		struct segment_entry_new *all =
			mem_zalloc(about.nodes + about.chunks, sizeof(*all));

		bad = index_segment_entries(seg, 0, all,
					    about.nodes + about.chunks, &e) < 0;
		free(all);
	}
	repo_close(r);
	return bad;
}

/* They fill an empty cache at once, and one removes what others use. */
static void test_processes(void **state)
{
	autofree char *path = cached_path();

	(void)state;
	for (int round = 0; round < 5; round++) {
		pid_t pids[4];

		unlink(path);
		for (size_t i = 0; i < 4; i++) {
			pids[i] = fork();
			if (pids[i] == 0)
				_exit(child());
			assert_true(pids[i] > 0);
		}
		usleep(2000);
		unlink(path);
		for (size_t i = 0; i < 4; i++) {
			int status = -1;

			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
	}
	must_read();
}

/* ---- no room --------------------------------------------------------- */

static void test_full(void **state)
{
	autofree char *path = cached_path();
	struct rlimit old, small;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	must_read();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_false(file_exists(path));
	must_read();
	assert_true(file_exists(path));
}

/* ---- cleaning -------------------------------------------------------- */

static char *make_file(const char *name, bool old)
{
	const struct timeval then[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char *path = mem_fmt("%s/idx/%s", folder, name);
	struct err e = ERR_INIT;

	assert_int_equal(file_save(path, 0600, "x", 1, &e), 0);
	if (old)
		assert_int_equal(utimes(path, then), 0);
	return path;
}

static void test_cleaned(void **state)
{
	autofree char *gone = make_file("00-0", false);
	autofree char *dead = make_file("00-0.AbCdEf", true);
	autofree char *young = make_file("00-0.XbCdEf", false);
	autofree char *path = cached_path();
	struct repo *r = open_cached();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(index_open_sessions(r->index, &e), 0);
	assert_false(file_exists(gone));
	assert_false(file_exists(dead));
	assert_true(file_exists(young));
	assert_true(file_exists(path));
	repo_close(r);
	assert_int_equal(unlink(young), 0);
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
		cmocka_unit_test(test_spoiled_open),
		cmocka_unit_test(test_spoiled_lost),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_cleaned),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
