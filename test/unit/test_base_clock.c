/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define S INT64_C(1000000000)

/* Rules in POSIX's own words: no zone files are needed. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
/* by half an hour: forward at 2, back at 2 */
#define LORD_HOWE "LHST-10:30LHDT-11,M10.1.0,M4.1.0"
/* the midnight of the first Sunday in November does not exist */
#define SAO_PAULO "BRT3BRST,M11.1.0/0,M2.3.0/0"

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void expect(const char *text, const char *from, const char *until)
{
	int64_t a;
	int64_t b;
	char said[CLOCK_TEXT];

	if (!clock_parse(text, &a, &b))
		fail_msg("'%s' is said to be no time", text);
	clock_text(a, said);
	assert_string_equal(said, from);
	clock_text(b, said);
	assert_string_equal(said, until);
}

static void refuse(const char *text)
{
	int64_t a = 7;
	int64_t b = 8;

	if (clock_parse(text, &a, &b))
		fail_msg("'%s' is said to be a time", text);
	assert_int_equal(a, 7);
	assert_int_equal(b, 8);
}

static void test_now(void **state)
{
	int64_t a = clock_steady_ns();
	int64_t b = clock_steady_ns();

	(void)state;
	assert_true(b >= a);
	/* after 2020, before 2200 */
	assert_true(clock_wall_ns() > INT64_C(1577836800) * S);
	assert_true(clock_wall_ns() < INT64_C(7258118400) * S);
}

static void test_text(void **state)
{
	char text[CLOCK_TEXT];

	(void)state;
	clock_text(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	clock_text(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59Z");
	clock_text(-S, text);
	assert_string_equal(text, "1969-12-31T23:59:59Z");
	clock_text(INT64_C(1795192205) * S + 999999999, text);
	assert_string_equal(text, "2026-11-20T16:30:05Z");
	clock_text(INT64_MAX, text);
	assert_string_equal(text, "2262-04-11T23:47:16Z");
	clock_text(INT64_MIN, text);
	assert_string_equal(text, "1677-09-21T00:12:43Z");
}

static void test_text_local(void **state)
{
	char text[CLOCK_TEXT];

	(void)state;
	zone(BERLIN);
	clock_text_local(INT64_C(1795192205) * S, text);
	assert_string_equal(text, "2026-11-20T17:30:05+01:00");
	zone("NST3:30");
	clock_text_local(INT64_C(1795192205) * S, text);
	assert_string_equal(text, "2026-11-20T13:00:05-03:30");
	zone("UTC0");
	clock_text_local(INT64_C(1795192205) * S, text);
	assert_string_equal(text, "2026-11-20T16:30:05+00:00");
}

static void test_parse_utc(void **state)
{
	(void)state;
	zone(BERLIN);
	expect("2026Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
	expect("2026-11Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
	expect("2026-12Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
	expect("2026-11-20Z", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
	expect("2024-02-29Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
	expect("2026-11-20T16Z", "2026-11-20T16:00:00Z",
	       "2026-11-20T17:00:00Z");
	expect("2026-12-31T23:59Z", "2026-12-31T23:59:00Z",
	       "2027-01-01T00:00:00Z");
	expect("2026-11-20T16:30:05Z", "2026-11-20T16:30:05Z",
	       "2026-11-20T16:30:06Z");
}

static void test_parse_offset(void **state)
{
	(void)state;
	zone(BERLIN);
	expect("2026-11-20T16:30+01:00", "2026-11-20T15:30:00Z",
	       "2026-11-20T15:31:00Z");
	expect("2026-11-20T16:30:05-03:30", "2026-11-20T20:00:05Z",
	       "2026-11-20T20:00:06Z");
	expect("2026-11-20-05:00", "2026-11-20T05:00:00Z",
	       "2026-11-21T05:00:00Z");
	expect("2026-05:00", "2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z");
	expect("2026+02:00", "2025-12-31T22:00:00Z", "2026-12-31T22:00:00Z");
}

static void test_parse_local(void **state)
{
	(void)state;
	zone(BERLIN);
	expect("2026-11-20T17:30", "2026-11-20T16:30:00Z",
	       "2026-11-20T16:31:00Z");
	expect("2026-07-01", "2026-06-30T22:00:00Z", "2026-07-01T22:00:00Z");
	expect("2026", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z");
	/* months with a change of the clock in them */
	expect("2026-03", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
	expect("2026-10", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z");
}

static void test_parse_spring(void **state)
{
	(void)state;
	zone(BERLIN);
	expect("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
	expect("2026-03-29T01", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z");
	expect("2026-03-29T01:59", "2026-03-29T00:59:00Z",
	       "2026-03-29T01:00:00Z");
	expect("2026-03-29T03:00", "2026-03-29T01:00:00Z",
	       "2026-03-29T01:01:00Z");
	refuse("2026-03-29T02");
	refuse("2026-03-29T02:00");
	refuse("2026-03-29T02:30");
	refuse("2026-03-29T02:59:59");
	expect("2026-03-29T02:30Z", "2026-03-29T02:30:00Z",
	       "2026-03-29T02:31:00Z");
}

static void test_parse_autumn(void **state)
{
	(void)state;
	zone(BERLIN);
	expect("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
	expect("2026-10-25T01", "2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z");
	/* the hour that comes twice */
	expect("2026-10-25T02", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z");
	expect("2026-10-25T02:30", "2026-10-25T00:30:00Z",
	       "2026-10-25T00:31:00Z");
	expect("2026-10-25T02:59", "2026-10-25T00:59:00Z",
	       "2026-10-25T01:00:00Z");
	expect("2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z",
	       "2026-10-25T01:31:00Z");
	expect("2026-10-25T03", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z");
}

static void test_parse_odd_zones(void **state)
{
	(void)state;
	zone(LORD_HOWE);
	/* forward from 2:00 to 2:30: half of the hour is there */
	expect("2026-10-04T02", "2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z");
	refuse("2026-10-04T02:15");
	/* back from 2:00 to 1:30 */
	expect("2026-04-05T01", "2026-04-04T14:00:00Z", "2026-04-04T15:30:00Z");
	zone(SAO_PAULO);
	expect("2026-11-01", "2026-11-01T03:00:00Z", "2026-11-02T02:00:00Z");
	expect("2026-10-31", "2026-10-31T03:00:00Z", "2026-11-01T03:00:00Z");
	expect("2026-11", "2026-11-01T03:00:00Z", "2026-12-01T02:00:00Z");
	refuse("2026-11-01T00:00");
}

/* Every local minute of a year: shown as it is read. */
static void test_parse_round(void **state)
{
	static const char *const zones[] = { BERLIN, LORD_HOWE, SAO_PAULO,
					     "UTC0", "NPT-5:45" };

	(void)state;
	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		zone(zones[z]);
		for (int64_t t = INT64_C(1767225600) * S;
		     t < INT64_C(1798761600) * S; t += 1800 * S) {
			char text[CLOCK_TEXT];
			int64_t a;
			int64_t b;

			clock_text_local(t, text);
			assert_true(clock_parse(text, &a, &b));
			assert_true(a == t && b == t + S);
			/* without the offset: it, or the first of two */
			text[19] = '\0';
			assert_true(clock_parse(text, &a, &b));
			assert_true(a == t || a == t - 3600 * S ||
				    a == t - 1800 * S);
		}
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"26",
		"202",
		"20266",
		"1677",
		"2262",
		"2026-",
		"2026-1",
		"2026-13",
		"2026-00",
		"2026-11-00",
		"2026-11-31",
		"2026-02-29",
		"2026-02-30",
		"2026-11-20T",
		"2026-11-20T24",
		"2026-11-20T16:",
		"2026-11-20T16:60",
		"2026-11-20T16:30:60",
		"2026-11-20T16:30:05:",
		"2026-11-20T16:30:05.5",
		"2026-11-20 16:30",
		"2026-11-20t16",
		"2026-11-20T16:30z",
		"2026-11-20T16:30ZZ",
		"2026-11-20T16:30+1",
		"2026-11-20T16:30+01",
		"2026-11-20T16:30+0100",
		"2026-11-20T16:30+24:00",
		"2026-11-20T16:30+01:60",
		"2026-11-20T16:30+01:00x",
		" 2026",
		"2026 ",
		"2026-+1",
		"2026:30",
		"2026T16",
	};

	(void)state;
	zone(BERLIN);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i]);
	expect("1678Z", "1678-01-01T00:00:00Z", "1679-01-01T00:00:00Z");
	expect("2261Z", "2261-01-01T00:00:00Z", "2262-01-01T00:00:00Z");
}

static void test_local_seconds(void **state)
{
	/* 2026-03-29 and 2026-10-25, 01:00 UTC */
	const int64_t spring = INT64_C(1774746000);
	const int64_t autumn = INT64_C(1792890000);

	(void)state;
	zone(BERLIN);
	assert_int_equal(clock_to_local(spring - 1), spring + 3599);
	assert_int_equal(clock_to_local(spring), spring + 7200);
	/* 02:00 is not shown, 02:59:59 neither */
	assert_int_equal(clock_from_local(spring + 3600), spring);
	assert_int_equal(clock_from_local(spring + 7199), spring);
	assert_int_equal(clock_from_local(spring + 7201), spring + 1);
	/* 02:00 comes twice, 03:00 once */
	assert_int_equal(clock_from_local(autumn + 3600), autumn - 3600);
	assert_int_equal(clock_from_local(autumn + 7200), autumn + 3600);
	assert_int_equal(clock_change(spring - 9999, spring + 9), spring);
	assert_int_equal(clock_change(spring - 9, spring), spring);
	assert_int_equal(clock_change(spring - 9, spring - 1), spring - 9);
	assert_int_equal(clock_change(spring, autumn - 1), spring);
}

static void refuse_zone(const char *name)
{
	struct err e = ERR_INIT;

	assert_int_equal(clock_set_zone(name, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_int_equal(clock_to_local(0), -12600);
}

/* Tables of our own: those of the system may not be there. */
static void test_zones(void **state)
{
	static const char table[] =
		"TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0\0\0\0\0\0\1\0\0\0\4\0\0\x0e\x10\0\0ONE\0"
		"TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0\0\0\0\0\0\1\0\0\0\4\0\0\x0e\x10\0\0ONE\0\nONE-1\n";
	char dir[] = "/tmp/vmkeep-test-XXXXXX";
	struct err e = ERR_INIT;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	f = fopen("One", "we");
	assert_non_null(f);
	assert_int_equal(fwrite(table, sizeof(table) - 1, 1, f), 1);
	fclose(f);
	f = fopen("Other", "we");
	assert_non_null(f);
	fputs("no table", f);
	fclose(f);
	setenv("TZDIR", dir, 1);
	zone("NST3:30");
	refuse_zone("");
	refuse_zone("Nowhere");
	refuse_zone("Other");
	refuse_zone("../One");
	refuse_zone("/One");
	refuse_zone("UTC0");
	assert_int_equal(clock_set_zone("One", &e), 0);
	assert_int_equal(clock_to_local(0), 3600);
	assert_int_equal(clock_set_zone("UTC", &e), 0);
	assert_int_equal(clock_to_local(0), 0);
	assert_int_equal(unlink("One"), 0);
	assert_int_equal(unlink("Other"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
	unsetenv("TZDIR");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_now),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_local),
		cmocka_unit_test(test_parse_utc),
		cmocka_unit_test(test_parse_offset),
		cmocka_unit_test(test_parse_local),
		cmocka_unit_test(test_parse_spring),
		cmocka_unit_test(test_parse_autumn),
		cmocka_unit_test(test_parse_odd_zones),
		cmocka_unit_test(test_parse_round),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_local_seconds),
		cmocka_unit_test(test_zones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
