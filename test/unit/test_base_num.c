/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"

#define MS_MAX_DAYS "213503982334 d 14 h"

static void test_parts(void **state)
{
	(void)state;
	assert_int_equal(num_parts(0, 4), 0);
	assert_int_equal(num_parts(1, 4), 1);
	assert_int_equal(num_parts(4, 4), 1);
	assert_int_equal(num_parts(5, 4), 2);
	assert_int_equal(num_parts(UINT64_MAX, 2), UINT64_MAX / 2 + 1);
	assert_int_equal(num_min(1, 2), 1);
	assert_int_equal(num_max(1, 2), 2);
}

static void test_parse(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_true(num_parse("0", &v));
	assert_int_equal(v, 0);
	assert_true(num_parse("007", &v));
	assert_int_equal(v, 7);
	assert_true(num_parse("18446744073709551615", &v));
	assert_int_equal(v, UINT64_MAX);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = { "",
					   " 1",
					   "1 ",
					   "+1",
					   "-1",
					   "1x",
					   "x",
					   "0x1",
					   "1.5",
					   "18446744073709551616",
					   "99999999999999999999999" };
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(num_parse(bad[i], &v));
		assert_int_equal(v, 7);
	}
}

static void test_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} good[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "512b", 512 },
		{ "64k", UINT64_C(64) << 10 },
		{ "64K", UINT64_C(64) << 10 },
		{ "10M", UINT64_C(10) << 20 },
		{ "10mb", UINT64_C(10) << 20 },
		{ "2GiB", UINT64_C(2) << 30 },
		{ "2gib", UINT64_C(2) << 30 },
		{ "1T", UINT64_C(1) << 40 },
		{ "3P", UINT64_C(3) << 50 },
		{ "15E", UINT64_C(15) << 60 },
		{ "18446744073709551615", UINT64_MAX },
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(num_parse_size(good[i].text, &v));
		assert_true(v == good[i].want);
	}
}

static void test_size_refuses(void **state)
{
	static const char *const bad[] = { "",
					   "k",
					   "1x",
					   "1 k",
					   "1kk",
					   "1ki",
					   "1bb",
					   "1kibs",
					   "1.5G",
					   "-1k",
					   "16E",
					   "1\xc3\xa9",
					   "18446744073709551615k" };
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(num_parse_size(bad[i], &v));
		assert_int_equal(v, 7);
	}
}

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} good[] = {
		{ "0", 0 },         { "500ms", 500 },
		{ "90", 90000 },    { "90s", 90000 },
		{ "10m", 600000 },  { "2h", 7200000 },
		{ "1d", 86400000 }, { "36500d", UINT64_C(3153600000000) },
	};
	static const char *const bad[] = {
		"",   "s",  "1S",  "1 s",  "1min",
		"-1", "1w", "1hh", "1.5h", "213503982335d"
	};
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(num_parse_duration(good[i].text, &v));
		assert_true(v == good[i].want);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v = 7;
		assert_false(num_parse_duration(bad[i], &v));
		assert_int_equal(v, 7);
	}
}

static void test_size_text(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} cases[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 1024 * 1024 - 1, "1.0 MiB" },
		{ 1023 * 1024, "1023.0 KiB" },
		{ UINT64_C(3) << 29, "1.5 GiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char text[NUM_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		num_size_text(cases[i].bytes, text);
		assert_string_equal(text, cases[i].want);
	}
	for (unsigned shift = 0; shift < 64; shift++) {
		num_size_text(UINT64_MAX >> shift, text);
		assert_true(strlen(text) <= 15);
	}
}

static void test_duration_text(void **state)
{
	static const struct {
		uint64_t ms;
		const char *want;
	} cases[] = {
		{ 0, "0 ms" },
		{ 850, "850 ms" },
		{ 999, "999 ms" },
		{ 1000, "1.0 s" },
		{ 12345, "12.3 s" },
		{ 59949, "59.9 s" },
		{ 59950, "1 min 0 s" },
		{ 250000, "4 min 10 s" },
		{ 3599499, "59 min 59 s" },
		{ 3599500, "1 h 0 min" },
		{ 7500000, "2 h 5 min" },
		{ UINT64_C(47) * 3600000, "47 h 0 min" },
		{ UINT64_C(49) * 3600000, "2 d 1 h" },
		{ UINT64_MAX, MS_MAX_DAYS },
	};
	char text[NUM_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		num_duration_text(cases[i].ms, text);
		assert_string_equal(text, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_size_refuses),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_size_text),
		cmocka_unit_test(test_duration_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
