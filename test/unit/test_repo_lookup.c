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

#include "base/file.h"
#include "base/mem.h"
#include "repo/generation.h"
#include "repo/obj.h"
#include "repo/pages.h"
#include "repo_kit.h"

/* What look-ups do when something is not found, or cannot be read. */

/* ---- a store that waits, or fails ------------------------------------- */

struct moody {
	struct store store;
	struct store *inner;
	const char *failing; /* reads of names that start so fail; or NULL */
	atomic_bool shut;    /* lists of segments wait */
	atomic_bool waiting; /* one does */
};

static struct moody *moody_of(struct store *s)
{
	return (struct moody *)s;
}

static void moody_close(struct store *s)
{
	store_close(moody_of(s)->inner);
	free(s);
}

static int refuse(struct moody *m, const char *name, struct err *e)
{
	if (m->failing == NULL ||
	    strncmp(name, m->failing, strlen(m->failing)) != 0)
		return 0;
	return err_set(e, ERR_FAILED, "no answer for '%s'", name);
}

static int moody_get(struct store *s, const char *name, uint64_t offset,
		     size_t size, void *to, struct err *e)
{
	struct moody *m = moody_of(s);

	return refuse(m, name, e) < 0
		       ? -1
		       : store_get(m->inner, name, offset, size, to, e);
}

static int moody_load(struct store *s, const char *name, size_t max,
		      struct buf *b, struct err *e)
{
	struct moody *m = moody_of(s);

	return refuse(m, name, e) < 0 ? -1
				      : store_load(m->inner, name, max, b, e);
}

static int moody_put(struct store *s, const char *name, const struct iovec *iov,
		     size_t count, bool only_if_absent, struct err *e)
{
	struct store *in = moody_of(s)->inner;

	return only_if_absent ? store_put_new(in, name, iov, count, e)
			      : store_put(in, name, iov, count, e);
}

static int moody_stat(struct store *s, const char *name, struct store_stat *st,
		      struct err *e)
{
	struct moody *m = moody_of(s);

	return refuse(m, name, e) < 0 ? -1 : store_stat(m->inner, name, st, e);
}

static int moody_list(struct store *s, const char *prefix, store_visit *visit,
		      void *ctx, struct err *e)
{
	struct moody *m = moody_of(s);

	while (strcmp(prefix, "idx/") == 0 && atomic_load(&m->shut)) {
		atomic_store(&m->waiting, true);
		usleep(1000);
	}
	return store_list(m->inner, prefix, visit, ctx, e);
}

static int moody_del(struct store *s, const char *name, struct err *e)
{
	return store_del(moody_of(s)->inner, name, e);
}

static const struct store_ops moody_ops = {
	.close = moody_close,
	.get = moody_get,
	.load = moody_load,
	.put = moody_put,
	.stat = moody_stat,
	.list = moody_list,
	.del = moody_del,
};

/* ---- a repository in it ------------------------------------------------ */

static struct kit kit;
static struct store *mem;
static struct moody *moody;
static struct repo *repo;
static char cache[96];

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	snprintf(cache, sizeof(cache), "%s/cache", kit.dir);
	mem = kit_create_mem(&kit);
	moody = mem_zalloc(1, sizeof(*moody));
	moody->store.ops = &moody_ops;
	moody->inner = store_mem_share(mem);
	repo = kit_try_open(&kit, &moody->store, cache, &e);
	return repo != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	repo_close(repo);
	store_close(mem);
	kit_fini(&kit);
	return 0;
}

/* Segment `number` has one chunk, whose id says which. */
static struct hash made_id(uint8_t number)
{
	struct hash id;

	memset(id.b, number, sizeof(id.b));
	return id;
}

static void made_name(uint8_t number, struct id *session, char *name)
{
	memset(session->b, number, sizeof(session->b));
	segment_name(session, 0, name);
}

static void put_made(uint8_t number)
{
	struct segment_pack pack = { .class = BLOB_DATA, .blobs = 1 };
	struct segment_entry_new entry = { .pack = 0 };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment_new new = { .generation = 1,
				   .packs = &pack,
				   .pack_count = 1,
				   .entries = &entry,
				   .entry_count = 1 };
	struct hash id = made_id(number);
	char name[SEGMENT_NAME];
	struct err e = ERR_INIT;

	made_name(number, &new.session, name);
	memcpy(entry.prefix, id.b, sizeof(entry.prefix));
	segment_encode(&new, &b);
	if (obj_put_new(repo->store, repo->keys, name, &b, &e) < 0)
		fail_msg("%s", e.msg);
}

static void put_listing(uint64_t number, char *const *names, size_t count)
{
	AUTO(generation_fini) struct generation g = { .number = number };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < count; i++)
		generation_add_segment(&g, names[i], false);
	if (generation_put(repo->store, repo->keys, &g, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Without footers. */
static struct index *bare_index(void)
{
	return index_new(&(struct index_parts){ .store = repo->store,
						.keys = repo->keys,
						.cache_dir = repo->cache_dir });
}

static int find_made(struct index *ix, uint8_t number, struct err *why)
{
	const struct index_ask ask = { .generation = 1, .most = TIER_FRAIL };
	struct hash id = made_id(number);
	struct index_hit hit;

	return index_find(ix, &ask, BLOB_DATA, &id, &hit, why);
}

/* ---- the last resort ---------------------------------------------------- */

struct seeker {
	struct index *ix;
	bool again;
	int found;
};

static void *seek_made(void *arg)
{
	struct seeker *s = arg;
	struct err why = ERR_INIT;

	s->again = index_last_resort(s->ix, 0);
	s->found = find_made(s->ix, 1, &why);
	return NULL;
}

/* Who misses while another thread opens all that there is waits for it. */
static void test_wait(void **state)
{
	struct seeker seekers[3];
	pthread_t threads[3];

	(void)state;
	put_made(1);
	struct index *ix = bare_index();

	atomic_store(&moody->shut, true);
	for (int i = 0; i < 3; i++) {
		seekers[i] = (struct seeker){ .ix = ix };
		assert_int_equal(pthread_create(&threads[i], NULL, seek_made,
						&seekers[i]),
				 0);
		while (!atomic_load(&moody->waiting))
			usleep(1000);
	}
	usleep(50000);
	atomic_store(&moody->shut, false);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_true(seekers[i].again);
		assert_int_equal(seekers[i].found, 1);
	}
	assert_int_equal(index_rounds(ix), 1);
	/* one who had looked before it was done */
	assert_true(index_last_resort(ix, 0));
	assert_false(index_last_resort(ix, 1));
	index_free(ix);
}

/* Once more for every generation that comes meanwhile. */
static void test_again(void **state)
{
	struct err why = ERR_INIT;
	char name[SEGMENT_NAME];
	char *names[] = { name };
	struct id session;

	(void)state;
	struct index *ix = bare_index();

	assert_true(index_last_resort(ix, index_rounds(ix)));
	for (uint8_t i = 1; i < 4; i++) {
		unsigned seen = index_rounds(ix);

		put_made(i);
		assert_int_equal(find_made(ix, i, &why), 0);
		usleep(20000);
		assert_false(index_last_resort(ix, seen));
		made_name(i, &session, name);
		put_listing(i, names, 1);
		usleep(20000);
		assert_true(index_last_resort(ix, seen));
		assert_int_equal(find_made(ix, i, &why), 1);
	}
	index_free(ix);
}

/* A set that came when its generation's successor was being made: what it
 * leans on is not in the newest index, and not among its own segments. */
static void test_late(void **state)
{
	const struct fake f = { .size = 2 * EXTENT_SIZE, .seed = 8 };
	struct kit_backup b = { .images = &f, .count = 1, .workers = 1 };
	AUTO(kit_names_fini) struct kit_names names = { .names = NULL };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(kit_backup(repo, &b, &e), 0);
	kit_list(mem, "idx/", &names);
	put_listing(1, names.names, names.count);
	put_listing(2, NULL, 0);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, mem);
	struct set late = b.set;

	late.generation = 1;
	late.segment_count = 0;
	if (kit_compare(r, &late, &b.set.points[0].images[0].root, &f, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(index_rounds(r->index), 0);
	/* when that generation is gone, too */
	late.generation = 77;
	if (kit_compare(r, &late, &b.set.points[0].images[0].root, &f, &e) < 0)
		fail_msg("%s", e.msg);
	set_fini(&b.set);
}

/* ---- no answer ------------------------------------------------------------
 */

/* A footer that cannot be read now says nothing about what is there. */
static void test_no_footer(void **state)
{
	const struct index_ask ask = { .most = TIER_FRAIL };
	const struct fake f = { .size = 2 * EXTENT_SIZE, .seed = 9 };
	struct kit_backup b = { .images = &f, .count = 1, .workers = 1 };
	struct err e = ERR_INIT;
	struct index_hit hit;

	(void)state;
	assert_int_equal(kit_backup(repo, &b, &e), 0);
	struct hash top = b.set.points[0].images[0].root.top;
	struct index *ix = repo->index;

	assert_int_equal(index_find(ix, &ask, BLOB_NODE, &top, &hit, &e), 1);
	char pack[PACK_NAME];

	pack_name(BLOB_NODE, &hit.place.pack, pack);
	/* its footer is kept by now: another index has none */
	struct footers *fresh =
		footers_new(repo->store, repo->keys->meta_key, 1 << 20);

	ix = index_new(&(struct index_parts){
		.store = repo->store, .keys = repo->keys, .footers = fresh });
	assert_int_equal(index_open_sessions(ix, &e), 0);
	moody->failing = pack;
	assert_int_equal(index_find(ix, &ask, BLOB_NODE, &top, &hit, &e), -1);
	assert_int_equal(e.code, ERR_FAILED);
	moody->failing = NULL;
	err_clear(&e);
	assert_int_equal(index_find(ix, &ask, BLOB_NODE, &top, &hit, &e), 1);
	index_free(ix);
	footers_free(fresh);
	set_fini(&b.set);
}

/* Nor does a damaged cache while the store does not answer. */
static void test_no_segment(void **state)
{
	char name[SEGMENT_NAME], junk[PAGES_SIZE];
	struct err e = ERR_INIT;
	struct id session;

	(void)state;
	put_made(1);
	made_name(1, &session, name);
	struct index *ix = bare_index();

	assert_int_equal(index_open_segment(ix, name, &e), 0);
	autofree char *path = path_join(repo->cache_dir, name);
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	memset(junk, 7, sizeof(junk));
	for (int i = 0; i < 8; i++)
		assert_int_equal(fwrite(junk, sizeof(junk), 1, f), 1);
	assert_int_equal(fclose(f), 0);
	moody->failing = "idx/";
	assert_int_equal(find_made(ix, 1, &e), -1);
	assert_int_equal(e.code, ERR_FAILED);
	moody->failing = NULL;
	err_clear(&e);
	assert_int_equal(find_made(ix, 1, &e), 1);
	index_free(ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_footer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_segment, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
