/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/mem.h"

static void test_little_endian(void **state)
{
	static const uint8_t want[] = { 1,  3,  2,  7,  6,  5, 4, 15,
					14, 13, 12, 11, 10, 9, 8 };
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	wr_u8(&b, 1);
	wr_u16(&b, 0x0203);
	wr_u32(&b, 0x04050607);
	wr_u64(&b, UINT64_C(0x08090a0b0c0d0e0f));
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));

	struct reader r = reader_of(b.p, b.len);

	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_false(rd_complete(&r));
	assert_true(rd_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	assert_true(rd_complete(&r));
	wr_u32_at(&b, 3, UINT32_MAX);
	assert_int_equal(b.p[2], 2);
	assert_int_equal(b.p[3], 255);
	assert_int_equal(b.p[6], 255);
	assert_int_equal(b.p[7], 15);
}

/* Past the end all is zero, for ever, and it is known. */
static void test_sticky(void **state)
{
	static const uint8_t data[] = { 1, 2, 3 };
	struct reader r = reader_of(data, sizeof(data));
	uint8_t copy[4] = { 9, 9, 9, 9 };

	(void)state;
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0);
	assert_null(rd_view(&r, 0));
	rd_copy(&r, copy, 4);
	assert_true(bytes_zero(copy, 4));
	assert_false(rd_complete(&r));
	r = reader_of(data, sizeof(data));
	assert_null(rd_view(&r, SIZE_MAX));
	assert_true(r.bad);
}

static void test_every_cut_is_noticed(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	wr_u16(&b, 7);
	wr_string(&b, "hello");
	wr_u64(&b, 9);
	for (size_t n = 0; n <= b.len; n++) {
		/* on the heap, so that a sanitizer sees the end */
		autofree uint8_t *cut = mem_dup(b.p, n);
		struct reader r = reader_of(cut, n);

		rd_u16(&r);
		autofree char *s = rd_string(&r, 10);
		rd_u64(&r);
		assert_int_equal(rd_complete(&r), n == b.len);
		if (n == b.len)
			assert_string_equal(s, "hello");
	}
}

static void test_strings(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	wr_string(&b, "");
	wr_string(&b, "hello");
	wr_bytes(&b, "\2\0a\0", 4);

	struct reader r = reader_of(b.p, b.len);
	autofree char *empty = rd_string(&r, 0);
	autofree char *hello = rd_string(&r, 5);

	assert_string_equal(empty, "");
	assert_string_equal(hello, "hello");
	/* NUL inside */
	assert_null(rd_string(&r, 5));
	assert_true(r.bad);
	/* too long for the caller */
	r = reader_of(b.p + 2, b.len - 2);
	assert_null(rd_string(&r, 4));
	assert_true(r.bad);
}

static void test_buf_of_nothing(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf c = BUF_INIT;

	(void)state;
	wr_zero(&b, 0);
	wr_bytes(&b, NULL, 0);
	assert_int_equal(b.len, 0);
	assert_non_null(buf_room(&c, 0));
	buf_fini(&b);
	buf_fini(&b);
}

static void test_buf_grows_and_keeps(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		wr_u8(&b, (uint8_t)i);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(b.p[i], i & 255);

	size_t cap = b.cap;

	buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.cap, cap);
	wr_zero(&b, 1000);
	assert_true(bytes_zero(b.p, 1000));
}

static void test_hex(void **state)
{
	static const uint8_t data[] = { 0x00, 0x7f, 0x80, 0xff };
	uint8_t back[4] = { 0 };
	char text[9];

	(void)state;
	hex_encode(data, 4, text);
	assert_string_equal(text, "007f80ff");
	assert_true(hex_decode(text, back, 4));
	assert_memory_equal(back, data, 4);
	assert_true(hex_decode("", back, 0));
	assert_false(hex_decode("007f80f", back, 4));
	assert_false(hex_decode("007f80ff0", back, 4));
	assert_false(hex_decode("007f80fg", back, 4));
	assert_false(hex_decode("007F80FF", back, 4));
	assert_false(hex_decode("00 f80ff", back, 4));
}

static void test_zero(void **state)
{
	uint8_t data[100] = { 0 };

	(void)state;
	assert_true(bytes_zero(data, 0));
	assert_true(bytes_zero(data, 1));
	assert_true(bytes_zero(data, 100));
	for (size_t i = 0; i < 100; i++) {
		data[i] = 1;
		assert_false(bytes_zero(data, 100));
		assert_true(bytes_zero(data, i));
		data[i] = 0;
	}
	memset(data, 5, sizeof(data));
	assert_false(bytes_zero(data, 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little_endian),
		cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_every_cut_is_noticed),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_buf_of_nothing),
		cmocka_unit_test(test_buf_grows_and_keeps),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
