/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
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
#include "power.h"
#include "repo/collect.h"
#include "repo/tomb.h"
#include "repo_kit.h"

/*
 * The power is cut at any moment of two writers' and a collector's work on a
 * folder.  What was committed is there bit for bit, what was not is there
 * whole or not at all, what was forgotten does not come back, and the next
 * backup and the next collection work, also with the cache of before.
 */

enum { WRITERS = 2, EACH = 4, WANTS = WRITERS * EACH, IMAGES = 3 };

/* Those that are forgotten, in this order, as soon as they are there. */
static const size_t forgotten[] = { 0, EACH, EACH + 1, 3 };

#define SIZE 60000

/* A backup as it was made, with moments of the disk. */
struct want {
	struct fake images[IMAGES];
	struct buf bytes[IMAGES];
	_Atomic size_t done; /* 0: given up */
	size_t leaves;       /* the tomb is being put; 0: never */
	size_t left;         /* it is there */
};

static struct kit kit;
static char root[96], pool[96], after[96], cache[96];
static size_t created;               /* when the repository was there */
static struct want wants[WANTS + 1]; /* and the next one, after a cut */
static pthread_barrier_t start;
static char why[600];

/* ---- what is done ---------------------------------------------------- */

static void want_init(struct want *w, size_t number)
{
	static uint8_t extent[EXTENT_SIZE];

	for (size_t i = 0; i < IMAGES; i++) {
		/* the size tells who it is */
		w->images[i] = (struct fake){
			.size = SIZE + number * IMAGES + i,
			.seed = 7 + i,
			.zero_percent = 20,
			.changed_permille = 300,
			.seed2 = number,
		};
		fake_extent(&w->images[i], 0, extent);
		wr_bytes(&w->bytes[i], extent, w->images[i].size);
	}
}

static struct repo *open_at(const char *path, const char *cache_dir,
			    struct err *e)
{
	struct store *s = store_dir_open(path, e);

	return s != NULL ? kit_try_open(&kit, s, cache_dir, e) : NULL;
}

static int backup(struct repo *r, const struct want *w, struct err *e)
{
	struct kit_backup b = { .images = w->images,
				.count = IMAGES,
				.workers = 1,
				.claims_max = 8 };

	if (kit_backup(r, &b, e) < 0)
		return -1;
	set_fini(&b.set);
	return 0;
}

/* Everything but the commit. */
static int give_up(struct repo *r, const struct want *w, struct err *e)
{
	const struct intake_options o = { .workers = 1, .claims_max = 8 };
	AUTO(intake_close_at) struct intake *in = intake_open(r, &o, e);
	struct image_root top;

	for (size_t i = 0; in != NULL && i < IMAGES; i++)
		if (kit_put(in, &w->images[i], &top, e) < 0)
			return -1;
	return in != NULL ? 0 : -1;
}

static int write_one(struct want *w, bool commit, struct err *e)
{
	AUTO(repo_close_at) struct repo *r = open_at(root, cache, e);

	if (r == NULL)
		return -1;
	if (!commit)
		return give_up(r, w, e);
	if (backup(r, w, e) < 0)
		return -1;
	w->done = power_now();
	return 0;
}

/* Like a process: it opens, makes one backup, and ends.  The third one is
 * given up. */
static void *writer(void *arg)
{
	struct want *own = arg;
	struct err e = ERR_INIT;

	pthread_barrier_wait(&start);
	for (size_t i = 0; i < EACH; i++)
		if (write_one(&own[i], i != 2, &e) < 0)
			return mem_strdup(e.msg);
	return NULL;
}

static bool is_want(const struct set *set, const struct want *w)
{
	return set->point_count == IMAGES &&
	       set->points[0].images[0].root.size == w->images[0].size;
}

/* All points of one set. */
static int forget(struct repo *r, struct want *w, struct err *e)
{
	AUTO(catalog_fini) struct catalog c = { .sets = NULL };

	if (catalog_load(r, &c, e) < 0)
		return -1;
	for (size_t i = 0; i < c.count; i++)
		for (size_t k = 0; is_want(&c.sets[i], w) && k < IMAGES; k++)
			if (tomb_put(r, &c.sets[i], &c.sets[i].points[k],
				     TOMB_POINT, e) < 0)
				return -1;
	return 0;
}

static int collect(struct repo *r, int64_t silent_ns, struct err *e)
{
	const struct collect_options o = { .silent_ns = silent_ns };
	struct collect_result result = { .generation = 0 };
	int done = collect_run(r, &o, &result, e);

	collect_result_fini(&result);
	return done;
}

static int keep_one(struct want *w, struct err *e)
{
	AUTO(repo_close_at) struct repo *r = open_at(root, cache, e);

	if (r == NULL)
		return -1;
	if (w != NULL) {
		w->leaves = power_now();
		if (forget(r, w, e) < 0)
			return -1;
		w->left = power_now();
	}
	return collect(r, 0, e);
}

/* Forgets what is there, and collects beside the writers and after them. */
static void *keeper(void *arg)
{
	struct err e = ERR_INIT;

	(void)arg;
	pthread_barrier_wait(&start);
	for (size_t i = 0; i < 2 + sizeof(forgotten) / sizeof(*forgotten);
	     i++) {
		struct want *w = i < sizeof(forgotten) / sizeof(*forgotten)
					 ? &wants[forgotten[i]]
					 : NULL;

		for (unsigned ms = 0; w && !w->done && ms < 60000; ms++)
			usleep(1000);
		if (keep_one(w, &e) < 0)
			return mem_strdup(e.msg);
	}
	return NULL;
}

static void write_all(void)
{
	pthread_t threads[WRITERS + 1];

	pthread_barrier_init(&start, NULL, WRITERS + 1);
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, writer,
						&wants[i * EACH]),
				 0);
	assert_int_equal(pthread_create(&threads[WRITERS], NULL, keeper, NULL),
			 0);
	for (size_t i = 0; i <= WRITERS; i++) {
		void *said;

		pthread_join(threads[i], &said);
		if (said != NULL)
			fail_msg("%s", (char *)said);
	}
	pthread_barrier_destroy(&start);
}

static void place(char out[96], const char *name)
{
	snprintf(out, 96, "%s/%s", kit.dir, name);
}

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	power_quick_tmp();
	kit_init(&kit);
	place(root, "store");
	place(pool, "pool");
	place(after, "after");
	place(cache, "cache");
	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(mkdir(pool, 0700), 0);
	for (size_t i = 0; i <= WANTS; i++)
		want_init(&wants[i], i);
	power_record(root);
	assert_int_equal(store_dir_create(root, &e), 0);

	struct store *s = store_dir_open(root, &e);

	assert_non_null(s);
	kit_create(&kit, s);
	store_close(s);
	created = power_now();
	write_all();
	power_stop();
	print_message("# %zu calls\n", power_now());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i <= WANTS; i++)
		for (size_t k = 0; k < IMAGES; k++)
			buf_fini(&wants[i].bytes[k]);
	power_free();
	kit_fini(&kit);
	return 0;
}

/* ---- what is found --------------------------------------------------- */

static bool wrong(const char *what, const struct err *e)
{
	snprintf(why, sizeof(why), "%s: %s", what, e != NULL ? e->msg : "");
	return false;
}

/* One point; counts it in seen[], by the number that its size tells. */
static bool check_point(struct repo *r, const struct set *set,
			const struct point *p, unsigned seen[WANTS + 1])
{
	const struct image_root *top = &p->images[0].root;
	AUTO(buf_fini) struct buf got = BUF_INIT;
	size_t number = (top->size - SIZE) / IMAGES;
	struct err e = ERR_INIT;

	if (number > WANTS)
		return wrong("a point that nobody made", NULL);
	if (reader_bytes(r, set, top, EXTENT_SIZE, &got, &e) < 0)
		return wrong("a point that does not read", &e);

	const struct buf *want =
		&wants[number].bytes[(top->size - SIZE) % IMAGES];

	if (got.len != want->len || memcmp(got.p, want->p, got.len) != 0)
		return wrong("wrong bytes", NULL);
	seen[number]++;
	return true;
}

/* What must be there is there, and what must not is not. */
static bool check_seen(const unsigned seen[WANTS + 1], size_t at)
{
	for (size_t i = 0; i < WANTS; i++) {
		const struct want *w = &wants[i];
		bool done = w->done > 0 && w->done <= at;

		if (seen[i] == IMAGES && w->left > 0 && w->left <= at)
			return wrong("a forgotten set has come back", NULL);
		if (seen[i] == IMAGES)
			continue;
		if (done && (w->leaves == 0 || at <= w->leaves))
			return wrong("a committed set is lost", NULL);
		if (seen[i] > 0 && w->leaves == 0)
			return wrong("half a set", NULL);
	}
	return true;
}

static bool check_points(struct repo *r, size_t at)
{
	AUTO(catalog_fini) struct catalog c = { .sets = NULL };
	unsigned seen[WANTS + 1] = { 0 };
	struct err e = ERR_INIT;

	if (catalog_load(r, &c, &e) < 0)
		return wrong("no list of points", &e);
	if (c.damaged_count > 0)
		return wrong(c.damaged[0].msg, NULL);
	for (size_t i = 0; i < c.count; i++)
		for (size_t k = 0; k < c.sets[i].point_count; k++)
			if (!check_point(r, &c.sets[i], &c.sets[i].points[k],
					 seen))
				return false;
	return check_seen(seen, at);
}

static bool check_verify(struct repo *r)
{
	const struct verify_options o = { .read_data = true,
					  .talk = &talk_none };
	AUTO(catalog_fini) struct catalog c = { .sets = NULL };
	AUTO(verify_result_fini) struct verify_result v = { .damages = NULL };
	struct err e = ERR_INIT;

	if (catalog_load(r, &c, &e) < 0 || verify_run(r, &c, &o, &v, &e) < 0)
		return wrong("verify", &e);
	return v.damage_count == 0 || wrong(v.damages[0].msg, NULL);
}

/* Everything as it was, also when another backup is added to it, and when all
 * that were at work are taken for dead and collected. */
static bool check_next(size_t at)
{
	AUTO(repo_close_at) struct repo *r = NULL;
	struct err e = ERR_INIT;
	int done;

	r = open_at(after, cache, &e);
	done = r != NULL ? backup(r, &wants[WANTS], &e) : -1;
	if (done == 0 && at % 2 == 0)
		done = collect(r, 1, &e);
	if (done < 0)
		return wrong("the next backup or collection", &e);
	repo_close(mem_take(&r));
	r = open_at(after, NULL, &e);
	if (r == NULL)
		return wrong("opening it again", &e);
	return check_points(r, at) && check_verify(r);
}

static bool check(size_t at, bool more)
{
	struct err e = ERR_INIT;
	AUTO(repo_close_at) struct repo *r = open_at(after, NULL, &e);

	/* before init has ended nothing is promised */
	if (r == NULL)
		return at < created || wrong("opening it", &e);
	if (!check_points(r, at))
		return false;
	return !more || check_next(at);
}

static bool cut(size_t at, uint64_t seed, const struct power_lie *lie)
{
	power_cut(at, seed, lie, pool, after);

	bool fine = check(at, seed % 8 < 2);

	power_remove(after);
	return fine;
}

static void must(size_t at, uint64_t seed)
{
	const struct power_lie none = { .no_data = false };

	if (!cut(at, seed, &none))
		fail_msg("cut behind call %zu of %zu, seed %llu: %s", at,
			 power_now(), (unsigned long long)seed, why);
}

/* ---- the tests ------------------------------------------------------- */

static void test_nothing_is_cut(void **state)
{
	(void)state;
	must(power_now(), 1);
}

/* All that was not flushed is lost, or nothing: behind every call. */
static void test_every_call(void **state)
{
	(void)state;
	for (size_t at = 0; at <= power_now(); at += kit_long() ? 1 : 7)
		must(at, at % 2);
}

static void test_any_part(void **state)
{
	uint64_t cuts = kit_long() ? 50000 : 400;

	(void)state;
	for (uint64_t seed = 2; seed < cuts; seed++)
		must(power_dice(seed) % (power_now() + 1), seed);
}

/* Of a disk that flushes nothing the same check must find damage. */
static void lied_to(const struct power_lie *lie)
{
	size_t calls = power_now() - lie->from;
	unsigned found = 0;

	for (uint64_t seed = 2; seed < 100; seed++)
		found += !cut(lie->from + power_dice(seed) % (calls + 1), seed,
			      lie);
	print_message("# %u of 98: %s\n", found, why);
	assert_true(found > 10);
}

static void test_a_lie_is_seen(void **state)
{
	(void)state;
	lied_to(&(struct power_lie){ .no_data = true, .from = created });
	lied_to(&(struct power_lie){ .no_folders = true, .from = created });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_cut),
		cmocka_unit_test(test_every_call),
		cmocka_unit_test(test_any_part),
		cmocka_unit_test(test_a_lie_is_seen),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
