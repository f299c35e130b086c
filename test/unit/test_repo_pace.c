/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/zip.h"
#include "repo/format.h"
#include "repo/pace.h"

#define MS INT64_C(1000000)

static void test_levels(void **state)
{
	(void)state;
	assert_true(level_ok(LEVEL_AUTO));
	assert_true(level_ok(LEVEL_ARCHIVE));
	assert_true(level_ok(1));
	assert_true(level_ok(LEVEL_MAX));
	assert_false(level_ok(LEVEL_MAX + 1));
	assert_false(level_ok(-2));
}

/* A fixed level is left alone, whatever is waited for. */
static void test_fixed(void **state)
{
	(void)state;
	for (int level = 1; level <= LEVEL_MAX; level++) {
		struct pace_plan p = pace_plan(level, 2);

		assert_int_equal(p.first, level);
		assert_int_equal(pace_next(&p, level, 100, 0), level);
		assert_int_equal(pace_next(&p, level, 0, 100), level);
		assert_int_equal(pace_next(&p, level, 0, 0), level);
	}
	struct pace_plan archive = pace_plan(LEVEL_ARCHIVE, 2);

	assert_int_equal(archive.first, 19);
	assert_int_equal(archive.blob_raw, BLOB_MAX_RAW);
	assert_int_equal(pace_next(&archive, 19, 100, 0), 19);
}

static void test_auto(void **state)
{
	struct pace_plan p = pace_plan(LEVEL_AUTO, 2);

	(void)state;
	assert_int_equal(p.first, 1);
	/* the workers are what all wait for */
	assert_int_equal(pace_next(&p, 1, 100, 0), 1);
	assert_int_equal(pace_next(&p, 4, 100, 0), 3);
	assert_int_equal(pace_next(&p, 4, 90, 10), 3);
	/* neither */
	assert_int_equal(pace_next(&p, 4, 89, 11), 4);
	assert_int_equal(pace_next(&p, 4, 76, 24), 4);
	/* they wait */
	assert_int_equal(pace_next(&p, 4, 75, 25), 5);
	assert_int_equal(pace_next(&p, 4, 0, 100), 5);
	assert_int_equal(pace_next(&p, 6, 0, 100), 6);
	/* nothing is known */
	assert_int_equal(pace_next(&p, 4, 0, 0), 4);
}

/* Windows end when so much has been compressed, and begin with nothing. */
static void test_windows(void **state)
{
	struct pace_plan plan = pace_plan(LEVEL_AUTO, 2);
	struct pace p;

	(void)state;
	pace_init(&p, &plan);
	pace_busy(&p, 100 * MS);
	pace_store(&p, 60 * MS); /* 60 of the 100 */
	pace_compressed(&p, PACE_WINDOW - 1);
	assert_int_equal(pace_level(&p), 1);
	pace_compressed(&p, 100);
	assert_int_equal(pace_level(&p), 2);
	/* a pause of the source does not count, many short waits do */
	pace_busy(&p, 100 * MS);
	pace_source(&p, PACE_PAUSE_NS);
	pace_compressed(&p, PACE_WINDOW);
	assert_int_equal(pace_level(&p), 1);
	pace_busy(&p, 100 * MS);
	for (int i = 0; i < 40; i++)
		pace_source(&p, MS);
	pace_compressed(&p, PACE_WINDOW);
	assert_int_equal(pace_level(&p), 2);
	/* a store may let wait for long, and that is why */
	pace_busy(&p, 3 * PACE_PAUSE_NS);
	pace_store(&p, 2 * PACE_PAUSE_NS);
	pace_compressed(&p, PACE_WINDOW);
	assert_int_equal(pace_level(&p), 3);
}

/* However many cores there are. */
static void test_memory(void **state)
{
	(void)state;
	for (int level = LEVEL_ARCHIVE; level <= LEVEL_MAX; level++) {
		bool hard = level == LEVEL_ARCHIVE || level > 6;
		unsigned before = 0;

		for (unsigned cores = 1; cores <= 4096; cores *= 2) {
			struct pace_plan p = pace_plan(level, cores);

			assert_true(p.workers >= 1 && p.workers <= cores);
			assert_true(p.workers >= before);
			assert_true(p.buffers > p.workers);
			assert_true(p.memory <=
				    (hard ? PACE_MEMORY_HARD : PACE_MEMORY));
			before = p.workers;
		}
		assert_true(before >= 4);
		/* two cores are always used */
		assert_int_equal(pace_plan(level, 2).workers, 2);
	}
	/* nobody said how many */
	assert_int_equal(pace_plan(LEVEL_AUTO, 0).workers, 1);
}

/* What the plan takes zstd to need is what it needs. */
static void test_zip_memory(void **state)
{
	uint8_t *raw = mem_alloc(BLOB_MAX_RAW);
	uint8_t *out = mem_alloc(zip_bound(BLOB_MAX_RAW));
	struct err e = ERR_INIT;

	(void)state;
	for (uint32_t i = 0; i < BLOB_MAX_RAW; i++)
		raw[i] = (uint8_t)(i * i >> 7);
	for (int level = LEVEL_ARCHIVE; level <= LEVEL_MAX; level++) {
		struct pace_plan one = pace_plan(level, 1);
		struct pace_plan two = pace_plan(level, 2);
		struct zip *z = zip_new(one.first, &e);
		enum zip_method method;

		assert_non_null(z);
		assert_true(zip_set_level(z, one.max));
		zip_pack(z, raw, one.blob_raw, out, &method);
		assert_true(zip_memory(z) + 4 * (size_t)one.blob_raw +
				    EXTENT_SIZE <=
			    two.memory - one.memory);
		zip_free(z);
	}
	free(out);
	free(raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_zip_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
