/* SPDX-License-Identifier: Apache-2.0 */

/* What every store must do, for each of them. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "store/store.h"

#define MANY 150

struct kind {
	const char *name;
	struct store *(*open)(void);
	void (*close)(struct store *s);
};

static struct store *s;
static struct err e;
static char folder[] = "/tmp/vmkeep-test-store-XXXXXX";

static struct store *open_mem(void)
{
	return store_mem_new();
}

static struct store *open_dir(void)
{
	strcpy(folder, "/tmp/vmkeep-test-store-XXXXXX");
	if (mkdtemp(folder) == NULL || store_dir_create(folder, &e) < 0)
		return NULL;
	return store_dir_open(folder, &e);
}

static void close_dir(struct store *store)
{
	const char *argv[] = { "rm", "-rf", folder, NULL };
	struct proc_run rm = { .argv = argv };

	store_close(store);
	proc_run(&rm, NULL, &e);
}

static struct store *open_fault(void)
{
	static const struct store_fault_plan never = { .fail_at = 0 };

	return store_fault_new(store_mem_new(), &never);
}

static int set_up(void **state)
{
	const struct kind *kind = *state;

	err_clear(&e);
	s = kind->open();
	return s != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	const struct kind *kind = *state;

	kind->close(s);
	return 0;
}

static int put(const char *name, const char *text)
{
	autofree char *copy = mem_strdup(text);
	struct iovec iov = { .iov_base = copy, .iov_len = strlen(text) };

	return store_put(s, name, &iov, 1, &e);
}

static int put_new(const char *name, const char *text)
{
	autofree char *copy = mem_strdup(text);
	struct iovec iov = { .iov_base = copy, .iov_len = strlen(text) };

	return store_put_new(s, name, &iov, 1, &e);
}

static void assert_put(const char *name, const char *text)
{
	if (put(name, text) < 0)
		fail_msg("%s", e.msg);
}

static void assert_error(int r, enum err_code code)
{
	assert_int_equal(r, -1);
	assert_int_equal(e.code, code);
	err_clear(&e);
}

static void assert_holds(const char *name, const char *text)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	wr_u8(&b, '>');
	if (store_load(s, name, 1000, &b, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(b.len, strlen(text) + 1);
	assert_memory_equal(b.p + 1, text, strlen(text));
}

static void test_nothing_at_first(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct store_stat st = { .size = 77 };
	char byte = 'x';

	(void)state;
	assert_error(store_get(s, "a", 0, 1, &byte, &e), ERR_NOT_FOUND);
	assert_error(store_get(s, "a/b", 0, 0, &byte, &e), ERR_NOT_FOUND);
	assert_error(store_load(s, "a", 10, &b, &e), ERR_NOT_FOUND);
	assert_error(store_stat(s, "a", &st, &e), ERR_NOT_FOUND);
	assert_error(store_del(s, "a", &e), ERR_NOT_FOUND);
	assert_int_equal(st.size, 77);
	assert_int_equal(b.len, 0);
}

static void test_put_and_get(void **state)
{
	char text[6] = "";

	(void)state;
	assert_put("a/b/c", "hello");
	assert_int_equal(store_get(s, "a/b/c", 0, 5, text, &e), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(store_get(s, "a/b/c", 2, 3, text, &e), 0);
	assert_string_equal(text, "llolo");
	assert_int_equal(store_get(s, "a/b/c", 5, 0, text, &e), 0);
}

static void test_get_beyond_the_end(void **state)
{
	char text[8];

	(void)state;
	assert_put("a", "hello");
	assert_error(store_get(s, "a", 0, 6, text, &e), ERR_INTEGRITY);
	assert_error(store_get(s, "a", 5, 1, text, &e), ERR_INTEGRITY);
	assert_error(store_get(s, "a", 1000, 1, text, &e), ERR_INTEGRITY);
	assert_error(store_get(s, "a", INT64_MAX - 1, 1, text, &e),
		     ERR_INTEGRITY);
}

static void test_put_of_pieces(void **state)
{
	char hel[] = "hel";
	char lo[] = "lo";
	const struct iovec iov[] = {
		{ .iov_base = hel, .iov_len = 3 },
		{ .iov_base = NULL, .iov_len = 0 },
		{ .iov_base = lo, .iov_len = 2 },
	};

	(void)state;
	assert_int_equal(store_put(s, "x", iov, 3, &e), 0);
	assert_holds("x", "hello");
	assert_int_equal(store_put(s, "empty", NULL, 0, &e), 0);
	assert_holds("empty", "");
}

static void test_put_replaces(void **state)
{
	struct store_stat st;

	(void)state;
	assert_put("a/b", "old and long");
	assert_put("a/b", "new");
	assert_holds("a/b", "new");
	assert_int_equal(store_stat(s, "a/b", &st, &e), 0);
	assert_int_equal(st.size, 3);
}

static void test_put_new_only_once(void **state)
{
	(void)state;
	assert_int_equal(put_new("points/1", "first"), 0);
	assert_error(put_new("points/1", "second"), ERR_EXISTS);
	assert_holds("points/1", "first");
	assert_int_equal(store_del(s, "points/1", &e), 0);
	assert_int_equal(put_new("points/1", "third"), 0);
	assert_holds("points/1", "third");
}

static void test_load_has_a_limit(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	assert_put("a", "hello");
	assert_error(store_load(s, "a", 4, &b, &e), ERR_INTEGRITY);
	assert_int_equal(b.len, 0);
	assert_int_equal(store_load(s, "a", 5, &b, &e), 0);
	assert_int_equal(b.len, 5);
}

static void test_large_object(void **state)
{
	enum { SIZE = 5 << 20 };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	autofree uint8_t *p = mem_alloc(SIZE);
	struct iovec iov = { .iov_base = p, .iov_len = SIZE };

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		p[i] = (uint8_t)(i >> 8 ^ i);
	assert_int_equal(store_put_new(s, "data/7f/x", &iov, 1, &e), 0);
	assert_int_equal(store_load(s, "data/7f/x", SIZE, &b, &e), 0);
	assert_int_equal(b.len, SIZE);
	assert_memory_equal(b.p, p, SIZE);
}

static void test_del(void **state)
{
	(void)state;
	assert_put("a/b", "x");
	assert_put("a/c", "y");
	assert_int_equal(store_del(s, "a/b", &e), 0);
	assert_error(store_del(s, "a/b", &e), ERR_NOT_FOUND);
	assert_holds("a/c", "y");
}

/* A folder of objects is no object. */
static void test_folders_are_nothing(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct store_stat st;

	(void)state;
	assert_put("a/b/c", "x");
	assert_error(store_stat(s, "a/b", &st, &e), ERR_NOT_FOUND);
	assert_error(store_load(s, "a/b", 10, &b, &e), ERR_NOT_FOUND);
	assert_error(store_del(s, "a/b", &e), ERR_NOT_FOUND);
	assert_error(store_stat(s, "a/b/c/d", &st, &e), ERR_NOT_FOUND);
	assert_holds("a/b/c", "x");
}

/* The names found, each followed by a space, sorted by counting. */
struct found {
	char text[200];
	size_t count;
	uint64_t size;
	size_t stop_at;
};

static int note(void *ctx, const char *name, const struct store_stat *st,
		struct err *error)
{
	struct found *f = ctx;
	size_t len = strlen(f->text);

	snprintf(f->text + len, sizeof(f->text) - len, "%s ", name);
	f->size += st->size;
	if (++f->count == f->stop_at)
		return err_set(error, ERR_STOPPED, "enough");
	return 0;
}

static struct found list(const char *prefix)
{
	struct found f = { .text = "" };

	if (store_list(s, prefix, note, &f, &e) < 0)
		fail_msg("%s", e.msg);
	return f;
}

static void test_list(void **state)
{
	(void)state;
	assert_put("config", "x");
	assert_put("points/1", "x");
	assert_put("points/2", "xx");
	assert_put("points2", "xxx");
	assert_put("data/7f/1", "xxxx");
	assert_put("data/80/2", "xxxxx");
	assert_int_equal(list("").count, 6);
	assert_int_equal(list("").size, 16);
	assert_int_equal(list("points/").count, 2);
	assert_non_null(strstr(list("points/").text, "points/1 "));
	assert_non_null(strstr(list("points/").text, "points/2 "));
	assert_int_equal(list("points/").size, 3);
	assert_int_equal(list("data/").count, 2);
	assert_string_equal(list("data/7f/").text, "data/7f/1 ");
	assert_int_equal(list("nothing/").count, 0);
	assert_int_equal(list("config/").count, 0);
}

static void test_list_can_be_ended(void **state)
{
	struct found f = { .text = "", .stop_at = 2 };

	(void)state;
	assert_put("a/1", "x");
	assert_put("a/2", "x");
	assert_put("a/3", "x");
	assert_error(store_list(s, "a/", note, &f, &e), ERR_STOPPED);
	assert_int_equal(f.count, 2);
}

static int remove_it(void *ctx, const char *name, const struct store_stat *st,
		     struct err *error)
{
	(void)ctx;
	(void)st;
	return store_del(s, name, error);
}

static void test_visitor_may_delete(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "a/%d", i);
		assert_put(name, "x");
	}
	assert_int_equal(store_list(s, "a/", remove_it, NULL, &e), 0);
	assert_int_equal(list("").count, 0);
}

static void test_bad_names_are_refused(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct found f = { .text = "" };
	struct store_stat st;
	char byte;

	(void)state;
	assert_error(put("../a", "x"), ERR_INTEGRITY);
	assert_error(put_new("/etc/x", "x"), ERR_INTEGRITY);
	assert_error(put("tmp/x", "x"), ERR_INTEGRITY);
	assert_error(store_get(s, "a/../b", 0, 1, &byte, &e), ERR_INTEGRITY);
	assert_error(store_load(s, "", 1, &b, &e), ERR_INTEGRITY);
	assert_error(store_stat(s, ".", &st, &e), ERR_INTEGRITY);
	assert_error(store_del(s, "a/", &e), ERR_INTEGRITY);
	assert_error(store_list(s, "a", note, &f, &e), ERR_INTEGRITY);
	assert_error(store_list(s, "../", note, &f, &e), ERR_INTEGRITY);
	assert_error(store_list(s, "/", note, &f, &e), ERR_INTEGRITY);
	assert_error(store_list(s, "tmp/", note, &f, &e), ERR_INTEGRITY);
}

#define THREADS 8
#define ROUNDS  20

struct racer {
	pthread_t thread;
	pthread_barrier_t *start;
	int won[ROUNDS];
	int odd; /* other outcomes than won and lost */
};

static void *race(void *ctx)
{
	struct racer *r = ctx;
	struct iovec iov = { .iov_base = r->won, .iov_len = sizeof(r->won) };

	for (int i = 0; i < ROUNDS; i++) {
		struct err error = ERR_INIT;
		char name[32];

		snprintf(name, sizeof(name), "points/%d", i);
		pthread_barrier_wait(r->start);
		r->won[i] = store_put_new(s, name, &iov, 1, &error) == 0;
		r->odd += !r->won[i] && error.code != ERR_EXISTS;
	}
	return NULL;
}

static void test_one_thread_wins(void **state)
{
	struct racer racers[THREADS] = { { .odd = 0 } };
	pthread_barrier_t start;

	(void)state;
	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		racers[i].start = &start;
		pthread_create(&racers[i].thread, NULL, race, &racers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(racers[i].thread, NULL);
	pthread_barrier_destroy(&start);
	for (int round = 0; round < ROUNDS; round++) {
		int winners = 0;

		for (int i = 0; i < THREADS; i++)
			winners += racers[i].won[round];
		assert_int_equal(winners, 1);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(racers[i].odd, 0);
	assert_int_equal(list("points/").count, ROUNDS);
}

static atomic_bool enough;

/* Objects come, are replaced and go in the same folder. */
static void *stir(void *ctx)
{
	struct err error = ERR_INIT;
	char text[] = "stirring";
	struct iovec iov = { .iov_base = text, .iov_len = 8 };

	(void)ctx;
	for (unsigned i = 0; !atomic_load(&enough); i++) {
		char name[32];

		snprintf(name, sizeof(name), "a/moving-%u", i % 7);
		if (i % 3 == 0)
			store_del(s, name, &error);
		else
			store_put(s, name, &iov, 1, &error);
	}
	return NULL;
}

static int tick(void *ctx, const char *name, const struct store_stat *st,
		struct err *error)
{
	unsigned char *seen = ctx;
	unsigned i;

	if (sscanf(name, "a/still-%u", &i) == 1 && i < MANY)
		seen[i]++;
	else if (st->size != 8)
		return err_set(error, ERR_FAILED, "half of '%s'", name);
	return 0;
}

static void test_list_while_changing(void **state)
{
	pthread_t stirrer;
	char name[32];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "a/still-%d", i);
		assert_put(name, "x");
	}
	atomic_store(&enough, false);
	pthread_create(&stirrer, NULL, stir, NULL);
	for (int i = 0; i < 30; i++) {
		unsigned char seen[MANY] = { 0 };
		int r = store_list(s, "a/", tick, seen, &e);

		if (r < 0)
			print_error("%s\n", e.msg);
		assert_int_equal(r, 0);
		for (int j = 0; j < MANY; j++)
			assert_int_equal(seen[j], 1);
	}
	atomic_store(&enough, true);
	pthread_join(stirrer, NULL);
}

static const struct {
	const char *name;
	CMUnitTestFunction function;
} suite[] = {
#define T(f)                                                                   \
	{                                                                      \
#f, f                                                          \
	}
	T(test_nothing_at_first),
	T(test_put_and_get),
	T(test_get_beyond_the_end),
	T(test_put_of_pieces),
	T(test_put_replaces),
	T(test_put_new_only_once),
	T(test_load_has_a_limit),
	T(test_large_object),
	T(test_del),
	T(test_folders_are_nothing),
	T(test_list),
	T(test_list_can_be_ended),
	T(test_visitor_may_delete),
	T(test_bad_names_are_refused),
	T(test_one_thread_wins),
	T(test_list_while_changing),
#undef T
};

static struct kind kinds[] = {
	{ "mem", open_mem, store_close },
	{ "fault", open_fault, store_close },
	{ "dir", open_dir, close_dir },
};

#define SUITE (sizeof(suite) / sizeof(suite[0]))
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

int main(void)
{
	static struct CMUnitTest tests[KINDS * SUITE];

	for (size_t i = 0; i < KINDS * SUITE; i++) {
		struct kind *kind = &kinds[i / SUITE];

		tests[i].name =
			mem_fmt("%s: %s", kind->name, suite[i % SUITE].name);
		tests[i].test_func = suite[i % SUITE].function;
		tests[i].setup_func = set_up;
		tests[i].teardown_func = tear_down;
		tests[i].initial_state = kind;
	}
	return cmocka_run_group_tests_name("stores", tests, NULL, NULL);
}
