/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/beat.h"
#include "repo/pace.h"
#include "repo_kit.h"

static struct kit kit;

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

/* A backup at a level, compared afterwards byte by byte. */
static void backup_at(struct store *s, int level, struct kit_backup *b)
{
	struct repo *r = kit_open(&kit, s);
	struct err e = ERR_INIT;

	r->level = level;
	if (kit_backup(r, b, &e) < 0)
		fail_msg("level %d: %s", level, e.msg);
	repo_close(r);
	r = kit_open(&kit, s);
	for (size_t i = 0; i < b->count; i++)
		if (kit_compare(r, &b->set, &b->set.points[i].images[0].root,
				&b->images[i], &e) < 0)
			fail_msg("level %d: image %zu: %s", level, i, e.msg);
	set_fini(&b->set);
	repo_close(r);
}

#define EXTENTS 24

static const struct fake before = {
	.size = (uint64_t)EXTENTS * EXTENT_SIZE,
	.seed = 21,
	.seed2 = 22,
};

/* A few changed pages in each extent are a few blobs, not one each. */
static void test_scattered_changes(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct fake after = before;
	struct kit_backup b = { .images = &before, .count = 1, .workers = 2 };

	(void)state;
	backup_at(s, 1, &b);
	/* full blobs: at most one more for each worker's way through it */
	assert_true(b.stats.blobs <= before.size / (512u << 10) * 5 / 4);
	after.changed_permille = 2;
	b.images = &after;
	backup_at(s, 1, &b);
	assert_true(b.stats.new_chunks >= EXTENTS);
	assert_true(b.stats.blobs < EXTENTS);
	assert_true(b.stats.blobs <= b.stats.new_bytes / (256u << 10) + 1);
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* A segment is published while chunks are gathered: they are in it. */
static void test_publish_between(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct fake after = before;
	struct kit_backup b = {
		.images = &before, .count = 1, .workers = 3, .claims_max = 150
	};
	struct err e = ERR_INIT;

	(void)state;
	backup_at(s, 1, &b);
	after.changed_permille = 5;
	b.images = &after;
	b.claims_max = 20;
	struct repo *r = kit_open(&kit, s);

	assert_int_equal(kit_backup(r, &b, &e), 0);
	assert_true(b.set.segment_count > 4);
	set_fini(&b.set);
	/* all of it is found again */
	assert_int_equal(kit_backup(r, &b, &e), 0);
	assert_int_equal(b.stats.new_chunks, 0);
	assert_int_equal(b.stats.blobs, 0);
	set_fini(&b.set);
	repo_close(r);
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* Every call of the store fails once; what is gathered then is not lost in a
 * point that exists. */
static void test_failures(void **state)
{
	struct fake f = { .size = 5 * EXTENT_SIZE,
			  .seed = 31,
			  .zero_percent = 80 };
	bool done = false;

	(void)state;
	for (uint64_t call = 1; !done; call += 1) {
		struct store *s = kit_create_mem(&kit);
		struct store_fault_plan plan = { .fail_at = call };
		struct err e = ERR_INIT;
		struct repo *r = kit_try_open(
			&kit, store_fault_new(store_mem_share(s), &plan), NULL,
			&e);
		struct kit_backup b = {
			.images = &f, .count = 1, .workers = 2, .claims_max = 12
		};

		done = r != NULL && kit_backup(r, &b, &e) == 0 && call > 40;
		set_fini(&b.set);
		repo_close(r);
		kit_verify_clean(&kit, s);
		store_close(s);
		assert_true(call < 1000);
	}
}

/* Different levels share what they have in common. */
static void test_all_levels(void **state)
{
	static const int levels[] = { LEVEL_AUTO,   1, 3, 6, 9, LEVEL_MAX,
				      LEVEL_ARCHIVE };
	struct fake f = { .size = 3 * EXTENT_SIZE + 5000,
			  .seed = 41,
			  .zero_percent = 70 };
	struct store *s = kit_create_mem(&kit);
	struct kit_backup b = { .images = &f, .count = 1, .workers = 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		f.seed = 41 + i;
		backup_at(s, levels[i], &b);
		assert_int_equal(b.stats.new_chunks, b.stats.chunks);
		backup_at(s, levels[(i + 1) % 7], &b);
		assert_int_equal(b.stats.new_chunks, 0);
	}
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* Blobs of 1 MiB, filled across extents, so there are fewer. */
static void test_archive(void **state)
{
	struct fake f = { .size = 6 * EXTENT_SIZE,
			  .seed = 51,
			  .zero_percent = 60 };
	struct kit_backup b = { .images = &f, .count = 1, .workers = 2 };
	struct store *s = kit_create_mem(&kit);

	(void)state;
	backup_at(s, 1, &b);
	uint64_t blobs = b.stats.blobs;

	f.seed = 52;
	backup_at(s, LEVEL_ARCHIVE, &b);
	assert_int_equal(b.stats.new_chunks, b.stats.chunks);
	assert_true(b.stats.blobs <= blobs * 3 / 4);
	assert_true(b.stats.blobs >= b.stats.new_bytes / BLOB_MAX_RAW);
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* A session that finds all known needs no data key, and stores no pack. */
static void test_nothing_new(void **state)
{
	const struct fake f = { .size = 2 * EXTENT_SIZE, .seed = 61 };
	struct kit_backup b = { .images = &f, .count = 1, .workers = 2 };
	struct store *s = kit_create_mem(&kit);

	(void)state;
	backup_at(s, 1, &b);
	assert_int_equal(kit_count(s, "ring/"), 1);
	backup_at(s, 1, &b);
	assert_int_equal(kit_count(s, "ring/"), 1);
	assert_int_equal(kit_count(s, "points/"), 2);
	store_close(s);
}

/* ---- the beat -------------------------------------------------------- */

struct ended {
	atomic_int count;
	struct err why;
};

static void beat_failed(void *ctx, const struct err *e)
{
	struct ended *end = ctx;

	end->why = *e;
	atomic_fetch_add(&end->count, 1);
}

/* The words of a session's beat; empty when there is none. */
static void load_beat(struct store *s, struct buf *b)
{
	AUTO(kit_names_fini) struct kit_names n;

	kit_list(s, "beat/", &n);
	buf_clear(b);
	if (n.count == 1)
		kit_load(s, n.names[0], b);
}

/* It is said again while nothing else happens. */
static void test_beat(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, s);
	AUTO(buf_fini) struct buf first = BUF_INIT;
	AUTO(buf_fini) struct buf now = BUF_INIT;
	struct session session;
	struct err e = ERR_INIT;
	struct ended end = { .count = 0 };

	(void)state;
	assert_int_equal(session_open(r, "host", &session, &e), 0);
	load_beat(s, &first);
	struct beat *b = beat_start(&(struct beat_parts){ .repo = r,
							  .session = &session,
							  .every_ns = 1000000,
							  .failed = beat_failed,
							  .ctx = &end },
				    &e);

	assert_non_null(b);
	do {
		usleep(1000);
		load_beat(s, &now);
	} while (now.len == first.len && memcmp(now.p, first.p, now.len) == 0);
	beat_stop(b);
	beat_stop(NULL);
	assert_int_equal(end.count, 0);
	repo_close(r);
	store_close(s);
}

static void test_beat_fails(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct store_fault_plan plan = { .fail_at = 12, .kind = FAULT_DEAD };
	struct err e = ERR_INIT;
	struct repo *r = kit_open(&kit, s);
	struct session session;
	struct ended end = { .count = 0 };

	(void)state;
	assert_int_equal(session_open(r, "host", &session, &e), 0);
	repo_close(r);
	r = kit_try_open(&kit, store_fault_new(store_mem_share(s), &plan), NULL,
			 &e);
	assert_non_null(r);
	struct beat *b = beat_start(&(struct beat_parts){ .repo = r,
							  .session = &session,
							  .every_ns = 1000000,
							  .failed = beat_failed,
							  .ctx = &end },
				    &e);

	assert_non_null(b);
	while (atomic_load(&end.count) == 0)
		usleep(1000);
	beat_stop(b);
	assert_int_equal(end.count, 1);
	assert_non_null(strstr(end.why.msg, "session lives"));
	repo_close(r);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scattered_changes),
		cmocka_unit_test(test_publish_between),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_all_levels),
		cmocka_unit_test(test_archive),
		cmocka_unit_test(test_nothing_new),
		cmocka_unit_test(test_beat),
		cmocka_unit_test(test_beat_fails),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
