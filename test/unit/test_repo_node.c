/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/cut.h"
#include "repo/node.h"
#include "repo_kit.h"

static struct hash hash_of(uint64_t seed)
{
	struct hash h;

	for (size_t i = 0; i < HASH_SIZE; i++)
		h.b[i] = (uint8_t)(kit_mix(seed) >> i % 8 * 8) ^ (uint8_t)i;
	return h;
}

/* ---- nodes ----------------------------------------------------------- */

static void make_extent(struct extent *x, size_t chunks)
{
	memset(x, 0, sizeof(*x));
	for (size_t i = 0; i < chunks; i++) {
		struct run *run = &x->runs[x->count++];

		run->pages = 1;
		run->hole = i % 3 == 1;
		run->id = hash_of(i);
	}
	x->runs[x->count - 1].hole = false;
	x->runs[x->count - 1].pages = (uint16_t)(EXTENT_PAGES - chunks + 1);
}

static bool same_runs(const struct extent *a, const struct extent *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->runs[i].pages != b->runs[i].pages ||
		    a->runs[i].hole != b->runs[i].hole ||
		    (!a->runs[i].hole &&
		     !hash_equal(&a->runs[i].id, &b->runs[i].id)))
			return false;
	return a->count == b->count;
}

/* Whatever decodes is canonical: it encodes to the same bytes. */
static void extent_decodes_or_not(const uint8_t *p, size_t size)
{
	static struct extent x;
	AUTO(buf_fini) struct buf again = BUF_INIT;
	struct err e = ERR_INIT;

	if (extent_decode(p, size, &x, &e) < 0) {
		assert_int_equal(e.code, ERR_INTEGRITY);
		return;
	}
	extent_encode(&x, &again);
	assert_int_equal(again.len, size);
	assert_memory_equal(again.p, p, size);
}

static void test_extent(void **state)
{
	static struct extent x, y;
	static const size_t counts[] = { 1, 2, 3, 100, EXTENT_PAGES };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;

		make_extent(&x, counts[i]);
		extent_encode(&x, &b);
		assert_true(b.len <= NODE_MAX);
		assert_int_equal(extent_decode(b.p, b.len, &y, &e), 0);
		assert_true(same_runs(&x, &y));
		for (size_t n = 0; n < b.len && n < 4000; n++)
			assert_int_equal(extent_decode(b.p, n, &y, &e), -1);
		for (size_t at = 0; at < b.len && at < 4000; at++) {
			b.p[at] ^= (uint8_t)(1u << at % 8);
			extent_decodes_or_not(b.p, b.len);
			b.p[at] ^= (uint8_t)(1u << at % 8);
		}
		wr_u8(&b, 0);
		assert_int_equal(extent_decode(b.p, b.len, &y, &e), -1);
	}
}

static void refuses(const struct extent *x)
{
	static struct extent y;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	extent_encode(x, &b);
	assert_int_equal(extent_decode(b.p, b.len, &y, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

static void test_extent_not_canonical(void **state)
{
	static struct extent x;

	(void)state;
	make_extent(&x, 4);
	x.runs[0].hole = true; /* beside another hole */
	refuses(&x);
	make_extent(&x, 4);
	x.runs[0].pages = 0;
	refuses(&x);
	make_extent(&x, 4);
	x.runs[3].pages--; /* does not cover all */
	refuses(&x);
	make_extent(&x, 4);
	x.runs[3].pages++;
	refuses(&x);
	make_extent(&x, 1);
	x.runs[0].hole = true; /* nothing but hole */
	refuses(&x);
	x.count = 0;
	refuses(&x);
}

static void test_inner(void **state)
{
	static struct inner n, m;
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned count = 1; count <= TREE_FANOUT; count += 51) {
		AUTO(buf_fini) struct buf b = BUF_INIT;

		memset(&n, 0, sizeof(n));
		n.level = (uint8_t)(1 + count % TREE_MAX_DEPTH);
		for (unsigned i = 0; i < count; i++) {
			size_t at = kit_mix(i) % TREE_FANOUT;

			n.present[at] = true;
			n.child[at] = hash_of(i);
		}
		inner_encode(&n, &b);
		memset(&m, 0, sizeof(m));
		assert_int_equal(inner_decode(b.p, b.len, &m, &e), 0);
		assert_memory_equal(&n, &m, sizeof(n));
		for (size_t k = 0; k < b.len; k++)
			assert_int_equal(inner_decode(b.p, k, &m, &e), -1);
		for (size_t at = 0; at < 40; at++) {
			AUTO(buf_fini) struct buf again = BUF_INIT;

			b.p[at] ^= (uint8_t)(1u << at % 8);
			if (inner_decode(b.p, b.len, &m, &e) == 0) {
				inner_encode(&m, &again);
				assert_int_equal(again.len, b.len);
				assert_memory_equal(again.p, b.p, b.len);
			}
			b.p[at] ^= (uint8_t)(1u << at % 8);
		}
	}
	memset(&n, 0, sizeof(n));
	n.level = 1;
	AUTO(buf_fini) struct buf empty = BUF_INIT;

	inner_encode(&n, &empty);
	assert_int_equal(inner_decode(empty.p, empty.len, &m, &e), -1);
}

static void test_depth(void **state)
{
	(void)state;
	assert_int_equal(tree_depth(0), 0);
	assert_int_equal(tree_depth(1), 0);
	assert_int_equal(tree_depth(2), 1);
	assert_int_equal(tree_depth(256), 1);
	assert_int_equal(tree_depth(257), 2);
	assert_int_equal(tree_depth(65536), 2);
	assert_int_equal(tree_depth(65537), 3);
	assert_int_equal(tree_depth(IMAGE_MAX_SIZE / EXTENT_SIZE),
			 TREE_MAX_DEPTH);
	assert_int_equal(tree_span(1), 1);
	assert_int_equal(tree_span(2), 256);
	/* the deepest tree holds the largest image */
	assert_true(tree_span(TREE_MAX_DEPTH) * TREE_FANOUT >=
		    IMAGE_MAX_SIZE / EXTENT_SIZE);
}

/* ---- cutting --------------------------------------------------------- */

static uint8_t *pages; /* one extent */
static struct hasher *hasher;
static struct cutter cutter;

static int setup(void **state)
{
	static const uint8_t id_key[32] = { 1 };
	static const uint8_t cut_key[32] = { 2 };
	struct err e = ERR_INIT;

	(void)state;
	pages = mem_try_pages(EXTENT_SIZE);
	hasher = hasher_new(id_key, cut_key, &e);
	return pages != NULL && hasher != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(pages);
	hasher_free(hasher);
	return 0;
}

/* Runs cover the extent, holes are just the zero pages, chunks are within
 * their sizes, and end early only where the hash, a hole or the end says. */
static void check_cut(const struct cut_sizes *s, const struct extent *x)
{
	size_t page = 0;

	for (size_t i = 0; i < x->count; page += x->runs[i++].pages) {
		const struct run *run = &x->runs[i];
		size_t end = page + run->pages;

		for (size_t p = page; p < end; p++)
			assert_int_equal(bytes_zero(pages + p * PAGE_SIZE_BYTES,
						    PAGE_SIZE_BYTES),
					 run->hole);
		if (run->hole)
			continue;
		assert_true(run->pages <= s->max_pages);
		bool last = end == EXTENT_PAGES || x->runs[i + 1].hole;
		bool cut = (cutter.cut[end - 1] & s->mask) == 0;

		assert_true(last || run->pages == s->max_pages ||
			    (cut && run->pages >= s->min_pages));
		for (size_t p = page + s->min_pages; p < end; p++)
			assert_true((cutter.cut[p - 1] & s->mask) != 0);
	}
	assert_int_equal(page, x->count > 0 ? EXTENT_PAGES : 0);
}

static void test_cut(void **state)
{
	static struct extent x, y;
	struct cut_sizes s;
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < 24; i++) {
		struct fake f = { .size = EXTENT_SIZE,
				  .seed = i,
				  .zero_percent = i * 9 % 101 };
		AUTO(buf_fini) struct buf b = BUF_INIT;
		size_t count = 0;

		assert_true(cut_sizes_from_avg(16u << 10 << i % 3, &s));
		fake_extent(&f, 0, pages);
		for (size_t p = 0; p < EXTENT_PAGES; p++)
			count += !bytes_zero(pages + p * PAGE_SIZE_BYTES,
					     PAGE_SIZE_BYTES);
		assert_int_equal(cut_extent(&cutter, hasher, &s, pages,
					    EXTENT_PAGES, &x),
				 count);
		check_cut(&s, &x);
		if (count == 0)
			continue;
		extent_encode(&x, &b);
		assert_int_equal(extent_decode(b.p, b.len, &y, &e), 0);
		assert_true(same_runs(&x, &y));
	}
}

/* A repeated page has the same hash everywhere: chunks of the largest size,
 * or of the smallest. */
static void test_cut_equal_pages(void **state)
{
	static struct extent x;
	struct cut_sizes s;

	(void)state;
	assert_true(cut_sizes_from_avg(32u << 10, &s));
	for (int value = 1; value < 40; value++) {
		memset(pages, value, EXTENT_SIZE);
		assert_int_equal(cut_extent(&cutter, hasher, &s, pages,
					    EXTENT_PAGES, &x),
				 EXTENT_PAGES);
		check_cut(&s, &x);
		assert_int_equal(x.runs[0].pages, (cutter.cut[0] & s.mask) == 0
							  ? s.min_pages
							  : s.max_pages);
		for (size_t i = 1; i < x.count; i++)
			assert_true(hash_equal(&x.runs[i].id, &x.runs[0].id));
	}
}

/* Cuts follow the content: what is before a change, or well after it, has the
 * same ids. */
static void test_cut_follows_content(void **state)
{
	static struct extent x, y;
	struct cut_sizes s;
	struct fake f = { .size = EXTENT_SIZE, .seed = 4 };
	size_t same = 0;

	(void)state;
	assert_true(cut_sizes_from_avg(16u << 10, &s));
	fake_extent(&f, 0, pages);
	cut_extent(&cutter, hasher, &s, pages, EXTENT_PAGES, &x);
	memmove(pages + PAGE_SIZE_BYTES, pages, EXTENT_SIZE - PAGE_SIZE_BYTES);
	cut_extent(&cutter, hasher, &s, pages, EXTENT_PAGES, &y);
	for (size_t i = 0; i < x.count; i++)
		for (size_t k = 0; k < y.count; k++)
			same += hash_equal(&x.runs[i].id, &y.runs[k].id);
	assert_true(same > x.count * 8 / 10);
}

/* What lies behind the first n pages is a hole, whatever is there. */
static void test_cut_part(void **state)
{
	static struct extent x, y;
	const struct fake f = { .size = EXTENT_SIZE,
				.seed = 9,
				.zero_percent = 20 };
	static const size_t parts[] = { 0, 1, 2, 16, 17, 500, 1023 };
	struct cut_sizes s;

	(void)state;
	assert_true(cut_sizes_from_avg(16u << 10, &s));
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		size_t n = parts[i];
		size_t end = n * PAGE_SIZE_BYTES;

		fake_extent(&f, 0, pages);
		size_t count = cut_extent(&cutter, hasher, &s, pages, n, &x);

		memset(pages + end, 0, EXTENT_SIZE - end);
		assert_int_equal(cut_extent(&cutter, hasher, &s, pages,
					    EXTENT_PAGES, &y),
				 count);
		assert_int_equal(x.count, y.count);
		assert_true(same_runs(&x, &y));
		check_cut(&s, &x);
	}
}

/* A chunk and a node of the same bytes never have one id, nor have chunks of
 * another length. */
static void test_ids(void **state)
{
	struct hash leaf[4], a, b, c;

	(void)state;
	memset(leaf, 7, sizeof(leaf));
	cut_chunk_id(hasher, leaf, 1, &a);
	cut_chunk_id(hasher, leaf, 2, &b);
	cut_node_id(hasher, leaf, sizeof(leaf[0]), &c);
	assert_false(hash_equal(&a, &b));
	assert_false(hash_equal(&a, &c));
}

static void test_sizes(void **state)
{
	struct cut_sizes s;

	(void)state;
	assert_true(cut_sizes_from_avg(32u << 10, &s));
	assert_int_equal(s.min_pages, 2);
	assert_int_equal(s.max_pages, 32);
	assert_false(cut_sizes_from_avg(0, &s));
	assert_false(cut_sizes_from_avg(8u << 10, &s));
	assert_false(cut_sizes_from_avg(48u << 10, &s));
	assert_false(cut_sizes_from_avg((32u << 10) + 1, &s));
	assert_false(cut_sizes_from_avg(512u << 10, &s));
	assert_false(cut_sizes_from_avg(UINT32_MAX, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extent),
		cmocka_unit_test(test_extent_not_canonical),
		cmocka_unit_test(test_inner),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_equal_pages),
		cmocka_unit_test(test_cut_follows_content),
		cmocka_unit_test(test_cut_part),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
