/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/zip.h"

#define SIZE (512 * 1024)

struct room {
	struct zip *z;
	uint8_t *raw;
	uint8_t *packed;
	uint8_t *back;
	struct err e;
};

static int set_up(void **state)
{
	struct room *r = mem_zalloc(1, sizeof(*r));

	r->z = zip_new(3, &r->e);
	r->raw = mem_zalloc(1, SIZE);
	r->packed = mem_zalloc(1, zip_bound(SIZE));
	r->back = mem_zalloc(1, SIZE);
	*state = r;
	return r->z != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct room *r = *state;

	zip_free(r->z);
	zip_free(NULL);
	free(r->raw);
	free(r->packed);
	free(r->back);
	free(r);
	return 0;
}

static void fill_text(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t) "the quick brown fox "[i * 7 / 5 % 20];
}

/* xorshift: bytes that nothing compresses */
static void fill_noise(uint8_t *p, size_t n)
{
	uint32_t x = 2463534242;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (uint8_t)(x >> 11);
	}
}

static void assert_back(struct room *r, size_t size, enum zip_method expected)
{
	enum zip_method method = ZIP_RAW;
	size_t packed = zip_pack(r->z, r->raw, size, r->packed, &method);

	assert_int_equal(method, expected);
	assert_true(packed <= size);
	memset(r->back, 0xee, SIZE);
	assert_int_equal(zip_unpack(r->z, method, r->packed, packed, r->back,
				    size, &r->e),
			 0);
	assert_memory_equal(r->raw, r->back, size);
}

static void test_text_packs(void **state)
{
	struct room *r = *state;

	fill_text(r->raw, SIZE);
	assert_back(r, SIZE, ZIP_ZSTD);
	assert_back(r, 4096, ZIP_ZSTD);
}

static void test_noise_stays_raw(void **state)
{
	struct room *r = *state;

	fill_noise(r->raw, SIZE);
	assert_back(r, SIZE, ZIP_RAW);
	assert_back(r, 4096, ZIP_RAW);
	assert_back(r, 1, ZIP_RAW);
	assert_back(r, 0, ZIP_RAW);
}

static void test_levels(void **state)
{
	static const int levels[] = { -7, -1, 1, 19 };
	struct room *r = *state;
	struct zip *normal = r->z;

	fill_text(r->raw, SIZE);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		r->z = zip_new(levels[i], &r->e);
		assert_non_null(r->z);
		assert_back(r, SIZE, ZIP_ZSTD);
		zip_free(r->z);
	}
	r->z = normal;
	assert_null(zip_new(20, &r->e));
	assert_int_equal(r->e.code, ERR_USAGE);
	assert_null(zip_new(-8, &r->e));
}

static void assert_refused(struct room *r, enum zip_method method, size_t size,
			   size_t raw_size)
{
	err_clear(&r->e);
	assert_int_equal(zip_unpack(r->z, method, r->packed, size, r->back,
				    raw_size, &r->e),
			 -1);
	assert_int_equal(r->e.code, ERR_INTEGRITY);
}

static void test_wrong_sizes_are_refused(void **state)
{
	struct room *r = *state;
	enum zip_method method;

	fill_text(r->raw, 8192);

	size_t packed = zip_pack(r->z, r->raw, 8192, r->packed, &method);

	assert_refused(r, ZIP_ZSTD, packed, 8191);
	assert_refused(r, ZIP_ZSTD, packed, 8193);
	assert_refused(r, ZIP_ZSTD, packed, 0);
	assert_refused(r, ZIP_RAW, packed, packed + 1);
	assert_refused(r, ZIP_RAW, packed, packed - 1);
	for (size_t n = 1; n < packed; n++)
		assert_refused(r, ZIP_ZSTD, n, 8192);
}

static void test_garbage_is_refused(void **state)
{
	struct room *r = *state;

	fill_noise(r->packed, 1000);
	assert_refused(r, ZIP_ZSTD, 1000, 4096);
	assert_refused(r, (enum zip_method)2, 1000, 1000);
}

/* A damaged frame must never write beyond, or hang; ids find out whether it
 * is still the same. */
static void test_flipped_bits_stay_inside(void **state)
{
	struct room *r = *state;
	enum zip_method method;

	fill_text(r->raw, 4096);

	size_t packed = zip_pack(r->z, r->raw, 4096, r->packed, &method);
	uint8_t *exact = mem_alloc(4096);

	for (size_t i = 0; i < packed * 8; i++) {
		r->packed[i / 8] ^= (uint8_t)(1 << i % 8);
		(void)zip_unpack(r->z, ZIP_ZSTD, r->packed, packed, exact, 4096,
				 &r->e);
		r->packed[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	free(exact);
	assert_back(r, 4096, ZIP_ZSTD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_packs),
		cmocka_unit_test(test_noise_stays_raw),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_wrong_sizes_are_refused),
		cmocka_unit_test(test_garbage_is_refused),
		cmocka_unit_test(test_flipped_bits_stay_inside),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
