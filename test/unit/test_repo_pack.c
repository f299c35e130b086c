/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/pack.h"

#define BODY_END 100000

static const uint8_t meta_key[32] = { 9 };

static void make_header(struct pack_header *h)
{
	memset(h, 0, sizeof(*h));
	h->class = BLOB_DATA;
	memset(h->pack.b, 1, ID_SIZE);
	memset(h->salt, 2, SALT_SIZE);
	memset(h->key.b, 3, ID_SIZE);
	memset(h->session.b, 4, ID_SIZE);
}

static void make_footer(struct footer *f, unsigned blobs)
{
	struct slot slots[BLOB_MAX_SLOTS];

	memset(f, 0, sizeof(*f));
	for (unsigned i = 0; i < blobs; i++) {
		struct blob b = { .offset = PACK_HEADER + i * 50,
				  .stored = 50,
				  .method = (uint8_t)(i % 2),
				  .slots = (uint8_t)(1 + i % 255),
				  .moved = i % 3 == 2 };

		memset(&b.origin, b.moved ? 7 : 0, sizeof(b.origin));
		memset(slots, 0, sizeof(slots));
		for (unsigned k = 0; k < b.slots; k++) {
			slots[k].size = 1000 + k;
			memset(slots[k].id.b, (int)(i + k), HASH_SIZE);
			b.raw += slots[k].size;
		}
		assert_int_equal(footer_add(f, &b, slots), i);
	}
}

static void test_header(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct pack_header h, got;
	struct err e = ERR_INIT;

	(void)state;
	make_header(&h);
	pack_header_encode(&h, &b);
	assert_int_equal(b.len, PACK_HEADER);
	assert_int_equal(pack_header_decode(b.p, &got, &e), 0);
	assert_memory_equal(&h, &got, sizeof(h));
	for (size_t at = 0; at < PACK_HEADER; at++) {
		AUTO(buf_fini) struct buf again = BUF_INIT;

		b.p[at] ^= 0x40;
		if (pack_header_decode(b.p, &got, &e) == 0) {
			pack_header_encode(&got, &again);
			assert_memory_equal(again.p, b.p, PACK_HEADER);
		}
		b.p[at] ^= 0x40;
	}
}

static void test_trailer(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct pack_trailer t = { .footer_offset = 4711, .footer_size = 99 };
	struct pack_trailer got;
	struct err e = ERR_INIT;

	(void)state;
	memset(t.sum.b, 5, HASH_SIZE);
	pack_trailer_encode(&t, &b);
	assert_int_equal(b.len, PACK_TRAILER);
	assert_int_equal(pack_trailer_decode(b.p, &got, &e), 0);
	assert_int_equal(got.footer_offset, 4711);
	assert_int_equal(got.footer_size, 99);
	assert_true(hash_equal(&t.sum, &got.sum));
	for (size_t at = 0; at < 8; at++) {
		b.p[at] = 0xff; /* an offset beyond all packs */
		int ok = pack_trailer_decode(b.p, &got, &e);

		assert_true(ok < 0 || got.footer_offset <= PACK_MAX_SIZE);
	}
	b.p[PACK_TRAILER - 1] ^= 1;
	assert_int_equal(pack_trailer_decode(b.p, &got, &e), -1);
}

static void test_footer(void **state)
{
	static const unsigned counts[] = { 0, 1, 2, 3, 300 };
	struct pack_header h;
	struct err e = ERR_INIT;

	(void)state;
	make_header(&h);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		AUTO(buf_fini) struct buf one = BUF_INIT;
		AUTO(buf_fini) struct buf two = BUF_INIT;
		AUTO(footer_fini) struct footer f;
		AUTO(footer_fini) struct footer got = { 0 };

		make_footer(&f, counts[i]);
		assert_int_equal(footer_seal(&h, meta_key, &f, &b, &e), 0);
		assert_int_equal(b.len, footer_sealed_size(&f));
		assert_int_equal(footer_open(&h, meta_key, b.p, b.len, BODY_END,
					     &got, &e),
				 0);
		assert_int_equal(got.blob_count, counts[i]);
		footer_encode(&f, &one);
		footer_encode(&got, &two);
		assert_int_equal(one.len, two.len);
		assert_memory_equal(one.p, two.p, one.len);
	}
}

static bool decodes(const void *p, size_t size)
{
	AUTO(buf_fini) struct buf again = BUF_INIT;
	AUTO(footer_fini) struct footer f = { 0 };
	struct err e = ERR_INIT;

	if (footer_decode(p, size, BODY_END, &f, &e) < 0) {
		assert_int_equal(e.code, ERR_INTEGRITY);
		assert_null(f.blobs);
		return false;
	}
	footer_encode(&f, &again);
	assert_int_equal(again.len, size);
	assert_memory_equal(again.p, p, size);
	return true;
}

static void test_footer_bytes(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(footer_fini) struct footer f;

	(void)state;
	make_footer(&f, 5);
	footer_encode(&f, &b);
	assert_true(decodes(b.p, b.len));
	for (size_t n = 0; n < b.len; n++)
		assert_false(decodes(b.p, n));
	for (size_t at = 0; at < b.len; at++) {
		for (unsigned v = 1; v < 256; v = v * 2 + 1) {
			b.p[at] ^= (uint8_t)v;
			decodes(b.p, b.len);
			b.p[at] ^= (uint8_t)v;
		}
	}
}

/* Blobs that lie outside of the body, or are too large, or have no slot. */
static void test_footer_senseless(void **state)
{
	static const struct blob bad[] = {
		{ .offset = 0, .stored = 50, .raw = 8, .slots = 1 },
		{ .offset = PACK_HEADER, .stored = 15, .raw = 8, .slots = 1 },
		{ .offset = PACK_HEADER, .stored = 50, .raw = 9, .slots = 1 },
		{ .offset = PACK_HEADER, .stored = 50, .raw = 8, .slots = 0 },
		{ .offset = BODY_END - 49, .stored = 50, .raw = 8, .slots = 1 },
		{ .offset = UINT32_MAX,
		  .stored = UINT32_MAX,
		  .raw = 8,
		  .slots = 1 },
		{ .offset = PACK_HEADER,
		  .stored = 50,
		  .raw = 8,
		  .slots = 1,
		  .method = 2 },
	};
	struct slot slot = { .size = 8 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		AUTO(footer_fini) struct footer f = { 0 };

		footer_add(&f, &bad[i], &slot);
		footer_encode(&f, &b);
		assert_false(decodes(b.p, b.len));
	}
}

static void test_footer_damaged(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(footer_fini) struct footer f;
	struct footer got = { 0 };
	struct pack_header h;
	struct err e = ERR_INIT;

	(void)state;
	make_header(&h);
	make_footer(&f, 2);
	assert_int_equal(footer_seal(&h, meta_key, &f, &b, &e), 0);
	for (size_t at = 0; at < b.len; at++) {
		b.p[at] ^= 1;
		assert_int_equal(footer_open(&h, meta_key, b.p, b.len, BODY_END,
					     &got, &e),
				 -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		b.p[at] ^= 1;
	}
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(
			footer_open(&h, meta_key, b.p, n, BODY_END, &got, &e),
			-1);
	h.session.b[3] ^= 1; /* another header */
	assert_int_equal(
		footer_open(&h, meta_key, b.p, b.len, BODY_END, &got, &e), -1);
}

static void test_name(void **state)
{
	struct id id = { { 0x7f, 0x01 } };
	char name[PACK_NAME];

	(void)state;
	pack_name(BLOB_DATA, &id, name);
	assert_string_equal(name, "data/7f/7f010000000000000000000000000000");
	pack_name(BLOB_NODE, &id, name);
	assert_string_equal(name, "meta/7f/7f010000000000000000000000000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_trailer),
		cmocka_unit_test(test_footer),
		cmocka_unit_test(test_footer_bytes),
		cmocka_unit_test(test_footer_senseless),
		cmocka_unit_test(test_footer_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
