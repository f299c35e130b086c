/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/generation.h"
#include "repo/obj.h"
#include "repo_kit.h"

/* The index with segments that are made up: large ones, many, of several
 * generations, and all at once. */

/* ---- made up --------------------------------------------------------- */

/* Entry i of a made-up segment. */
static struct hash made_id(uint32_t number, uint64_t i)
{
	struct hash id = { { 0 } };
	uint64_t a = kit_mix((uint64_t)number << 32 | i);
	uint64_t b = kit_mix(a);

	memcpy(id.b, &a, 8);
	memcpy(id.b + 8, &b, 8);
	return id;
}

static void made_name(uint32_t number, struct id *session,
		      char name[SEGMENT_NAME])
{
	memset(session, 0, sizeof(*session));
	memcpy(session->b, &number, sizeof(number));
	segment_name(session, 0, name);
}

static void put_made(struct repo *r, uint32_t number, size_t n)
{
	const struct segment_pack pack = { .class = BLOB_DATA };
	autofree struct segment_entry_new *entries =
		mem_zalloc(n, sizeof(*entries));
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment_new new = { .generation = 1,
				   .packs = &pack,
				   .pack_count = 1,
				   .entries = entries,
				   .entry_count = n };
	char name[SEGMENT_NAME];
	struct err e = ERR_INIT;

	made_name(number, &new.session, name);
	for (size_t i = 0; i < n; i++) {
		struct hash id = made_id(number, i);

		memcpy(entries[i].prefix, id.b, 16);
		entries[i].blob = (uint32_t)i;
	}
	segment_encode(&new, &b);
	if (obj_put_new(r->store, r->keys, name, &b, &e) < 0)
		fail_msg("%s", e.msg);
}

static struct index *made_index(struct repo *r, bool cached)
{
	return index_new(&(struct index_parts){
		.store = r->store,
		.keys = r->keys,
		.cache_dir = cached ? r->cache_dir : NULL,
	});
}

static bool made_found(struct index *ix, uint32_t number, uint64_t i)
{
	const struct index_ask ask = { .generation = 1, .most = TIER_SIBLING };
	struct hash id = made_id(number, i);
	struct index_hit hit;
	struct err e = ERR_INIT;

	return index_find(ix, &ask, BLOB_DATA, &id, &hit, &e) == 1 &&
	       hit.place.blob == i;
}

static void open_made(struct index *ix, uint32_t number)
{
	struct err e = ERR_INIT;
	char name[SEGMENT_NAME];
	struct id session;

	made_name(number, &session, name);
	if (index_open_segment(ix, name, &e) < 0)
		fail_msg("%s", e.msg);
}

static struct repo *made_repo(const struct kit *k, struct store *mem)
{
	struct err e = ERR_INIT;
	struct repo *r = kit_try_open(k, store_mem_share(mem), k->dir, &e);

	assert_non_null(r);
	return r;
}

/* More than what is kept in memory where there is no cache. */
static void test_large(void **state)
{
	const size_t n = 200000;
	struct kit k;

	(void)state;
	kit_init(&k);
	struct store *mem = kit_create_mem(&k);
	struct repo *r = made_repo(&k, mem);

	put_made(r, 0, n);
	for (int cached = 0; cached < 2; cached++) {
		struct index *ix = made_index(r, cached == 1);

		open_made(ix, 0);
		for (uint64_t i = 0; i < n; i += 37)
			assert_true(made_found(ix, 0, i));
		for (uint64_t i = 0; i < 1000; i++)
			assert_false(made_found(ix, 1, i));
		struct segment_entry_new *all = mem_zalloc(n, sizeof(*all));
		const struct index_segment *seg = index_segment_at(ix, 0);
		struct err e = ERR_INIT;

		assert_null(index_segment_at(ix, 1));
		assert_int_equal(index_segment_entries(seg, 0, all, n, &e), 0);
		for (size_t i = 1; i < n; i++)
			assert_true(memcmp(all[i - 1].prefix, all[i].prefix,
					   16) < 0);
		assert_int_equal(index_segment_entries(seg, n - 5, all, 6, &e),
				 -1);
		free(all);
		index_free(ix);
	}
	repo_close(r);
	store_close(mem);
	kit_fini(&k);
}

/* More files than are held open. */
static void test_many(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	struct store *mem = kit_create_mem(&k);
	struct repo *r = made_repo(&k, mem);

	for (uint32_t i = 0; i < 450; i++)
		put_made(r, i, 20);
	for (int round = 0; round < 2; round++) {
		struct index *ix = made_index(r, true);

		for (uint32_t i = 0; i < 450; i++)
			open_made(ix, i);
		for (uint32_t i = 0; i < 450; i++)
			for (uint64_t n = 0; n < 20; n++)
				assert_true(made_found(ix, i, n));
		assert_non_null(index_segment_at(ix, 449));
		index_free(ix);
	}
	repo_close(r);
	store_close(mem);
	kit_fini(&k);
}

/* ---- generations ----------------------------------------------------- */

static void put_listing(struct repo *r, uint64_t number, uint32_t segment)
{
	AUTO(generation_fini) struct generation g = { .number = number };
	char name[SEGMENT_NAME];
	struct id session;
	struct err e = ERR_INIT;

	made_name(segment, &session, name);
	generation_add_segment(&g, name, false);
	if (generation_put(r->store, r->keys, &g, &e) < 0)
		fail_msg("%s", e.msg);
}

static enum index_tier made_tier(struct index *ix, uint32_t number)
{
	const struct index_ask ask = { .generation = 1, .most = TIER_FRAIL };
	struct hash id = made_id(number, 3);
	struct index_hit hit = { .tier = TIER_FRAIL };
	struct err e = ERR_INIT;

	assert_int_equal(index_find(ix, &ask, BLOB_DATA, &id, &hit, &e), 1);
	return hit.tier;
}

/* Segment i is listed by generation i, but for number 0. */
static void test_generations(void **state)
{
	struct err e = ERR_INIT;
	uint64_t generation;
	struct kit k;

	(void)state;
	kit_init(&k);
	struct store *mem = kit_create_mem(&k);
	struct repo *r = made_repo(&k, mem);
	struct index *ix = made_index(r, true);

	for (uint32_t i = 0; i < 4; i++)
		put_made(r, i, 20);
	put_listing(r, 1, 1);
	put_listing(r, 2, 2);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(index_refresh(ix, &generation, &e), 0);
		assert_int_equal(generation, 2);
	}
	assert_int_equal(made_tier(ix, 2), TIER_INDEX);
	assert_null(index_segment_at(ix, 1));
	assert_int_equal(index_open_siblings(ix, 2, &e), 0);
	assert_false(made_found(ix, 1, 3));
	assert_int_equal(made_tier(ix, 0), TIER_SIBLING);
	assert_int_equal(index_open_generation(ix, 1, &e), 0);
	assert_true(made_found(ix, 1, 3));
	assert_int_equal(index_open_generation(ix, 7, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	put_listing(r, 3, 3);
	err_clear(&e);
	assert_int_equal(index_refresh(ix, &generation, &e), 0);
	assert_int_equal(generation, 3);
	assert_int_equal(made_tier(ix, 3), TIER_INDEX);
	assert_int_equal(made_tier(ix, 2), TIER_SIBLING);
	index_free(ix);
	repo_close(r);
	store_close(mem);
	kit_fini(&k);
}

/* ---- all at once ----------------------------------------------------- */

#define CROWD 60

struct crowd {
	struct index *ix;
	atomic_uint open; /* segments that must be found */
	atomic_bool stop;
};

static void *ask_all(void *arg)
{
	struct crowd *c = arg;

	for (uint64_t i = 0; !atomic_load(&c->stop); i++) {
		unsigned open = atomic_load(&c->open);
		uint32_t number = (uint32_t)(kit_mix(i) % CROWD);
		bool found = made_found(c->ix, number, i % 300);

		if (number < open && !found)
			abort();
	}
	return NULL;
}

/* Segments are opened and their files torn while others look up. */
static void test_crowd(void **state)
{
	pthread_t threads[3];
	struct kit k;

	(void)state;
	kit_init(&k);
	struct store *mem = kit_create_mem(&k);
	struct repo *r = made_repo(&k, mem);
	struct crowd c = { .ix = made_index(r, true) };

	for (uint32_t i = 0; i < CROWD; i++)
		put_made(r, i, 300);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_all, &c),
				 0);
	for (uint32_t i = 0; i < CROWD; i++) {
		char name[SEGMENT_NAME];
		struct id session;

		open_made(c.ix, i);
		atomic_store(&c.open, i + 1);
		made_name(i, &session, name);
		autofree char *path = path_join(r->cache_dir, name);

		if (i % 3 == 0)
			assert_int_equal(truncate(path, 4096), 0);
		usleep(1000);
	}
	atomic_store(&c.stop, true);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	index_free(c.ix);
	repo_close(r);
	store_close(mem);
	kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
