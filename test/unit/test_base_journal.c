/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/mem.h"

DEFINE_AUTO(journal_free, struct journal *);

static int enter(void **state)
{
	char *dir = mem_strdup("/tmp/vmkeep-test-XXXXXX");

	*state = dir;
	return mkdtemp(dir) == NULL || chdir(dir) < 0;
}

static int leave(void **state)
{
	char *cmd = mem_fmt("rm -rf '%s'", (char *)*state);
	int r = chdir("/") < 0 || system(cmd) != 0;

	free(cmd);
	free(*state);
	return r;
}

#define FIELDS(...)                                                            \
	(const struct journal_field[])                                         \
	{                                                                      \
		__VA_ARGS__,                                                   \
		{                                                              \
			NULL, NULL                                             \
		}                                                              \
	}

/* What every test starts from: three records. */
static void write_three(void)
{
	struct err e = ERR_INIT;
	AUTO(journal_free_at) struct journal *j = journal_new("j", &e);

	assert_non_null(j);
	assert_int_equal(journal_write(j, "freeze", NULL, &e), 0);
	assert_int_equal(
		journal_write(j, "overlay",
			      FIELDS({ "disk", "vda" },
				     { "path", "/a b%c\n=d\x7f\xc3\xa9" }),
			      &e),
		0);
	assert_int_equal(
		journal_write(j, "overlay-done", FIELDS({ "empty", "" }), &e),
		0);
}

static void load(struct buf *b)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_load("j", 1 << 20, b, &e), 0);
}

static void store(const void *data, size_t size)
{
	FILE *f = fopen("j", "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	fclose(f);
}

/* How many records there are, or -1 for damage. */
static int count_records(void)
{
	struct journal_record *records;
	struct err e = ERR_INIT;
	size_t count;

	if (journal_read("j", &records, &count, &e) < 0) {
		assert_int_equal(e.code, ERR_INTEGRITY);
		return -1;
	}
	journal_records_free(records, count);
	return (int)count;
}

static void test_text(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	write_three();
	load(&b);
	wr_u8(&b, '\0');
	/* the sums are Python's zlib.crc32() */
	assert_string_equal((char *)b.p, "14abe0af 1 freeze\n"
					 "bd37fee8 2 overlay disk=vda "
					 "path=/a%20b%25c%0a=d%7f\xc3\xa9\n"
					 "c599b32b 3 overlay-done empty=\n");
}

static void test_read(void **state)
{
	struct journal_record *r;
	struct err e = ERR_INIT;
	size_t count;

	(void)state;
	write_three();
	assert_int_equal(journal_read("j", &r, &count, &e), 0);
	assert_int_equal(count, 3);
	assert_string_equal(r[0].word, "freeze");
	assert_null(r[0].fields[0].key);
	assert_null(journal_get(&r[0], "disk"));
	assert_string_equal(r[1].word, "overlay");
	assert_string_equal(journal_get(&r[1], "disk"), "vda");
	assert_string_equal(journal_get(&r[1], "path"),
			    "/a b%c\n=d\x7f\xc3\xa9");
	assert_null(journal_get(&r[1], "pat"));
	assert_string_equal(journal_get(&r[2], "empty"), "");
	journal_records_free(r, count);
}

static void test_every_byte_comes_back(void **state)
{
	struct journal_record *r;
	struct err e = ERR_INIT;
	char all[256];
	size_t count;
	struct journal *j = journal_new("j", &e);

	(void)state;
	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	assert_int_equal(journal_write(j, "w", FIELDS({ "v", all }), &e), 0);
	journal_free(j);
	assert_int_equal(journal_read("j", &r, &count, &e), 0);
	assert_string_equal(journal_get(&r[0], "v"), all);
	journal_records_free(r, count);
}

static void test_new_is_a_claim(void **state)
{
	struct err e = ERR_INIT;
	struct journal *j = journal_new("j", &e);
	struct stat st;

	(void)state;
	assert_non_null(j);
	assert_int_equal(stat("j", &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count_records(), 0);
	assert_null(journal_new("j", &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(journal_end(j, &e), 0);
	assert_false(file_exists("j"));
	/* somebody removed it before us */
	assert_int_equal(journal_end(j, &e), 0);
	journal_free(j);
	journal_free(NULL);
	assert_null(journal_new("no/j", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void test_none(void **state)
{
	struct journal_record *r;
	struct err e = ERR_INIT;
	size_t count;

	(void)state;
	assert_int_equal(journal_read("j", &r, &count, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	err_clear(&e);
	assert_null(journal_continue("j", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_false(file_exists("j"));
}

static void test_continue(void **state)
{
	struct journal_record *r;
	struct err e = ERR_INIT;
	size_t count;

	(void)state;
	write_three();
	for (int i = 0; i < 2; i++) {
		struct journal *j = journal_continue("j", &e);

		assert_non_null(j);
		assert_int_equal(journal_write(j, "more", NULL, &e), 0);
		journal_free(j);
	}
	assert_int_equal(journal_read("j", &r, &count, &e), 0);
	assert_int_equal(count, 5);
	assert_string_equal(r[2].word, "overlay-done");
	assert_string_equal(r[4].word, "more");
	journal_records_free(r, count);
}

static size_t lines(const struct buf *b, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += b->p[i] == '\n';
	return n;
}

/* A crash in the middle of any write: cut anywhere. */
static void test_torn_at_every_byte(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	write_three();
	load(&b);
	for (size_t size = 0; size <= b.len; size++) {
		size_t whole = lines(&b, size);

		store(b.p, size);
		assert_int_equal(count_records(), whole);

		struct journal *j = journal_continue("j", &e);

		assert_non_null(j);
		assert_int_equal(journal_write(j, "next", NULL, &e), 0);
		journal_free(j);
		assert_int_equal(count_records(), whole + 1);
	}
}

/* The file has grown, and its last block is not written but zeroes. */
static void test_torn_to_zeroes_at_every_byte(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf torn = BUF_INIT;

	(void)state;
	write_three();
	load(&b);
	for (size_t size = 0; size < b.len; size++) {
		buf_clear(&torn);
		wr_bytes(&torn, b.p, size);
		wr_zero(&torn, b.len - size);
		store(torn.p, torn.len);
		assert_int_equal(count_records(), lines(&b, size));
	}
	/* the same with the line's end in place */
	size_t two = b.len - 1;

	while (b.p[two - 1] != '\n')
		two--;
	for (size_t size = two; size < b.len - 1; size++) {
		buf_clear(&torn);
		wr_bytes(&torn, b.p, size);
		wr_zero(&torn, b.len - 1 - size);
		wr_u8(&torn, '\n');
		store(torn.p, torn.len);
		assert_int_equal(count_records(), 2);
	}
}

/* One flipped bit: damage, or where the last line is hit, a torn line.  The
 * end of the line before makes one of both. */
static void test_damage_at_every_byte(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	write_three();
	load(&b);
	for (size_t at = 0; at < b.len; at++) {
		size_t line = lines(&b, at);
		bool joined = line == 1 && b.p[at] == '\n';
		int want = joined ? 1 : line == 2 ? 2 : -1;

		for (int bit = 0; bit < 8; bit++) {
			b.p[at] ^= (uint8_t)(1 << bit);
			store(b.p, b.len);
			assert_int_equal(count_records(), want);
			if (want < 0) {
				assert_null(journal_continue("j", &e));
				assert_int_equal(e.code, ERR_INTEGRITY);
			}
			b.p[at] ^= (uint8_t)(1 << bit);
		}
	}
}

static void test_missing_or_swapped_lines(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf other = BUF_INIT;

	(void)state;
	write_three();
	load(&b);

	size_t one = (size_t)((uint8_t *)memchr(b.p, '\n', b.len) - b.p) + 1;

	store(b.p + one, b.len - one);
	assert_int_equal(count_records(), -1);
	wr_bytes(&other, b.p + one, b.len - one);
	wr_bytes(&other, b.p, one);
	store(other.p, other.len);
	assert_int_equal(count_records(), -1);
	/* a last line whose sum is right is not torn, but wrong */
	buf_clear(&other);
	wr_bytes(&other, b.p, b.len);
	wr_bytes(&other, b.p, one);
	store(other.p, other.len);
	assert_int_equal(count_records(), -1);
}

/* Right sums over what no journal writes. */
static void test_right_sum_wrong_record(void **state)
{
	static const char *const bad[] = {
		"83dcefb7 1\n",         "ff3a3fb8  1 w\n",
		"bcea3585 1 \n",        "0a8ec9c1 1 w \n",
		"e40b2bb2 1 w k\n",     "a20e18dd 1 w =v\n",
		"1a7a5f77 1 w k=%\n",   "3aa041e1 1 w k=%0\n",
		"23ecad8e 1 w k=%00\n", "bf73a28f 1 w k=%zz\n",
		"0320b023 1 w  k=v\n",  "834b28d1 2 w\n",
		"fe4620c7 x w\n",       "3e409993 1 w! k=v\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		store(bad[i], strlen(bad[i]));
		assert_int_equal(count_records(), -1);
	}
}

static void limit_file_size(rlim_t size)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = size;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void test_failed_write_is_taken_back(void **state)
{
	struct err e = ERR_INIT;
	struct journal *j = journal_new("j", &e);
	char big[200];

	(void)state;
	memset(big, 'x', 199);
	big[199] = '\0';
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(journal_write(j, "one", NULL, &e), 0);
	limit_file_size(100);

	int r = journal_write(j, "two", FIELDS({ "big", big }), &e);

	assert_int_equal(r, -1);
	assert_int_equal(e.sys, EFBIG);
	assert_int_equal(strncmp(e.msg, "journal 'j': cannot write", 25), 0);
	/* a smaller one still goes, as the second */
	err_clear(&e);
	assert_int_equal(journal_write(j, "undo", NULL, &e), 0);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(journal_write(j, "three", NULL, &e), 0);
	journal_free(j);
	assert_int_equal(count_records(), 3);
}

static void *write_many(void *arg)
{
	struct err e = ERR_INIT;

	for (int i = 0; i < 50; i++)
		if (journal_write(arg, "many", FIELDS({ "k", "v" }), &e) < 0)
			return NULL;
	return arg;
}

static void test_many_threads(void **state)
{
	struct err e = ERR_INIT;
	struct journal *j = journal_new("j", &e);
	pthread_t t[4];
	void *r;

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, write_many, j);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		assert_non_null(r);
	}
	journal_free(j);
	assert_int_equal(count_records(), 200);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_text),
		TEST(test_read),
		TEST(test_every_byte_comes_back),
		TEST(test_new_is_a_claim),
		TEST(test_none),
		TEST(test_continue),
		TEST(test_torn_at_every_byte),
		TEST(test_torn_to_zeroes_at_every_byte),
		TEST(test_damage_at_every_byte),
		TEST(test_missing_or_swapped_lines),
		TEST(test_right_sum_wrong_record),
		TEST(test_failed_write_is_taken_back),
		TEST(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
