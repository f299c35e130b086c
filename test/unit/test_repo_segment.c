/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/claims.h"
#include "repo/idset.h"
#include "repo_kit.h"

/* How prefixes are spread: evenly, as ids are, or as no search likes it. */
enum spread { EVEN, FEW, STEEP, LOW_BITS, CLUSTERS, SPREADS };

static void make_prefix(enum spread spread, uint64_t i, uint8_t out[16])
{
	uint64_t a = kit_mix(i);
	uint64_t b = kit_mix(a);

	if (spread == FEW)
		a %= 7;
	else if (spread == STEEP)
		a >>= a % 64;
	else if (spread == LOW_BITS)
		a = 42;
	else if (spread == CLUSTERS)
		a = (i % 3 == 0 ? UINT64_MAX : 0) ^ a % 1000;
	for (size_t k = 0; k < 8; k++) {
		out[k] = (uint8_t)(a >> (56 - 8 * k));
		out[8 + k] = (uint8_t)(b >> 8 * k);
	}
	if (spread == FEW)
		memset(out + 8, 0, 8);
}

static void make_segment(enum spread spread, size_t n, struct buf *out)
{
	const struct segment_pack packs[3] = {
		{ .class = BLOB_DATA, .blobs = 77, .size = 1000 },
		{ .class = BLOB_NODE, .blobs = 78, .size = 1001 },
		{ .class = BLOB_DATA, .blobs = 79, .size = 1002 },
	};
	char one[] = "idx/one-0", other[] = "idx/other-1";
	char *const leans[2] = { one, other };
	autofree struct segment_entry_new *entries =
		mem_zalloc(n, sizeof(*entries));
	struct segment_new s = { .generation = 7,
				 .packs = packs,
				 .pack_count = 3,
				 .leans = leans,
				 .lean_count = 2,
				 .entries = entries,
				 .entry_count = n };

	memset(s.session.b, 0x5a, ID_SIZE);
	for (size_t i = 0; i < n; i++) {
		make_prefix(spread, i, entries[i].prefix);
		entries[i].pack = (uint32_t)(i % 3);
		entries[i].blob = (uint32_t)(i % PACK_MAX_BLOBS);
		entries[i].slot = (uint8_t)(i % 200);
	}
	segment_encode(&s, out);
}

static uint64_t linear(const struct segment *s, enum blob_class class,
		       const struct hash *id)
{
	uint64_t i, end;

	segment_part(s, class, &i, &end);
	while (i < end && memcmp(segment_prefix(s, i), id->b, 16) < 0)
		i++;
	return i;
}

static void check_find(const struct segment *s, const struct hash *id)
{
	assert_int_equal(segment_find(s, BLOB_DATA, id),
			 linear(s, BLOB_DATA, id));
	assert_int_equal(segment_find(s, BLOB_NODE, id),
			 linear(s, BLOB_NODE, id));
}

static void test_find(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 17, 400 };
	struct err e = ERR_INIT;

	(void)state;
	for (int spread = 0; spread < SPREADS; spread++) {
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			AUTO(buf_fini) struct buf b = BUF_INIT;
			struct segment s;

			make_segment((enum spread)spread, sizes[k], &b);
			assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
			assert_int_equal(s.generation, 7);
			for (uint64_t i = 0; i < 2 * sizes[k] + 3; i++) {
				struct hash id = { { 0 } };

				make_prefix((enum spread)spread, i, id.b);
				check_find(&s, &id);
			}
			struct hash low = { { 0 } }, high;

			memset(high.b, 0xff, HASH_SIZE);
			check_find(&s, &low);
			check_find(&s, &high);
		}
	}
}

/* Every entry is found where it points, duplicates included. */
static void test_entries(void **state)
{
	const size_t n = 500;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment s;
	struct err e = ERR_INIT;

	(void)state;
	make_segment(FEW, n, &b);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
	for (size_t i = 0; i < n; i++) {
		struct hash id = { { 0 } };
		struct place p;
		bool found = false;

		make_prefix(FEW, i, id.b);
		for (uint64_t k = segment_find(
			     &s, i % 3 == 1 ? BLOB_NODE : BLOB_DATA, &id);
		     segment_entry(&s, k, &id, &p); k++)
			found |= p.blob == i && p.slot == i % 200 &&
				 (p.class == BLOB_NODE) == (i % 3 == 1);
		assert_true(found);
	}
	struct place p;

	assert_false(segment_place(&s, n, &p));
	assert_false(segment_place(&s, UINT64_MAX, &p));
}

/* Damage: a search ends, and what it says stays in bounds. */
static void test_damaged(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (int spread = 0; spread < SPREADS; spread++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;

		make_segment((enum spread)spread, 100, &b);
		for (size_t i = 0; i < 3000; i++) {
			struct hash id = { { 0 } };
			struct segment s;
			struct place p;

			b.p[kit_mix(i) % b.len] ^= (uint8_t)kit_mix(i + 1);
			make_prefix((enum spread)spread, i % 100, id.b);
			if (segment_parse(b.p, b.len, &s, &e) < 0)
				memcpy(b.p, "\1\0\0\0\3\0\0\0", 8);
			if (segment_parse(b.p, b.len, &s, &e) < 0)
				continue;
			uint64_t at = segment_find(&s, BLOB_DATA, &id);

			assert_true(at <= s.nodes + s.chunks);
			segment_entry(&s, at, &id, &p);
		}
	}
}

static void test_parse(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment s;
	struct err e = ERR_INIT;

	(void)state;
	make_segment(EVEN, 10, &b);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(segment_parse(b.p, n, &s, &e), -1);
	wr_u8(&b, 0);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), -1);
	b.len--;
	/* numbers that overflow */
	memset(b.p + 40, 0xff, 8);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), -1);
	memset(b.p + 4, 0xff, 4);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), -1);
}

static void test_sorted(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment s;
	struct err e = ERR_INIT;

	(void)state;
	make_segment(STEEP, 1000, &b);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
	assert_int_equal(s.nodes, 333);
	assert_int_equal(s.chunks, 667);
	for (uint64_t i = 1; i < s.nodes + s.chunks; i++)
		assert_true(i == s.nodes ||
			    memcmp(segment_prefix(&s, i - 1),
				   segment_prefix(&s, i), 16) <= 0);
}

/* What stands beside the entries. */
static void test_tables(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment_leans l;
	struct segment_pack p;
	struct segment s;
	struct err e = ERR_INIT;

	(void)state;
	make_segment(EVEN, 10, &b);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(segment_pack(&s, i, &p));
		assert_int_equal(p.blobs, 77 + i);
		assert_int_equal(p.size, 1000 + i);
		assert_int_equal(p.class, i == 1 ? BLOB_NODE : BLOB_DATA);
	}
	assert_false(segment_pack(&s, 3, &p));
	segment_leans(&s, &l);
	static const char *const names[] = { "idx/one-0", "idx/other-1" };

	for (size_t i = 0; i < 2; i++) {
		autofree char *name = NULL;

		assert_true(segment_leans_next(&l, &name));
		assert_string_equal(name, names[i]);
	}
	char *none;

	assert_false(segment_leans_next(&l, &none));
}

/* ---- claims, sets of ids --------------------------------------------- */

static struct hash id_of(uint64_t i)
{
	struct hash h = { { 0 } };

	make_prefix(EVEN, i, h.b);
	return h;
}

static void test_claims(void **state)
{
	struct claims *c = claims_new();
	const uint32_t n = 20000;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < n; i++) {
			struct hash id = id_of(i);

			assert_false(claims_has(c, &id));
			assert_true(claims_take(c, &id));
			claims_place(c, &id, i, i & 0xfffff, (uint8_t)i);
			assert_false(claims_take(c, &id));
			assert_true(claims_has(c, &id));
		}
		assert_int_equal(claims_count(c), n);
		autofree struct segment_entry_new *list =
			mem_zalloc(n, sizeof(*list));

		claims_list(c, list);
		for (uint32_t i = 0; i < n; i++) {
			struct hash id = id_of(list[i].pack);

			assert_memory_equal(id.b, list[i].prefix, 16);
			assert_int_equal(list[i].blob, list[i].pack & 0xfffff);
			assert_int_equal(list[i].slot, list[i].pack & 0xff);
		}
		claims_clear(c);
		assert_int_equal(claims_count(c), 0);
	}
	claims_free(c);
}

static void test_idset(void **state)
{
	AUTO(idset_fini) struct idset s = IDSET_INIT;

	(void)state;
	for (uint64_t i = 0; i < 5000; i++) {
		struct hash id = id_of(i);

		assert_false(idset_has(&s, id.b));
		assert_true(idset_add(&s, id.b));
		assert_false(idset_add(&s, id.b));
		assert_true(idset_has(&s, id.b));
	}
	assert_int_equal(s.count, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),   cmocka_unit_test(test_sorted),
		cmocka_unit_test(test_tables),  cmocka_unit_test(test_find),
		cmocka_unit_test(test_entries), cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_claims),  cmocka_unit_test(test_idset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
