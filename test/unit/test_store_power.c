/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/mem.h"
#include "power.h"
#include "store/store.h"

/*
 * What the folder store promises, over a power cut: an object that a put has
 * made, that made a put fail, or that a list has shown, is there and whole; a
 * replaced one is the new one, a deleted one is gone.  Several writers use
 * the same folders, each through a store of its own, as processes do.
 */

enum { WRITERS = 3, ROUNDS = 12, CLAIMS = 40 };

#define SIZE 3000

/* From a moment on, until another, an object is there in some version (ANY:
 * whichever), or is not (GONE). */
enum { GONE, ANY, FIRST, SECOND };

struct claim {
	char name[40];
	int version;
	size_t from, until;
};

struct writer {
	pthread_t thread;
	unsigned number;
	struct claim claims[ROUNDS * CLAIMS];
	size_t count;
};

static char dir[64], root[80], pool[80], after[80];
static struct writer writers[WRITERS];
static pthread_barrier_t together;
static char why[600];

/* ---- objects: each byte follows from name and version ---------------- */

static void fill(const char *name, int version, uint8_t to[SIZE])
{
	uint64_t x = (uint64_t)version;

	for (const char *p = name; *p != '\0'; p++)
		x = power_dice(x ^ (uint8_t)*p);
	for (size_t i = 0; i < SIZE; i++)
		to[i] = (uint8_t)(x >> i % 8 * 8 ^ i);
}

/* Its version, or GONE, or -1. */
static int version_of(struct store *s, const char *name)
{
	AUTO(buf_fini) struct buf got = BUF_INIT;
	uint8_t want[SIZE];
	struct err e = ERR_INIT;

	if (store_load(s, name, 1u << 20, &got, &e) < 0)
		return e.code == ERR_NOT_FOUND ? GONE : -1;
	for (int v = FIRST; v <= SECOND && got.len == SIZE; v++) {
		fill(name, v, want);
		if (memcmp(got.p, want, SIZE) == 0)
			return v;
	}
	return -1;
}

/* ---- what is done ---------------------------------------------------- */

static void claim(struct writer *w, const char *name, int version)
{
	struct claim *c = &w->claims[w->count++];

	assert_true(w->count <= ROUNDS * CLAIMS);
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->version = version;
	c->from = power_now();
	c->until = SIZE_MAX;
}

/* What was said of one's own object holds no longer. */
static void revoke(struct writer *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->claims[i].name, name) == 0 &&
		    w->claims[i].until == SIZE_MAX)
			w->claims[i].until = power_now();
}

static void put(struct writer *w, struct store *s, const char *name,
		int version)
{
	uint8_t bytes[SIZE];
	struct iovec iov = { .iov_base = bytes, .iov_len = SIZE };
	struct err e = ERR_INIT;

	fill(name, version, bytes);
	revoke(w, name);
	if (store_put(s, name, &iov, 1, &e) == 0)
		claim(w, name, version);
}

static void put_new(struct writer *w, struct store *s, const char *name)
{
	uint8_t bytes[SIZE];
	struct iovec iov = { .iov_base = bytes, .iov_len = SIZE };
	struct err e = ERR_INIT;

	fill(name, FIRST, bytes);
	if (store_put_new(s, name, &iov, 1, &e) == 0 || e.code == ERR_EXISTS)
		claim(w, name, FIRST);
}

static void del(struct writer *w, struct store *s, const char *name)
{
	struct err e = ERR_INIT;

	revoke(w, name);
	if (store_del(s, name, &e) == 0)
		claim(w, name, GONE);
}

struct seen {
	struct writer *writer;
	char names[16][40];
	size_t count;
};

static int see(void *ctx, const char *name, const struct store_stat *st,
	       struct err *e)
{
	struct seen *seen = ctx;

	(void)st;
	(void)e;
	/* those that nobody deletes */
	if (strstr(name, "short") == NULL && seen->count < 16)
		snprintf(seen->names[seen->count++], 40, "%s", name);
	return 0;
}

static void list(struct writer *w, struct store *s, const char *prefix)
{
	struct seen seen = { .writer = w };
	struct err e = ERR_INIT;

	if (store_list(s, prefix, see, &seen, &e) < 0)
		return;
	for (size_t i = 0; i < seen.count; i++)
		claim(w, seen.names[i], ANY);
}

/* All rush into a folder that nobody has made; each in another order. */
static void round_of(struct writer *w, struct store *s, unsigned round)
{
	char folder[24], shared[32], own[32], brief[32];
	unsigned turn = (round + w->number) % WRITERS;

	snprintf(folder, sizeof(folder), "r%u/in/", round);
	snprintf(shared, sizeof(shared), "%sshared", folder);
	snprintf(own, sizeof(own), "%sown%u", folder, w->number);
	snprintf(brief, sizeof(brief), "%sshort%u", folder, w->number);
	if (turn == 0)
		list(w, s, folder);
	if (turn == 1)
		put(w, s, own, FIRST);
	put_new(w, s, shared);
	put(w, s, brief, FIRST);
	list(w, s, folder);
	put(w, s, own, SECOND);
	del(w, s, brief);
}

static void *write_all(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct err e = ERR_INIT;

		pthread_barrier_wait(&together);
		/* a process that is new knows of no folder */
		struct store *s = store_dir_open(root, &e);

		if (s == NULL)
			return NULL;
		round_of(w, s, i);
		store_close(s);
	}
	return w;
}

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	power_quick_tmp();
	snprintf(dir, sizeof(dir), "%.40s/vmkeep-power-XXXXXX",
		 getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(root, sizeof(root), "%s/store", dir);
	snprintf(pool, sizeof(pool), "%s/pool", dir);
	snprintf(after, sizeof(after), "%s/after", dir);
	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(mkdir(pool, 0700), 0);
	power_record(root);
	assert_int_equal(store_dir_create(root, &e), 0);
	pthread_barrier_init(&together, NULL, WRITERS);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		assert_int_equal(pthread_create(&writers[i].thread, NULL,
						write_all, &writers[i]),
				 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		void *done;

		pthread_join(writers[i].thread, &done);
		assert_non_null(done);
	}
	pthread_barrier_destroy(&together);
	power_stop();
	print_message("# %zu calls, %zu claims of the first\n", power_now(),
		      writers[0].count);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	power_free();
	power_remove(dir);
	return 0;
}

/* ---- what is found --------------------------------------------------- */

static bool kept(struct store *s, const struct claim *c)
{
	int got = version_of(s, c->name);

	if (got == c->version || (c->version == ANY && got >= FIRST))
		return true;
	snprintf(why, sizeof(why), "'%s': version %d, not %d, since call %zu",
		 c->name, got, c->version, c->from);
	return false;
}

static int whole(void *ctx, const char *name, const struct store_stat *st,
		 struct err *e)
{
	(void)st;
	if (version_of(ctx, name) >= FIRST || strcmp(name, "probe") == 0)
		return 0;
	return err_set(e, ERR_INTEGRITY, "'%s' is not whole", name);
}

static bool check(size_t at)
{
	struct err e = ERR_INIT;
	struct store *s = store_dir_open(after, &e);
	bool good = store_list(s, "", whole, s, &e) == 0;

	if (!good)
		snprintf(why, sizeof(why), "%s", e.msg);
	for (unsigned k = 0; k < WRITERS; k++)
		for (size_t i = 0; good && i < writers[k].count; i++) {
			const struct claim *c = &writers[k].claims[i];

			if (c->from <= at && at <= c->until)
				good = kept(s, c);
		}
	store_close(s);
	return good;
}

static bool cut(size_t at, uint64_t seed, const struct power_lie *lie)
{
	power_cut(at, seed, lie, pool, after);

	bool good = check(at);

	power_remove(after);
	return good;
}

static void must(size_t at, uint64_t seed)
{
	const struct power_lie none = { .no_data = false };

	if (!cut(at, seed, &none))
		fail_msg("cut behind call %zu of %zu, seed %llu: %s", at,
			 power_now(), (unsigned long long)seed, why);
}

/* ---- the tests ------------------------------------------------------- */

static void test_every_call(void **state)
{
	(void)state;
	for (size_t at = 0; at <= power_now(); at++)
		must(at, at % 2);
}

static void test_any_part(void **state)
{
	uint64_t cuts = getenv("VMKEEP_TEST_LONG") != NULL ? 100000 : 2000;

	(void)state;
	for (uint64_t seed = 2; seed < cuts; seed++)
		must(power_dice(seed) % (power_now() + 1), seed);
}

/* Of a disk that flushes nothing the same check must find damage. */
static void test_a_lie_is_seen(void **state)
{
	const struct power_lie lies[] = { { .no_data = true },
					  { .no_folders = true } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned found = 0;

		for (uint64_t seed = 2; seed < 100; seed++)
			found += !cut(power_dice(seed) % (power_now() + 1),
				      seed, &lies[i]);
		print_message("# %u of 98: %s\n", found, why);
		assert_true(found > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call),
		cmocka_unit_test(test_any_part),
		cmocka_unit_test(test_a_lie_is_seen),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
