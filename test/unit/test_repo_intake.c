/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/obj.h"
#include "repo/session.h"
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

/* Back up, open afresh, compare every byte. */
static void round_trip(struct store *s, const struct fake *f, size_t n)
{
	struct repo *r = kit_open(&kit, s);
	struct kit_backup b = { .images = f, .count = n, .workers = 2 };
	struct err e = ERR_INIT;

	if (kit_backup(r, &b, &e) < 0)
		fail_msg("%s", e.msg);
	repo_close(r);
	r = kit_open(&kit, s);
	for (size_t i = 0; i < n; i++)
		if (kit_compare(r, &b.set, &b.set.points[i].images[0].root,
				&f[i], &e) < 0)
			fail_msg("image %zu: %s", i, e.msg);
	set_fini(&b.set);
	repo_close(r);
}

static void test_sizes(void **state)
{
	static const struct fake all[] = {
		{ .size = 0 },
		{ .size = 1, .seed = 1 },
		{ .size = 4095, .seed = 2 },
		{ .size = 4096, .seed = 3 },
		{ .size = 4097, .seed = 4 },
		{ .size = EXTENT_SIZE - 1, .seed = 5 },
		{ .size = EXTENT_SIZE, .seed = 6 },
		{ .size = EXTENT_SIZE + 1, .seed = 7, .zero_percent = 30 },
		{ .size = 3 * EXTENT_SIZE + 12345,
		  .seed = 8,
		  .zero_percent = 60 },
		{ .size = 5 * EXTENT_SIZE, .seed = 9, .zero_percent = 100 },
		{ .size = 700, .seed = 10, .zero_percent = 100 },
	};
	struct store *s = kit_create_mem(&kit);

	(void)state;
	round_trip(s, all, sizeof(all) / sizeof(all[0]));
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* Two and three levels of nodes, nearly all holes. */
static void test_sparse(void **state)
{
	static const struct fake all[] = {
		{ .size = 256ull * EXTENT_SIZE,
		  .every = 255,
		  .seed = 1,
		  .zero_percent = 97 },
		{ .size = 256ull * EXTENT_SIZE + 1,
		  .every = 256,
		  .seed = 2,
		  .zero_percent = 90 },
		{ .size = 1000ull * EXTENT_SIZE + 77,
		  .every = 333,
		  .seed = 3,
		  .zero_percent = 97 },
		{ .size = 70000ull * EXTENT_SIZE,
		  .every = 33333,
		  .seed = 4,
		  .zero_percent = 97 },
		{ .size = 20ull << 40, .every = 100000000, .seed = 5 },
		{ .size = 300ull * EXTENT_SIZE,
		  .every = 299,
		  .zero_percent = 100 },
	};
	struct store *s = kit_create_mem(&kit);

	(void)state;
	round_trip(s, all, sizeof(all) / sizeof(all[0]));
	kit_verify_clean(&kit, s);
	store_close(s);
}

static void test_on_a_folder(void **state)
{
	static const struct fake f = { .size = 9 * EXTENT_SIZE + 5,
				       .seed = 77,
				       .zero_percent = 20 };
	struct kit_backup b = { .images = &f, .count = 1, .workers = 2 };
	struct err e = ERR_INIT;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/store", kit.dir);
	assert_int_equal(store_dir_create(path, &e), 0);
	struct store *s = store_dir_open(path, &e);

	assert_non_null(s);
	kit_create(&kit, s);
	for (int pass = 0; pass < 2; pass++) {
		struct repo *r = kit_try_open(&kit, s, NULL, &e);

		assert_non_null(r);
		if (pass == 0)
			assert_int_equal(kit_backup(r, &b, &e), 0);
		else if (kit_compare(r, &b.set, &b.set.points[0].images[0].root,
				     &f, &e) < 0)
			fail_msg("%s", e.msg);
		repo_close(r);
		s = store_dir_open(path, &e);
		assert_non_null(s);
	}
	set_fini(&b.set);
	store_close(s);
}

/* ---- deduplication --------------------------------------------------- */

static const struct fake base = {
	.size = 8 * EXTENT_SIZE + 999,
	.seed = 5,
	.zero_percent = 25,
	.seed2 = 6,
};

static void test_same_image_twice(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, s);
	struct intake_stats first, again;

	(void)state;
	kit_backup_one(r, &base, &first);
	assert_true(first.new_chunks > 0);
	assert_int_equal(first.new_chunks, first.chunks);
	assert_int_equal(first.new_bytes, first.pages);

	size_t data = kit_count(s, "data/");
	size_t meta = kit_count(s, "meta/");

	assert_true(data > 1);
	/* by the same process, and by another */
	kit_backup_one(r, &base, &again);
	assert_int_equal(again.new_chunks, 0);
	assert_int_equal(again.new_bytes, 0);
	assert_int_equal(again.pages, first.pages);
	assert_true(again.stored_bytes < first.stored_bytes / 10);
	repo_close(r);
	r = kit_open(&kit, s);
	kit_backup_one(r, &base, &again);
	assert_int_equal(again.new_chunks, 0);
	repo_close(r);
	assert_int_equal(kit_count(s, "data/"), data);
	assert_int_equal(kit_count(s, "meta/"), meta);
	assert_int_equal(kit_count(s, "points/"), 3);
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* A set restores when only its own segments are open. */
static void restore_all(struct store *s, const struct fake *f, size_t n)
{
	struct catalog c;
	struct err e = ERR_INIT;
	struct repo *r = kit_open(&kit, s);

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.damaged_count, 0);
	assert_int_equal(c.count, n);
	for (size_t i = 0; i < n; i++) {
		AUTO(repo_close_at) struct repo *one = kit_open(&kit, s);
		const struct set *set = &c.sets[i];
		bool found = false;

		for (size_t k = 0; k < n && !found; k++)
			found = attrs_get(&set->attrs, "test") == NULL &&
				set->points[0].images[0].root.size ==
					f[k].size &&
				kit_compare(one, set,
					    &set->points[0].images[0].root,
					    &f[k], &e) == 0;
		if (!found)
			fail_msg("set %zu: %s", i, e.msg);
	}
	catalog_fini(&c);
	repo_close(r);
}

static void test_borrowing(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct intake_stats first, second;
	struct fake f[3] = { base, base, base };

	(void)state;
	/* other sizes, so that restore_all() can tell them apart */
	f[1].changed_permille = 5;
	f[1].size += PAGE_SIZE_BYTES;
	f[2].changed_permille = 20;
	f[2].size += 2 * PAGE_SIZE_BYTES;
	for (size_t i = 0; i < 3; i++) {
		struct repo *r = kit_open(&kit, s);

		kit_backup_one(r, &f[i], i == 0 ? &first : &second);
		repo_close(r);
		if (i > 0) {
			assert_true(second.new_chunks > 0);
			assert_true(second.new_chunks < first.chunks / 2);
		}
	}
	kit_verify_clean(&kit, s);
	restore_all(s, f, 3);
	store_close(s);
}

/* What is claimed is published now and then, while workers go on. */
static void test_many_segments(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct fake f[3] = { base, base, base };
	struct kit_backup b = {
		.images = f, .count = 3, .workers = 3, .claims_max = 100
	};
	struct err e = ERR_INIT;

	(void)state;
	f[1].changed_permille = 100;
	f[2].changed_permille = 200;
	for (int pass = 0; pass < 2; pass++) {
		struct repo *r = kit_open(&kit, s);

		if (kit_backup(r, &b, &e) < 0)
			fail_msg("%s", e.msg);
		repo_close(r);
		assert_true(b.set.segment_count > 3);
		assert_true(pass == 0 || b.stats.new_chunks == 0);
		r = kit_open(&kit, s);
		for (size_t i = 0; i < 3; i++)
			if (kit_compare(r, &b.set,
					&b.set.points[i].images[0].root, &f[i],
					&e) < 0)
				fail_msg("image %zu: %s", i, e.msg);
		set_fini(&b.set);
		repo_close(r);
	}
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* A session that a keeper has revoked does not commit, and is no damage. */
static void test_revoked(void **state)
{
	static const uint8_t words[] = { 1, 0, OUTCOME_REVOKED };
	struct store *s = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, s);
	const struct intake_options o = { .workers = 1 };
	struct err e = ERR_INIT;
	struct intake *in = intake_open(r, &o, &e);
	AUTO(keyring_free_at)
	struct keyring *keeper = kit_role(r->keys, ROLE_MAINTAINER);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(kit_names_fini) struct kit_names sessions;
	struct image_root root;
	struct set set = { 0 };

	(void)state;
	assert_non_null(in);
	assert_int_equal(kit_put(in, &base, &root, &e), 0);
	kit_list(s, "sess/", &sessions);
	assert_int_equal(sessions.count, 1);
	autofree char *name = mem_fmt("points/%s", sessions.names[0] + 5);

	wr_bytes(&b, words, sizeof(words));
	assert_int_equal(obj_put_new(s, keeper, name, &b, &e), 0);
	assert_int_equal(intake_commit(in, &set, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_non_null(strstr(e.msg, "run the backup again"));
	intake_close(in);
	set_fini(&set);
	repo_close(r);
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* Two equal images in one session cost one. */
static void test_twins(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, s);
	const struct fake f[2] = { base, base };
	struct kit_backup b = { .images = f, .count = 2, .workers = 2 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(kit_backup(r, &b, &e), 0);
	assert_int_equal(b.set.point_count, 2);
	assert_memory_equal(&b.set.points[0].images[0].root.top,
			    &b.set.points[1].images[0].root.top, HASH_SIZE);
	assert_int_equal(2 * b.stats.new_bytes, b.stats.pages);
	repo_close(r);
	set_fini(&b.set);
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* Nothing is there before the commit, and nothing after giving up. */
static void test_close_without_commit(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, s);
	const struct intake_options o = { .workers = 2 };
	struct err e = ERR_INIT;
	struct intake *in = intake_open(r, &o, &e);
	struct image_root root;

	(void)state;
	assert_non_null(in);
	assert_int_equal(kit_put(in, &base, &root, &e), 0);
	assert_int_equal(kit_count(s, "points/"), 0);
	intake_close(in);

	/* with an image under way */
	in = intake_open(r, &o, &e);
	assert_non_null(in);
	struct intake_image *img = intake_image(in, EXTENT_SIZE * 4);

	for (uint64_t i = 0; i < 4; i++) {
		uint8_t *b = intake_buffer(in, &e);

		assert_non_null(b);
		fake_extent(&base, i, b);
		assert_int_equal(intake_put(in, img, i, b, &e), 0);
	}
	intake_close(in);
	repo_close(r);
	assert_int_equal(kit_count(s, "points/"), 0);
	kit_verify_clean(&kit, s);
	store_close(s);
}

/* ---- several at once ------------------------------------------------- */

struct feeder {
	struct intake *in;
	struct fake fake;
	struct image_root root;
	struct err e;
	int done;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;

	f->done = kit_put(f->in, &f->fake, &f->root, &f->e);
	return NULL;
}

#define FEEDERS 4

static void test_images_from_several_threads(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, s);
	const struct intake_options o = { .workers = 3 };
	struct err e = ERR_INIT;
	struct intake *in = intake_open(r, &o, &e);
	struct feeder f[FEEDERS];
	pthread_t t[FEEDERS];
	struct set set = { 0 };

	(void)state;
	assert_non_null(in);
	for (unsigned i = 0; i < FEEDERS; i++) {
		f[i] = (struct feeder){ .in = in, .fake = base };
		f[i].fake.changed_permille = i * 100;
		assert_int_equal(pthread_create(&t[i], NULL, feed, &f[i]), 0);
	}
	for (unsigned i = 0; i < FEEDERS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(f[i].done, 0);
		struct point *p = set_add_point(&set);

		p->name = mem_fmt("vm%u", i);
		struct image *image = point_add_image(p);

		image->kind = IMAGE_DISK;
		image->name = mem_strdup("vda");
		image->root = f[i].root;
	}
	assert_int_equal(intake_commit(in, &set, &e), 0);
	intake_close(in);
	repo_close(r);
	r = kit_open(&kit, s);
	for (unsigned i = 0; i < FEEDERS; i++)
		assert_int_equal(
			kit_compare(r, &set, &f[i].root, &f[i].fake, &e), 0);
	repo_close(r);
	set_fini(&set);
	kit_verify_clean(&kit, s);
	store_close(s);
}

struct session_thread {
	struct store *s;
	struct fake fake;
	struct err e;
	int done;
};

static void *session(void *arg)
{
	struct session_thread *t = arg;
	struct repo *r = kit_try_open(&kit, store_mem_share(t->s), NULL, &t->e);
	struct kit_backup b = { .images = &t->fake, .count = 1, .workers = 2 };

	t->done = r != NULL ? kit_backup(r, &b, &t->e) : -1;
	if (t->done == 0)
		set_fini(&b.set);
	repo_close(r);
	return NULL;
}

static void test_sessions_at_once(void **state)
{
	struct store *s = kit_create_mem(&kit);
	struct session_thread t[FEEDERS];
	struct fake f[FEEDERS];
	pthread_t id[FEEDERS];

	(void)state;
	for (unsigned i = 0; i < FEEDERS; i++) {
		f[i] = base;
		f[i].size += i * PAGE_SIZE_BYTES;
		f[i].changed_permille = i * 50;
		t[i] = (struct session_thread){ .s = s, .fake = f[i] };
		assert_int_equal(pthread_create(&id[i], NULL, session, &t[i]),
				 0);
	}
	for (unsigned i = 0; i < FEEDERS; i++) {
		pthread_join(id[i], NULL);
		if (t[i].done < 0)
			fail_msg("session %u: %s", i, t[i].e.msg);
	}
	kit_verify_clean(&kit, s);
	restore_all(s, f, FEEDERS);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_on_a_folder),
		cmocka_unit_test(test_same_image_twice),
		cmocka_unit_test(test_borrowing),
		cmocka_unit_test(test_many_segments),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_close_without_commit),
		cmocka_unit_test(test_images_from_several_threads),
		cmocka_unit_test(test_sessions_at_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
