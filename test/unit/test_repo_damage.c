/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/collect.h"
#include "repo/damage.h"
#include "repo/issued.h"
#include "repo/tomb.h"
#include "repo_kit.h"

/*
 * Any byte of any object may be wrong, any object may be cut, empty, gone or
 * another one: verify finds it, unless it matters to nobody; a read gives the
 * right bytes or says that they are damaged; what does not lean on the damaged
 * object restores.
 */

static struct kit kit;
static struct store *whole;

/* Two sets that have nothing in common. */
static const struct fake images[2] = {
	{ .size = 5 * PAGE_SIZE_BYTES + 100, .seed = 1 },
	{ .size = EXTENT_SIZE + 100,
	  .every = 2,
	  .seed = 2,
	  .zero_percent = 99 },
};

/* A third set, of which a tomb is left to be seen. */
static void forget_one(void)
{
	struct kit_backup b = { .images = images, .count = 1, .workers = 1 };
	struct repo *r = kit_open(&kit, whole);
	struct err e = ERR_INIT;

	assert_int_equal(kit_backup(r, &b, &e), 0);
	assert_int_equal(tomb_put(r, &b.set, &b.set.points[0], TOMB_POINT, &e),
			 0);
	set_fini(&b.set);
	repo_close(r);
}

/* Notes of damage that is not, in a pack that is not. */
static void note_nothing(void)
{
	const struct place node = { .class = BLOB_NODE, .pack = { { 7 } } };
	AUTO(damage_fini) struct damage d = { .count = 0 };
	struct repo *r = kit_open(&kit, whole);
	char name[DAMAGE_NAME];
	struct err e = ERR_INIT;

	damage_add_blob(&d, BLOB_DATA, &node.pack, 3);
	damage_add_node(&d, &node);
	damage_sort(&d);
	assert_int_equal(damage_put(r, &d, name, &e), 0);
	repo_close(r);
	/* and when what was read */
	kit_verify_clean(&kit, whole);
	assert_int_equal(kit_count(whole, "notes/verify/"), 1);
}

static int setup(void **state)
{
	char label[] = "hypervisor";
	const struct issued_key writer = { .id = { { 9 } },
					   .role = ROLE_WRITER,
					   .file = true,
					   .time_ns = 1,
					   .label = label };
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	whole = kit_create_mem(&kit);
	for (size_t i = 0; i < 2; i++) {
		struct repo *r = kit_open(&kit, whole);

		kit_backup_one(r, &images[i], NULL);
		repo_close(r);
	}
	/* and a slot, which the key file makes superfluous */
	struct repo *r = kit_open(&kit, whole);

	assert_int_equal(keyring_put_slot(whole, r->keys, "secret", &e), 0);
	assert_int_equal(issued_put(whole, r->keys, &writer, &e), 0);
	repo_close(r);
	forget_one();
	note_nothing();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(whole);
	kit_fini(&kit);
	return 0;
}

/* ---- what must hold -------------------------------------------------- */

struct outcome {
	bool opens;
	bool found;      /* verify says so */
	unsigned whole;  /* sets that read right */
	unsigned failed; /* sets that are there and say that they do not */
};

static const struct fake *fake_of(const struct set *set)
{
	return &images[set->points[0].images[0].root.size != images[0].size];
}

static void try_all(struct store *s, struct outcome *o)
{
	AUTO(repo_close_at) struct repo *r = NULL;
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	memset(o, 0, sizeof(*o));
	memset(&c, 0, sizeof(c));
	r = kit_try_open(&kit, store_mem_share(s), NULL, &e);
	o->opens = r != NULL && catalog_load(r, &c, &e) == 0;
	if (!o->opens) {
		assert_true(e.msg[0] != '\0');
		return;
	}
	for (size_t i = 0; i < c.count; i++) {
		const struct set *set = &c.sets[i];
		const struct image_root *root = &set->points[0].images[0].root;

		err_clear(&e);
		if (kit_compare(r, set, root, fake_of(set), &e) == 0) {
			o->whole++;
			continue;
		}
		o->failed++;
		assert_int_equal(e.code, ERR_INTEGRITY);
	}
	o->found = kit_damages(&kit, s, false) > 0;
}

static bool starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* The store with one object replaced. */
static void check(struct store *s, const char *name, const char *how)
{
	struct outcome o;

	try_all(s, &o);
	if (strcmp(name, "config") == 0) {
		if (o.opens)
			fail_msg("%s %s: opens", name, how);
		return;
	}
	if (!o.opens)
		fail_msg("%s %s: does not open", name, how);
	bool gone = strcmp(how, "gone") == 0;

	/* that a session lives is asked by a collector only, and anybody may
	 * say anything; slots and notes that are gone may have been removed */
	if (starts(name, "beat/") ||
	    ((starts(name, "keys/") || starts(name, "notes/")) && gone)) {
		assert_int_equal(o.whole, 2);
		return;
	}
	if (o.whole == 0)
		fail_msg("%s %s: nothing restores", name, how);
	/* who knows what was forgotten, or which keys were given out? */
	bool silent =
		gone && (starts(name, "points/") || starts(name, "tomb/") ||
			 starts(name, "issued/"));

	/* the session of the set that is forgotten hurts nobody */
	silent |= gone && starts(name, "sess/") && o.whole == 2;
	if (!o.found && !silent)
		fail_msg("%s %s: not found (%u whole, %u failed)", name, how,
			 o.whole, o.failed);
	/* a key file is used here; the list of segments can be done without;
	 * a session need not be read, only be there */
	if (starts(name, "keys/") || starts(name, "gen/") ||
	    (starts(name, "sess/") && !gone) || starts(name, "notes/"))
		assert_int_equal(o.whole, 2);
}

/* ---- doing it -------------------------------------------------------- */

static void flip_at(const char *name, const struct buf *good, size_t at)
{
	struct store *s = kit_clone(whole);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char how[64];

	wr_bytes(&b, good->p, good->len);
	b.p[at] ^= (uint8_t)(1u << kit_mix(at) % 8);
	kit_store(s, name, &b);
	snprintf(how, sizeof(how), "flipped at %zu of %zu", at, good->len);
	check(s, name, how);
	store_close(s);
}

static void flip_all(const char *name, const struct buf *good)
{
	/* every byte of small objects, samples of large ones */
	size_t many = kit_long() ? 4000 : good->len <= 400 ? 400 : 60;
	size_t step = good->len / (many + 1) + 1;

	for (size_t at = 0; at < good->len;) {
		flip_at(name, good, at);
		/* all of what is at the ends */
		at += at + 1 < 24 || good->len - at < 24 ? 1 : step;
	}
}

static void cut_all(const char *name, const struct buf *good)
{
	const size_t sizes[] = {
		0, 1, 7, 8, 40, good->len / 2, good->len - 52, good->len - 1
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct store *s;
		AUTO(buf_fini) struct buf b = BUF_INIT;
		char how[64];

		if (sizes[i] >= good->len)
			continue;
		s = kit_clone(whole);
		wr_bytes(&b, good->p, sizes[i]);
		kit_store(s, name, &b);
		snprintf(how, sizeof(how), "cut to %zu", sizes[i]);
		check(s, name, how);
		store_close(s);
	}
}

static void grow(const char *name, const struct buf *good)
{
	struct store *s = kit_clone(whole);
	AUTO(buf_fini) struct buf b = BUF_INIT;

	wr_bytes(&b, good->p, good->len);
	wr_u8(&b, 0);
	kit_store(s, name, &b);
	check(s, name, "grown");
	store_close(s);
}

static void delete (const char *name)
{
	struct store *s = kit_clone(whole);
	struct err e = ERR_INIT;

	assert_int_equal(store_del(s, name, &e), 0);
	check(s, name, "gone");
	store_close(s);
}

/* Another object of its kind under its name. */
static void swap(const char *name, const struct kit_names *all)
{
	size_t kind = (size_t)(strchr(name, '/') - name) + 1;

	for (size_t i = 0; i < all->count; i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		struct store *s;

		if (strcmp(all->names[i], name) == 0 ||
		    strncmp(all->names[i], name, kind) != 0)
			continue;
		s = kit_clone(whole);
		kit_load(s, all->names[i], &b);
		kit_store(s, name, &b);
		check(s, name, "another one");
		store_close(s);
	}
}

static void damage_kind(const char *kind)
{
	AUTO(kit_names_fini) struct kit_names all;
	bool any = false;

	kit_list(whole, "", &all);
	for (size_t i = 0; i < all.count; i++) {
		AUTO(buf_fini) struct buf good = BUF_INIT;
		const char *name = all.names[i];

		if (!starts(name, kind))
			continue;
		any = true;
		kit_load(whole, name, &good);
		flip_all(name, &good);
		cut_all(name, &good);
		grow(name, &good);
		delete (name);
		if (strchr(name, '/') != NULL)
			swap(name, &all);
	}
	assert_true(any);
}

static void test_whole(void **state)
{
	struct outcome o;

	(void)state;
	try_all(whole, &o);
	assert_true(o.opens && !o.found);
	assert_int_equal(o.whole, 2);
}

static void test_config(void **state)
{
	(void)state;
	damage_kind("config");
}

static void test_keys(void **state)
{
	(void)state;
	damage_kind("keys/");
}

static void test_generation(void **state)
{
	(void)state;
	damage_kind("gen/");
}

static void test_sessions(void **state)
{
	(void)state;
	damage_kind("sess/");
	damage_kind("beat/");
}

static void test_points(void **state)
{
	(void)state;
	damage_kind("points/");
}

static void test_ring(void **state)
{
	(void)state;
	damage_kind("ring/");
}

static void test_tombs(void **state)
{
	(void)state;
	damage_kind("tomb/");
}

static void test_notes(void **state)
{
	(void)state;
	damage_kind("notes/damage/");
	damage_kind("notes/verify/");
}

static void test_issued(void **state)
{
	(void)state;
	damage_kind("issued/");
}

static void test_segments(void **state)
{
	(void)state;
	damage_kind("idx/");
}

static void test_data(void **state)
{
	(void)state;
	damage_kind("data/");
}

static void test_meta(void **state)
{
	(void)state;
	damage_kind("meta/");
}

/* ---- whom it hurts --------------------------------------------------- */

/* Damage in the middle of a data pack is reported for the pack, and for the
 * range of the one image that it hurts. */
static void check_victims(struct store *s, uint64_t *size)
{
	const struct verify_options o = { .read_data = true,
					  .talk = &talk_none };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(catalog_fini) struct catalog c;
	AUTO(verify_result_fini) struct verify_result v;
	struct err e = ERR_INIT;
	unsigned packs = 0, ranges = 0;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(verify_run(r, &c, &o, &v, &e), 0);
	for (size_t i = 0; i < v.damage_count; i++) {
		const struct verify_damage *d = &v.damages[i];

		packs += starts(d->object, "data/");
		if (d->object[0] != '\0')
			continue;
		ranges++;
		assert_string_equal(d->image, "vda");
		assert_true(starts(d->point, "vm0@2023-11-14T22:13:20Z ("));
		assert_true(d->size > 0 && d->size % PAGE_SIZE_BYTES == 0);
		*size = d->offset + d->size;
	}
	assert_true(packs > 0);
	assert_true(ranges > 0); /* holes part them */
	assert_int_equal(v.sets, 2);
	assert_int_equal(v.points, 2);
	assert_int_equal(v.images, 2);
}

static void test_victims(void **state)
{
	AUTO(kit_names_fini) struct kit_names packs;
	uint64_t sizes[2] = { 0, 0 };

	(void)state;
	kit_list(whole, "data/", &packs);
	assert_int_equal(packs.count, 2);
	for (size_t i = 0; i < 2; i++) {
		AUTO(store_close_at) struct store *s = kit_clone(whole);
		AUTO(buf_fini) struct buf b = BUF_INIT;

		kit_load(s, packs.names[i], &b);
		b.p[120] ^= 1;
		kit_store(s, packs.names[i], &b);
		check_victims(s, &sizes[i]);
	}
	/* one pack is the one image's, the other one the other's */
	assert_true(sizes[0] != sizes[1]);
}

/* ---- healing --------------------------------------------------------- */

/* Until nothing is left to do. */
static void collect(struct store *s)
{
	const struct collect_options o = { .silent_ns = 1 };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, s);
	AUTO(collect_result_fini) struct collect_result done;
	struct err e = ERR_INIT;

	memset(&done, 0, sizeof(done));
	if (collect_run(r, &o, &done, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(done.steps > 0);
}

/* Verify says what is lost; the next backup of the same image puts it back,
 * and the old point restores again; verify has nothing to say then. */
static void heal(const char *kind, enum kit_harm how)
{
	AUTO(kit_names_fini) struct kit_names packs;
	struct store *s = kit_clone(whole);
	struct outcome o;

	kit_list(s, kind, &packs);
	for (size_t i = 0; i < packs.count; i++)
		kit_harm(s, packs.names[i], how);
	try_all(s, &o);
	assert_true(o.found);
	assert_int_equal(o.failed, 2);
	assert_true(kit_count(s, "notes/damage/") > 0 || starts(kind, "meta/"));
	for (size_t i = 0; i < 2; i++) {
		struct repo *r = kit_open(&kit, s);

		kit_backup_one(r, &images[i], NULL);
		repo_close(r);
	}
	kit_verify_clean(&kit, s);
	try_all(s, &o);
	assert_int_equal(o.failed, 0);
	assert_int_equal(o.whole, 4);
	/* a collector keeps what was stored again, not what is damaged */
	collect(s);
	kit_verify_clean(&kit, s);
	try_all(s, &o);
	assert_int_equal(o.failed, 0);
	assert_int_equal(o.whole, 4);
	store_close(s);
}

static void test_heal(void **state)
{
	(void)state;
	for (int how = 0; how < KIT_HARMS; how++) {
		heal("data/", (enum kit_harm)how);
		heal("meta/", (enum kit_harm)how);
	}
}

/* Without a note a backup knows nothing of a flipped bit below a node that it
 * knows: it is the note that heals. */
static void test_heal_by_note(void **state)
{
	AUTO(kit_names_fini) struct kit_names packs;
	AUTO(store_close_at) struct store *s = kit_clone(whole);
	struct intake_stats blind, told;

	(void)state;
	kit_list(s, "data/", &packs);
	for (size_t i = 0; i < packs.count; i++)
		kit_harm(s, packs.names[i], KIT_FLIPPED);
	struct repo *r = kit_open(&kit, s);

	kit_backup_one(r, &images[1], &blind);
	repo_close(r);
	assert_int_equal(blind.new_bytes, 0);
	assert_true(kit_damages(&kit, s, false) > 0);
	r = kit_open(&kit, s);
	kit_backup_one(r, &images[1], &told);
	repo_close(r);
	assert_true(told.new_bytes > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_tombs),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_issued),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_victims),
		cmocka_unit_test(test_heal),
		cmocka_unit_test(test_heal_by_note),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
