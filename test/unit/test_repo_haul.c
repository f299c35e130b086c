/* SPDX-License-Identifier: Apache-2.0 */

/* Many chunks at once: every byte comes, in its place, whatever is damaged,
 * as long as it is anywhere; each blob is read once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/haul.h"
#include "repo_kit.h"

#define MIB (1u << 20)

static struct kit kit;
static struct err e;

/* ---- carrying a whole image ------------------------------------------ */

#define WAITING 4096

struct got {
	/* taken, and to be valid until the flush */
	struct taken {
		uint64_t offset;
		const uint8_t *data;
		size_t size;
	} waiting[WAITING];
	size_t waiting_count;
	size_t flushes;
	size_t room; /* for what waits */
	uint8_t *image;
	uint64_t size;
	uint64_t bytes;
	size_t calls;
	unsigned unaligned;
	size_t fail_at; /* call that fails; 0: none */
};

static int take(void *ctx, uint64_t offset, const uint8_t *data, size_t size,
		struct err *why)
{
	struct got *g = ctx;

	if (++g->calls == g->fail_at)
		return err_set(why, ERR_NO_SPACE, "the target is full");
	assert_true(offset + size <= g->size);
	assert_true(g->waiting_count < WAITING);
	g->waiting[g->waiting_count++] = (struct taken){
		.offset = offset,
		.data = data,
		.size = size,
	};
	g->bytes += size;
	g->unaligned += (uintptr_t)data % PAGE_SIZE_BYTES != 0;
	return 0;
}

static int flush(void *ctx, struct err *why)
{
	struct got *g = ctx;

	(void)why;
	for (size_t i = 0; i < g->waiting_count; i++)
		memcpy(g->image + g->waiting[i].offset, g->waiting[i].data,
		       g->waiting[i].size);
	g->waiting_count = 0;
	g->flushes++;
	return 0;
}

struct all {
	struct repo *repo;
	struct reader_image *image;
	struct reader_thread *thread;
	struct haul *haul;
	struct got got;
};

static void all_fini(struct all *a)
{
	haul_free(a->haul);
	reader_thread_free(a->thread);
	reader_close(a->image);
	repo_close(a->repo);
	free(a->got.image);
}

/* Ask for every chunk of extents first to last of an image. */
static void want(struct all *a, uint64_t first, uint64_t last)
{
	for (uint64_t n = first; n <= last; n++) {
		struct haul_piece p[EXTENT_PAGES];
		const struct extent *x;
		size_t count = 0;
		uint64_t at = n * EXTENT_SIZE;
		int there = reader_node(a->image, a->thread, n, &x, &e);

		assert_true(there >= 0);
		for (size_t i = 0; there == 1 && i < x->count; i++) {
			uint32_t size = x->runs[i].pages * PAGE_SIZE_BYTES;

			if (!x->runs[i].hole)
				p[count++] = (struct haul_piece){
					.offset = at,
					.size = size,
					.id = x->runs[i].id,
				};
			at += size;
		}
		haul_locate(a->thread, p, count);
		assert_true(haul_add(a->haul, p, count));
	}
}

static void all_init(struct all *a, struct repo *r, const struct set *set,
		     const struct image_root *root)
{
	uint64_t extents = num_parts(root->size, EXTENT_SIZE);

	memset(a, 0, sizeof(*a));
	a->repo = r;
	a->image = reader_open(r, set, root, &e);
	assert_non_null(a->image);
	a->thread = reader_thread_new(r, &e);
	a->haul = haul_new(extents * EXTENT_PAGES, &e);
	a->got.size = extents * EXTENT_SIZE;
	a->got.image = mem_zalloc(1, a->got.size);
	want(a, 0, extents - 1);
	haul_sort(a->haul);
}

static int carry(struct all *a)
{
	const struct haul_sink sink = { .ctx = &a->got,
					.room = a->got.room,
					.take = take,
					.flush = flush };

	for (size_t i = 0; i < haul_parts(a->haul); i++)
		if (haul_carry(a->haul, i, a->thread, &sink, &e) < 0)
			return -1;
	assert_int_equal(a->got.waiting_count, 0);
	return 0;
}

static void same(const struct all *a, const struct fake *f)
{
	autofree uint8_t *should = mem_zalloc(1, EXTENT_SIZE);

	for (uint64_t at = 0; at < a->got.size; at += EXTENT_SIZE) {
		memset(should, 0, EXTENT_SIZE);
		fake_extent(f, at / EXTENT_SIZE, should);
		assert_memory_equal(a->got.image + at, should, EXTENT_SIZE);
	}
}

static uint64_t bytes_of_parts(const struct all *a)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < haul_parts(a->haul); i++)
		sum += haul_part_bytes(a->haul, i);
	return sum;
}

/* ---- a repository with one image ------------------------------------- */

struct one {
	struct store *mem;
	struct kit_backup backup;
};

static void one_fini(struct one *o)
{
	set_fini(&o->backup.set);
	store_close(o->mem);
}

static void one_init(struct one *o, const struct fake *f)
{
	o->mem = kit_create_mem(&kit);
	o->backup = (struct kit_backup){ .images = f, .count = 1 };
	struct repo *r = kit_open(&kit, o->mem);

	if (kit_backup(r, &o->backup, &e) < 0)
		fail_msg("%s", e.msg);
	repo_close(r);
}

static const struct image_root *root_of(const struct one *o)
{
	return &o->backup.set.points[0].images[0].root;
}

static const struct fake plain = {
	.size = 40u * MIB + 8192, .seed = 1, .every = 2, .zero_percent = 30
};

static void everything_comes(void **state)
{
	AUTO(one_fini) struct one o = { .mem = NULL };
	static const size_t rooms[] = { 8u << 20, 0 };

	(void)state;
	one_init(&o, &plain);
	for (size_t i = 0; i < 2; i++) {
		AUTO(all_fini) struct all a = { .repo = NULL };

		all_init(&a, kit_open(&kit, o.mem), &o.backup.set, root_of(&o));
		a.got.room = rooms[i];
		assert_int_equal(carry(&a), 0);
		same(&a, &plain);
		assert_int_equal(a.got.bytes, bytes_of_parts(&a));
		assert_int_equal(a.got.unaligned, 0);
		/* with room for a part it is written at once; without, each
		 * blob */
		if (rooms[i] > 0)
			assert_int_equal(a.got.flushes, haul_parts(a.haul));
		else
			assert_true(a.got.flushes > 2 * haul_parts(a.haul));
	}
}

static void neighbours_are_one_read(void **state)
{
	const struct store_fault_plan none = { .fail_at = 0 };
	AUTO(one_fini) struct one o;
	AUTO(all_fini) struct all a;
	struct store *counting;

	(void)state;
	one_init(&o, &plain);
	counting = store_fault_new(store_mem_share(o.mem), &none);
	struct repo *r = kit_try_open(&kit, counting, NULL, &e);

	assert_non_null(r);
	all_init(&a, r, &o.backup.set, root_of(&o));
	uint64_t before = store_fault_calls(counting);

	assert_int_equal(carry(&a), 0);
	/* packs of 1 MiB, parts of up to 16 blobs that lie side by side, and
	 * the key of the data once */
	assert_in_range(store_fault_calls(counting) - before, 1,
			haul_parts(a.haul) + 2);
}

/* Asked for three times: each time it comes. */
static void one_chunk_in_many_places(void **state)
{
	AUTO(one_fini) struct one o;
	AUTO(all_fini) struct all a;

	(void)state;
	one_init(&o, &plain);
	all_init(&a, kit_open(&kit, o.mem), &o.backup.set, root_of(&o));
	haul_free(a.haul);
	a.haul = haul_new((size_t)4 * EXTENT_PAGES * 11, &e);
	for (size_t i = 0; i < 3; i++)
		want(&a, 0, 10);
	haul_sort(a.haul);
	assert_int_equal(carry(&a), 0);
	same(&a, &plain);
	assert_int_equal(a.got.bytes, bytes_of_parts(&a));
}

static void a_haul_is_bounded(void **state)
{
	struct haul_piece p[3] = { { .offset = 0 } };
	struct haul *h = haul_new(4, &e);

	(void)state;
	assert_true(haul_add(h, p, 0));
	assert_true(haul_add(h, p, 3));
	assert_false(haul_add(h, p, 2));
	assert_true(haul_add(h, p, 1));
	haul_free(h);
}

static void nothing_is_no_part(void **state)
{
	struct haul *h = haul_new(4, &e);

	(void)state;
	haul_sort(h);
	assert_int_equal(haul_parts(h), 0);
	haul_free(h);
}

/* ---- damage ---------------------------------------------------------- */

static void flip(struct store *s, const char *name, size_t at)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	kit_load(s, name, &b);
	assert_true(at < b.len);
	b.p[at] ^= 0x40;
	kit_store(s, name, &b);
}

/* Take a pack's bytes: 0 all of them, 1 the end, 2 flip one in a blob. */
static void hurt(struct store *s, const char *name, int how)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	switch (how) {
	case 0:
		assert_int_equal(store_del(s, name, &e), 0);
		break;
	case 1:
		kit_load(s, name, &b);
		b.len /= 2;
		kit_store(s, name, &b);
		break;
	default:
		flip(s, name, 5000);
	}
}

static void what_is_lost_is_named(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		AUTO(one_fini) struct one o;
		AUTO(all_fini) struct all a;
		AUTO(kit_names_fini) struct kit_names packs = { 0 };

		one_init(&o, &plain);
		kit_list(o.mem, "data/", &packs);
		assert_true(packs.count > 3);
		hurt(o.mem, packs.names[1], how);
		all_init(&a, kit_open(&kit, o.mem), &o.backup.set, root_of(&o));
		assert_int_equal(carry(&a), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		assert_non_null(strstr(e.msg, "bytes "));
		err_clear(&e);
	}
}

/* Damaged after it was looked up: nothing wrong may come out of it. */
static void damage_in_between_is_seen(void **state)
{
	AUTO(one_fini) struct one o;
	AUTO(all_fini) struct all a;
	AUTO(kit_names_fini) struct kit_names packs = { 0 };

	(void)state;
	one_init(&o, &plain);
	all_init(&a, kit_open(&kit, o.mem), &o.backup.set, root_of(&o));
	kit_list(o.mem, "data/", &packs);
	hurt(o.mem, packs.names[0], 2);
	assert_int_equal(carry(&a), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	err_clear(&e);
}

/* The image was stored twice: what one copy lacks comes from the other. */
static void another_copy_is_used(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		AUTO(one_fini) struct one o;
		AUTO(all_fini) struct all a;
		AUTO(kit_names_fini) struct kit_names packs = { 0 };
		AUTO(kit_names_fini) struct kit_names segments = { 0 };
		struct kit_backup again = { .images = &plain, .count = 1 };
		AUTO(buf_fini) struct buf kept = BUF_INIT;

		one_init(&o, &plain);
		/* the second backup does not know what the first one has */
		kit_list(o.mem, "idx/", &segments);
		assert_int_equal(segments.count, 1);
		kit_load(o.mem, segments.names[0], &kept);
		assert_int_equal(store_del(o.mem, segments.names[0], &e), 0);
		kit_list(o.mem, "data/", &packs);
		struct repo *r = kit_open(&kit, o.mem);

		if (kit_backup(r, &again, &e) < 0)
			fail_msg("%s", e.msg);
		repo_close(r);
		set_fini(&again.set);
		kit_store(o.mem, segments.names[0], &kept);
		for (size_t i = 0; i < packs.count; i++)
			hurt(o.mem, packs.names[i], how);
		all_init(&a, kit_open(&kit, o.mem), &o.backup.set, root_of(&o));
		if (carry(&a) < 0)
			fail_msg("%s", e.msg);
		same(&a, &plain);
	}
}

static void a_full_target_ends_it(void **state)
{
	AUTO(one_fini) struct one o;
	AUTO(all_fini) struct all a;

	(void)state;
	one_init(&o, &plain);
	all_init(&a, kit_open(&kit, o.mem), &o.backup.set, root_of(&o));
	a.got.fail_at = 3;
	assert_int_equal(carry(&a), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_int_equal(a.got.calls, 3);
	err_clear(&e);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_no_part),
		cmocka_unit_test(a_haul_is_bounded),
		cmocka_unit_test(everything_comes),
		cmocka_unit_test(neighbours_are_one_read),
		cmocka_unit_test(one_chunk_in_many_places),
		cmocka_unit_test(what_is_lost_is_named),
		cmocka_unit_test(damage_in_between_is_seen),
		cmocka_unit_test(another_copy_is_used),
		cmocka_unit_test(a_full_target_ends_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
