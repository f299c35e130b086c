/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "collect_kit.h"
#include "repo/generation.h"
#include "repo/idmap.h"
#include "repo/obj.h"
#include "repo/session.h"

/* What goes wrong around a collector, who may tell it what, and the small
 * parts that it is made of. */

/* ---- damage -----------------------------------------------------------------
 */

/* The largest pack of chunks. */
static char *some_pack(struct store *s)
{
	AUTO(kit_names_fini) struct kit_names n;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	size_t best = 0, size = 0;

	kit_list(s, "data/", &n);
	for (size_t i = 0; i < n.count; i++) {
		kit_load(s, n.names[i], &b);
		if (b.len > size) {
			size = b.len;
			best = i;
		}
	}
	assert_true(n.count > 0);
	return mem_strdup(n.names[best]);
}

/* A pack is lost: nodes above are frail, what is whole stays, and the next
 * backup heals what it has. */
static void test_lost_pack(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	struct fake f = ck_image_of(1);
	struct err e = ERR_INIT;

	(void)state;
	ck_backup(s, &f);
	ck_collect(s);
	autofree char *pack = some_pack(s);

	assert_int_equal(store_del(s, pack, &e), 0);
	uint64_t nodes = kit_count(s, "meta/");

	/* something to do, so that the index is written anew */
	struct fake other = ck_image_of(2);

	ck_backup(s, &other);
	struct collect_result r = ck_collect(s);

	assert_true(r.frail > 0);
	assert_int_equal(r.left_alone, 0);
	assert_true(kit_count(s, "meta/") >= nodes);
	for (int i = 0; i < 3; i++) {
		r = ck_collect(s);
		assert_int_equal(r.packs, 0);
	}
	/* frail nodes are not known to a writer: it goes down, and heals */
	ck_backup(s, &f);
	ck_collect(s);
	const struct fake all[] = { f, other };

	assert_int_equal(ck_compare_all(s, all, 2), 3);
}

/* A footer that is damaged does not make its pack garbage. */
static void test_damaged_footer(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct fake f = ck_image_of(1);
	struct fake other = ck_image_of(2);

	(void)state;
	ck_backup(s, &f);
	ck_collect(s);
	autofree char *pack = some_pack(s);

	kit_load(s, pack, &whole);
	kit_load(s, pack, &b);
	b.p[b.len - PACK_TRAILER - 30] ^= 1;
	kit_store(s, pack, &b);
	for (int i = 0; i < 3; i++) {
		ck_backup(s, &other);
		ck_collect(s);
	}
	/* somebody finds it again */
	kit_store(s, pack, &whole);
	ck_collect(s);
	const struct fake all[] = { f, other };

	assert_int_equal(ck_compare_all(s, all, 2), 4);
}

/* A pack that is away for a while, as where a folder is not mounted. */
static void test_away(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	struct fake f = ck_image_of(1);
	struct err e = ERR_INIT;

	(void)state;
	ck_backup(s, &f);
	ck_collect(s);
	autofree char *pack = some_pack(s);

	kit_load(s, pack, &whole);
	assert_int_equal(store_del(s, pack, &e), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct fake other = ck_image_of(2 + i);

		ck_backup(s, &other);
		ck_collect(s);
		ck_forget(s, &other, TOMB_POINT);
	}
	ck_collect(s);
	kit_store(s, pack, &whole);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, &f, 1), 1);
}

static void must_refuse(struct store *s, const char *words)
{
	AUTO(collect_result_fini) struct collect_result r = { 0 };
	struct err e = ERR_INIT;
	size_t packs = kit_count(s, "data/") + kit_count(s, "meta/");

	assert_int_equal(ck_try_collect(s, 1, &r, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	if (strstr(e.msg, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.msg, words);
	assert_int_equal(kit_count(s, "data/") + kit_count(s, "meta/"), packs);
}

/* A node that cannot be read stops all, until it is there again. */
static void test_refuses(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(kit_names_fini) struct kit_names n;
	struct fake f = ck_image_of(1);
	struct err e = ERR_INIT;

	(void)state;
	ck_backup(s, &f);
	kit_list(s, "meta/", &n);
	kit_load(s, n.names[0], &b);
	assert_int_equal(store_del(s, n.names[0], &e), 0);
	must_refuse(s, "forget");
	kit_store(s, n.names[0], &b);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, &f, 1), 1);
}

/* And so does an outcome; its set can be forgotten as a whole. */
static void test_refuses_outcome(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(kit_names_fini) struct kit_names n;
	struct fake fakes[2] = { ck_image_of(1), ck_image_of(2) };
	struct err e = ERR_INIT;
	struct id id;

	(void)state;
	ck_backup(s, &fakes[0]);
	kit_list(s, "points/", &n);
	kit_load(s, n.names[0], &b);
	b.p[b.len / 2] ^= 1;
	kit_store(s, n.names[0], &b);
	must_refuse(s, n.names[0]);
	ck_backup(s, &fakes[1]);
	must_refuse(s, n.names[0]);

	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);

	assert_true(hex_decode(n.names[0] + strlen("points/"), id.b, ID_SIZE));
	assert_int_equal(tomb_put_set(r, &id, &e), 0);
	ck_collect(s);
	ck_collect(s);
	assert_int_equal(ck_compare_all(s, fakes, 2), 1);
	assert_int_equal(kit_count(s, "tomb/"), 0);
}

/* ---- what nobody owns
 * -------------------------------------------------------- */

/* Packs of a session that is gone altogether, without a segment. */
static void test_orphans(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(store_close_at) struct store *other = NULL;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(kit_names_fini) struct kit_names n;
	struct fake f = ck_image_of(1);
	struct fake g = ck_image_of(2);
	struct err e = ERR_INIT;

	(void)state;
	ck_backup(s, &f);
	ck_collect(s);
	uint64_t data = ck_size_of(s, "data/");

	/* a late writer's, whose session nobody has heard of */
	other = kit_clone(s);
	ck_backup(other, &g);
	kit_list(other, "data/", &n);
	for (size_t i = 0; i < n.count; i++) {
		struct store_stat st;

		if (store_stat(s, n.names[i], &st, &e) == 0)
			continue;
		kit_load(other, n.names[i], &b);
		kit_store(s, n.names[i], &b);
	}
	assert_true(ck_size_of(s, "data/") > data);
	ck_collect(s);
	assert_int_equal(ck_size_of(s, "data/"), data);

	/* without a header nobody can tell: it stays */
	memset(b.p, 0, PACK_HEADER);
	kit_store(s, "data/00/000102030405060708090a0b0c0d0e0f", &b);
	data = ck_size_of(s, "data/");
	struct collect_result r = ck_collect(s);

	assert_int_equal(r.left_alone, 1);
	assert_int_equal(ck_size_of(s, "data/"), data);
}

/* A collector that slept publishes into a gap that others have left. */
static void test_gap(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct fake fakes[3];
	struct err e = ERR_INIT;

	(void)state;
	ck_fill(s, fakes, 3);
	for (unsigned i = 0; i < 3; i++) {
		struct fake f = ck_image_of(3 + i);

		ck_backup(s, &f);
		ck_collect(s);
		ck_forget(s, &f, TOMB_POINT);
	}
	uint64_t n = ck_newest(s);
	struct generation late = { .number = n - 2 };

	assert_true(n >= 3);
	keys_random(late.session.b, ID_SIZE);
	/* it would have doomed everything */
	AUTO(kit_names_fini) struct kit_names packs;

	kit_list(s, "data/", &packs);
	for (size_t i = 0; i < packs.count; i++) {
		struct id id;

		assert_true(hex_decode(strrchr(packs.names[i], '/') + 1, id.b,
				       ID_SIZE));
		locations_add_pack(&late.doomed, BLOB_DATA, &id);
	}
	locations_sort(&late.doomed);
	assert_int_equal(generation_put(s, r->keys, &late, &e), 0);
	generation_fini(&late);
	assert_int_equal(ck_newest(s), n);
	ck_collect(s);
	ck_collect(s);
	assert_int_equal(kit_count(s, "gen/"), 2);
	assert_int_equal(ck_compare_all(s, fakes, 3), 3);
}

/* ---- roles
 * ------------------------------------------------------------------- */

static void put_forged(struct store *s, const struct keyring *k,
		       const struct id *point, const struct id *set)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf sealed = BUF_INIT;
	struct err e = ERR_INIT;
	char name[TOMB_NAME];
	struct keyring honest = *k;

	tomb_name(point, TOMB_POINT, name);
	wr_u16(&b, 1);
	wr_bytes(&b, point->b, ID_SIZE);
	wr_bytes(&b, set->b, ID_SIZE);
	wr_u8(&b, TOMB_POINT);
	wr_u64(&b, 1);
	/* a dishonest program does not ask whether it may */
	honest.role = ROLE_OWNER;
	assert_int_equal(obj_seal(&honest, name, &b, &sealed, &e), 0);
	kit_store(s, name, &sealed);
}

/* A writer's tomb is not heeded, and it cannot collect; a maintainer can,
 * without the keys to contents and ids. */
static void test_roles(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	AUTO(catalog_fini) struct catalog c;
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	const struct collect_options o = { .silent_ns = 1 };
	struct fake fakes[3];
	struct err e = ERR_INIT;
	char name[TOMB_NAME];

	(void)state;
	ck_fill(s, fakes, 3);
	assert_int_equal(catalog_load(r, &c, &e), 0);
	struct keyring *owner = r->keys;
	AUTO(keyring_free_at)
	struct keyring *writer = kit_role(owner, ROLE_WRITER);
	AUTO(keyring_free_at)
	struct keyring *keeper = kit_role(owner, ROLE_MAINTAINER);

	put_forged(s, writer, &c.sets[0].points[0].id, &c.sets[0].session);
	ck_collect(s);
	tomb_name(&c.sets[0].points[0].id, TOMB_POINT, name);
	assert_int_equal(store_del(s, name, &e), 0);
	assert_int_equal(ck_compare_all(s, fakes, 3), 3);

	writer->role = ROLE_WRITER;
	r->keys = writer;
	assert_int_equal(collect_run(r, &o, &result, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	err_clear(&e);
	assert_int_equal(
		tomb_put(r, &c.sets[0], &c.sets[0].points[0], TOMB_POINT, &e),
		-1);
	assert_int_equal(e.code, ERR_REFUSED);

	keeper->role = ROLE_MAINTAINER;
	keeper->has_id = keeper->has_secret = false;
	memset(keeper->id_key, 0, sizeof(keeper->id_key));
	memset(keeper->cut_key, 0, sizeof(keeper->cut_key));
	memset(keeper->box_secret, 0, sizeof(keeper->box_secret));
	r->keys = keeper;
	err_clear(&e);
	assert_int_equal(
		tomb_put(r, &c.sets[1], &c.sets[1].points[0], TOMB_POINT, &e),
		0);
	if (collect_run(r, &o, &result, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(result.points, 1);
	r->keys = owner;
	assert_int_equal(ck_compare_all(s, fakes, 3), 2);
}

/* ---- RAM
 * --------------------------------------------------------------------- */

static void add_image(struct point *p, enum image_kind kind, const char *name)
{
	struct image *i = point_add_image(p);

	i->kind = kind;
	i->name = mem_strdup(name);
	i->root.hole = true;
}

/* Only its RAM: images of RAM are hidden, others are not. */
static void test_ram(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct fake f = ck_image_of(1);
	struct fake ram = ck_image_of(2);
	const struct intake_options o = { .workers = 1 };
	struct err e = ERR_INIT;
	AUTO(set_fini) struct set set = { 0 };
	struct intake *in = intake_open(r, &o, &e);
	struct point *p = set_add_point(&set);

	(void)state;
	assert_non_null(in);
	p->name = mem_strdup("vm");
	keys_random(p->id.b, ID_SIZE);
	add_image(p, IMAGE_DISK, "vda");
	assert_int_equal(kit_put(in, &f, &p->images[0].root, &e), 0);
	add_image(p, IMAGE_RAM, "memory");
	assert_int_equal(kit_put(in, &ram, &p->images[1].root, &e), 0);
	add_image(p, IMAGE_STREAM, "memory.layout");
	add_image(p, IMAGE_STREAM, "memoryless");
	assert_int_equal(intake_commit(in, &set, &e), 0);
	intake_close(in);
	uint64_t before = ck_size_of(s, "data/");

	ck_forget(s, &f, TOMB_RAM);
	AUTO(catalog_fini) struct catalog c;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.sets[0].points[0].image_count, 2);
	assert_string_equal(c.sets[0].points[0].images[1].name, "memoryless");
	struct collect_result result = ck_collect(s);

	assert_true(result.bytes > before / 3);
	assert_int_equal(result.points, 0);
	assert_int_equal(kit_count(s, "tomb/"), 1);
	assert_int_equal(ck_compare_all(s, &f, 1), 1);
	ck_forget(s, &f, TOMB_POINT);
	ck_collect(s);
	assert_int_equal(kit_count(s, "data/") + kit_count(s, "tomb/"), 0);
}

/* ---- sessions and generations
 * ------------------------------------------------ */

static void test_session(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct session_record record;
	struct session a, b;
	struct set set = { 0 };
	char name[OUTCOME_NAME];
	struct err e = ERR_INIT;
	int64_t beat = 0;

	(void)state;
	assert_int_equal(session_open(r, "here", &a, &e), 0);
	assert_int_equal(session_attempt(r, "there", 0, &b, &e), 0);
	session_name(&a.id, name);
	assert_int_equal(session_load(r, name, &record, &e), 0);
	assert_int_equal(record.kind, SESSION_WRITER);
	assert_string_equal(record.host, "here");
	session_record_fini(&record);
	session_name(&b.id, name);
	assert_int_equal(session_load(r, name, &record, &e), 0);
	assert_int_equal(record.kind, SESSION_COLLECTOR);
	session_record_fini(&record);
	assert_int_equal(session_last_beat(r, &a.id, &beat, &e), 1);
	assert_true(beat > clock_wall_ns() - INT64_C(60000000000));

	/* one outcome, the first */
	assert_int_equal(session_revoke(r, &a.id, &e), 1);
	assert_int_equal(session_revoke(r, &a.id, &e), 0);
	outcome_name(&a.id, name);
	assert_int_equal(outcome_load(r, name, &set, &e), 0);
	set = (struct set){ .session = a.id,
			    .host = (char *)(uintptr_t) "here",
			    .program = (char *)(uintptr_t) "test" };
	assert_int_equal(session_commit(r, &a, &set, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);

	/* a commit whose session is gone counts for nothing */
	err_clear(&e);
	session_name(&b.id, name);
	assert_int_equal(store_del(s, name, &e), 0);
	set.session = b.id;
	assert_int_equal(session_commit(r, &b, &set, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	session_close(&a, true);
	session_close(&b, true);
}

static void test_generation(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct generation g = { .number = 7, .time_ns = 5 };
	AUTO(generation_fini) struct generation got = { 0 };
	struct id pack = { { 9 } };
	struct err e = ERR_INIT;

	(void)state;
	generation_add_segment(&g, "idx/a-0", false);
	generation_add_segment(&g, "idx/a-1", true);
	locations_add(&g.condemned, BLOB_NODE, &pack, 3);
	locations_add(&g.condemned, BLOB_NODE, &pack, 1);
	locations_add(&g.condemned, BLOB_NODE, &pack, 3);
	pack.b[0] = 1;
	locations_add(&g.condemned, BLOB_DATA, &pack, 2);
	locations_add_pack(&g.condemned, BLOB_DATA, &pack);
	locations_sort(&g.condemned);
	assert_int_equal(g.condemned.count, 2);
	assert_int_equal(generation_put(s, r->keys, &g, &e), 0);
	assert_int_equal(generation_put(s, r->keys, &g, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	err_clear(&e);
	assert_int_equal(generation_load(s, r->keys, 7, &got, &e), 0);
	assert_int_equal(got.segment_count, 2);
	assert_true(got.segments[1].frail && !got.segments[0].frail);
	assert_true(locations_has(&got.condemned, &pack, 99));
	pack.b[0] = 9;
	assert_true(locations_has(&got.condemned, &pack, 1));
	assert_false(locations_has(&got.condemned, &pack, 2));
	assert_null(locations_pack(&got.doomed, &pack));
	assert_int_equal(ck_newest(s), 7);
	generation_fini(&g);

	/* a writer's is none */
	AUTO(keyring_free_at)
	struct keyring *writer = kit_role(r->keys, ROLE_WRITER);
	struct generation forged = { .number = 8 };

	assert_int_equal(generation_put(s, writer, &forged, &e), 0);
	generation_fini(&got);
	assert_int_equal(generation_load(s, r->keys, 8, &got, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

static void test_idmap(void **state)
{
	AUTO(idmap_fini) struct idmap m = { 0 };
	struct id id = { { 0 } };
	uint32_t v;

	(void)state;
	assert_false(idmap_get(&m, &id, &v));
	for (uint32_t i = 1; i <= 1000; i++) {
		id.b[3] = (uint8_t)i;
		id.b[12] = (uint8_t)(i >> 8);
		idmap_put(&m, &id, i);
	}
	assert_int_equal(m.count, 1000);
	id.b[3] = 5;
	id.b[12] = 0;
	idmap_put(&m, &id, 77);
	assert_true(idmap_get(&m, &id, &v));
	assert_int_equal(v, 77);
	id.b[15] = 1;
	assert_false(idmap_get(&m, &id, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idmap),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_lost_pack),
		cmocka_unit_test(test_damaged_footer),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_refuses_outcome),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_ram),
	};

	return cmocka_run_group_tests(tests, ck_setup, ck_teardown);
}
