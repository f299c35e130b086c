/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "collect_kit.h"
#include "repo/damage.h"

/*
 * Somebody has a writer's key, and stores what he likes under the ids of
 * others' chunks: here what is right, which nobody without a key that reads can
 * tell from what is wrong.  Then his packs are taken away: what others have
 * stored must still be there.
 */

#define ROUNDS 4 /* ids are random, and so is who is looked at first */

static const struct fake image = { .size = 2 * EXTENT_SIZE,
				   .seed = 9,
				   .zero_percent = 30 };

/* His own backup of the same image, made in a copy of the repository that he
 * kept: he finds nothing there. */
static void steal(struct store *s, struct store *kept, struct kit_names *packs)
{
	AUTO(store_close_at) struct store *own = kit_clone(kept);
	AUTO(kit_names_fini) struct kit_names before;
	AUTO(kit_names_fini) struct kit_names after;
	struct repo *r = kit_open(&ck_kit, own);
	struct keyring *owner = r->keys;

	kit_list(own, "", &before);
	r->keys = kit_role(owner, ROLE_WRITER);
	r->keys->role = ROLE_WRITER;
	kit_backup_one(r, &image, NULL);
	keyring_free(r->keys);
	r->keys = owner;
	repo_close(r);
	kit_list(own, "", &after);
	for (size_t i = 0, k = 0; i < after.count; i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;

		if (k < before.count &&
		    strcmp(after.names[i], before.names[k]) == 0) {
			k++;
			continue;
		}
		kit_load(own, after.names[i], &b);
		kit_store(s, after.names[i], &b);
	}
	kit_list(own, "data/", packs);
}

/* Every point reads without the packs of these names. */
static void check_without(struct store *s, const struct kit_names *gone)
{
	AUTO(store_close_at) struct store *left = kit_clone(s);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, left);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < gone->count; i++)
		if (store_del(left, gone->names[i], &e) < 0)
			assert_int_equal(e.code, ERR_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_true(c.count > 0);
	for (size_t i = 0; i < c.count; i++)
		if (kit_compare(r, &c.sets[i],
				&c.sets[i].points[0].images[0].root, &image,
				&e) < 0)
			fail_msg("%s", e.msg);
}

static void collect_often(struct store *s)
{
	for (unsigned i = 0; i < 4; i++) {
		struct fake other = ck_image_of(40 + i);

		ck_collect(s);
		/* so that there is something to do */
		ck_backup(s, &other);
		ck_collect(s);
		ck_forget(s, &other, TOMB_POINT);
	}
	ck_collect(s);
}

/* Both are new to the collector. */
static void test_same_generation(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
		AUTO(store_close_at) struct store *kept = kit_clone(s);
		AUTO(kit_names_fini) struct kit_names packs;

		ck_backup(s, &image);
		steal(s, kept, &packs);
		collect_often(s);
		check_without(s, &packs);
	}
}

/* His is in the index when a backup that began before it commits. */
static void test_late(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
		AUTO(store_close_at) struct store *kept = kit_clone(s);
		AUTO(kit_names_fini) struct kit_names packs;
		AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
		const struct intake_options o = { .workers = 1 };
		AUTO(set_fini) struct set set = { .point_count = 0 };
		struct err e = ERR_INIT;
		struct intake *in = intake_open(r, &o, &e);
		AUTO(collect_result_fini) struct collect_result done = { 0 };
		struct point *p = set_add_point(&set);
		struct image *vda = point_add_image(p);

		assert_non_null(in);
		p->name = mem_strdup("vm");
		keys_random(p->id.b, ID_SIZE);
		vda->kind = IMAGE_DISK;
		vda->name = mem_strdup("vda");
		assert_int_equal(kit_put(in, &image, &vda->root, &e), 0);
		steal(s, kept, &packs);
		/* one step, and then it waits for us */
		assert_int_equal(ck_try_collect(s, INT64_MAX, &done, &e), 0);
		assert_non_null(done.wait.host);
		if (intake_commit(in, &set, &e) < 0)
			fail_msg("%s", e.msg);
		intake_close(in);
		collect_often(s);
		check_without(s, &packs);
	}
}

/* He says that what is in the index is damaged. */
static void test_note(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(kit_names_fini) struct kit_names honest;
	AUTO(kit_names_fini) struct kit_names packs;
	AUTO(damage_fini) struct damage d = { .count = 0 };
	AUTO(store_close_at) struct store *kept = NULL;
	char name[DAMAGE_NAME];
	struct err e = ERR_INIT;

	(void)state;
	ck_backup(s, &image);
	ck_collect(s);
	kept = kit_clone(s);
	kit_list(s, "data/", &honest);
	for (size_t i = 0; i < honest.count; i++) {
		struct id id;

		assert_true(hex_decode(strrchr(honest.names[i], '/') + 1, id.b,
				       ID_SIZE));
		damage_add_pack(&d, BLOB_DATA, &id);
	}
	damage_sort(&d);
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);

	assert_int_equal(damage_put(r, &d, name, &e), 0);
	AUTO(kit_names_fini) struct kit_names idx;

	/* in his copy he finds nothing, and stores all again */
	kit_list(kept, "idx/", &idx);
	for (size_t i = 0; i < idx.count; i++)
		kit_harm(kept, idx.names[i], KIT_GONE);
	steal(s, kept, &packs);
	for (size_t i = 0, k = 0; i < packs.count; i++) {
		/* his are those that are not honest */
		if (k < honest.count &&
		    strcmp(packs.names[i], honest.names[k]) == 0) {
			snprintf(packs.names[i], strlen(packs.names[i]),
				 "none");
			k++;
		}
	}
	collect_often(s);
	for (size_t i = 0; i < packs.count; i++)
		if (strcmp(packs.names[i], "none") != 0)
			kit_harm(s, packs.names[i], KIT_GONE);
	struct kit_names none = { NULL, 0 };

	check_without(s, &none);
}

/* A pack that is noted and really damaged goes, once all is stored again. */
static void test_true_note(void **state)
{
	AUTO(store_close_at) struct store *s = kit_create_mem(&ck_kit);
	AUTO(kit_names_fini) struct kit_names packs;
	struct kit_names none = { NULL, 0 };
	struct store_stat st;
	struct err e = ERR_INIT;

	(void)state;
	ck_backup(s, &image);
	ck_collect(s);
	kit_list(s, "data/", &packs);
	kit_harm(s, packs.names[0], KIT_CUT);
	assert_true(kit_damages(&ck_kit, s, false) > 0);
	ck_backup(s, &image);
	collect_often(s);
	check_without(s, &none);
	assert_int_equal(store_stat(s, packs.names[0], &st, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	kit_verify_clean(&ck_kit, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_generation),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_true_note),
	};

	return cmocka_run_group_tests(tests, ck_setup, ck_teardown);
}
