/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/key.h"
#include "policy/schedule.h"

#define S    INT64_C(1000000000)
#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)

#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3"
#define LORD_HOWE "LHST-10:30LHDT-11,M10.1.0,M4.1.0"
/* back from 00:01 to 23:01, so that midnight is shown twice */
#define ST_JOHNS "NST3:30NDT,M4.1.0/0:01,M10.5.0/0:01"
/* no midnight on the first Sunday in November */
#define SAO_PAULO "BRT3BRST,M11.1.0/0,M2.3.0/0"

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static int64_t at(const char *text)
{
	int64_t from, until;

	if (!clock_parse(text, &from, &until))
		fail_msg("'%s' is no time", text);
	return from / S;
}

static void set(struct policy *p, const char *key, const char *text)
{
	struct err e = ERR_INIT;

	if (policy_set(p, key, text, &e) < 0)
		fail_msg("%s = %s: %s", key, text, e.msg);
}

/* "hourly_min=5 daily_hour=3" on top of what is built in. */
static void make(struct policy *p, const char *settings)
{
	autofree char *copy = mem_strdup(settings);
	char *save = NULL;

	policy_init(p);
	for (char *word = strtok_r(copy, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		char *equal = strchr(word, '=');

		*equal = '\0';
		set(p, word, equal + 1);
	}
}

/* At now, the last one and the next one; all local. */
static void expect(const char *settings, enum tier tier, const char *now,
		   const char *last, const char *next)
{
	AUTO(policy_fini) struct policy p;
	char said[CLOCK_TEXT];

	make(&p, settings);
	if (schedule_last(&p, tier, at(now)) != at(last)) {
		clock_text_local(schedule_last(&p, tier, at(now)) * S, said);
		fail_msg("at %s the last one is %s", now, said);
	}
	if (schedule_next(&p, tier, at(now)) != at(next)) {
		clock_text_local(schedule_next(&p, tier, at(now)) * S, said);
		fail_msg("at %s the next one is %s", now, said);
	}
}

/* ---- what sanoid's words say ---- */

static void test_hours(void **state)
{
	(void)state;
	zone("UTC0");
	expect("", TIER_HOURLY, "2026-11-28T10:00", "2026-11-28T10:00",
	       "2026-11-28T11:00");
	expect("hourly_min=15", TIER_HOURLY, "2026-11-28T10:14:59",
	       "2026-11-28T09:15", "2026-11-28T10:15");
	expect("hourly_min=15", TIER_HOURLY, "2026-11-28T00:05",
	       "2026-11-27T23:15", "2026-11-28T00:15");
	expect("", TIER_FREQUENTLY, "2026-11-28T10:44:59", "2026-11-28T10:30",
	       "2026-11-28T10:45");
	expect("frequent_period=1", TIER_FREQUENTLY, "2026-11-28T10:44:59",
	       "2026-11-28T10:44", "2026-11-28T10:45");
	/* from the full hour on */
	expect("frequent_period=25", TIER_FREQUENTLY, "2026-11-28T10:55",
	       "2026-11-28T10:50", "2026-11-28T11:00");
	expect("frequent_period=60", TIER_FREQUENTLY, "2026-11-28T10:55",
	       "2026-11-28T10:00", "2026-11-28T11:00");
}

static void test_days(void **state)
{
	(void)state;
	zone("UTC0");
	expect("", TIER_DAILY, "2026-11-28T10:00", "2026-11-27T23:59",
	       "2026-11-28T23:59");
	expect("daily_hour=0 daily_min=0", TIER_DAILY, "2026-03-01T00:00",
	       "2026-03-01T00:00", "2026-03-02T00:00");
	/* a Saturday; sanoid's week has its point on Monday */
	expect("", TIER_WEEKLY, "2026-11-28T10:00", "2026-11-23T23:30",
	       "2026-11-30T23:30");
	expect("weekly_wday=0", TIER_WEEKLY, "2026-11-28T10:00",
	       "2026-11-22T23:30", "2026-11-29T23:30");
	expect("weekly_wday=7", TIER_WEEKLY, "2026-11-28T10:00",
	       "2026-11-22T23:30", "2026-11-29T23:30");
	expect("weekly_wday=6", TIER_WEEKLY, "2026-11-28T23:30",
	       "2026-11-28T23:30", "2026-12-05T23:30");
}

static void test_months(void **state)
{
	(void)state;
	zone("UTC0");
	expect("", TIER_MONTHLY, "2026-11-28T10:00", "2026-11-01T00:00",
	       "2026-12-01T00:00");
	expect("monthly_mday=31", TIER_MONTHLY, "2026-02-28T00:00",
	       "2026-02-28T00:00", "2026-03-31T00:00");
	expect("monthly_mday=31", TIER_MONTHLY, "2024-02-28T23:59:59",
	       "2024-01-31T00:00", "2024-02-29T00:00");
	expect("monthly_mday=30", TIER_MONTHLY, "2026-12-31T00:00",
	       "2026-12-30T00:00", "2027-01-30T00:00");
}

/* sanoid looks 31 years back when the date is later in the year. */
static void test_years(void **state)
{
	(void)state;
	zone("UTC0");
	expect("", TIER_YEARLY, "2026-11-28T10:00", "2026-01-01T00:00",
	       "2027-01-01T00:00");
	expect("yearly_mon=12 yearly_mday=24", TIER_YEARLY, "2026-11-28T10:00",
	       "2025-12-24T00:00", "2026-12-24T00:00");
	expect("yearly_mon=2 yearly_mday=29", TIER_YEARLY, "2024-03-01T00:00",
	       "2024-02-29T00:00", "2025-02-28T00:00");
	expect("yearly_mon=2 yearly_mday=29", TIER_YEARLY, "2027-03-01T00:00",
	       "2027-02-28T00:00", "2028-02-29T00:00");
}

/* ---- clocks that are changed ---- */

static void test_spring(void **state)
{
	(void)state;
	zone(BERLIN);
	/* 02:30 is skipped: at 03:00 */
	expect("daily_hour=2 daily_min=30", TIER_DAILY, "2026-03-29T12:00",
	       "2026-03-29T03:00", "2026-03-30T02:30");
	expect("", TIER_HOURLY, "2026-03-29T03:00", "2026-03-29T03:00",
	       "2026-03-29T04:00");
	expect("hourly_min=30", TIER_HOURLY, "2026-03-29T03:10",
	       "2026-03-29T01:30", "2026-03-29T03:30");
}

static void test_autumn(void **state)
{
	(void)state;
	zone(BERLIN);
	/* 02:30 comes twice: the first */
	expect("daily_hour=2 daily_min=30", TIER_DAILY,
	       "2026-10-25T02:10+01:00", "2026-10-25T02:30+02:00",
	       "2026-10-26T02:30");
	/* but an hour is an hour */
	expect("hourly_min=30", TIER_HOURLY, "2026-10-25T02:10+01:00",
	       "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00");
}

static void test_odd_zones(void **state)
{
	(void)state;
	zone(LORD_HOWE);
	/* from 02:00 to 02:30 */
	expect("hourly_min=15", TIER_HOURLY, "2026-10-04T02:40",
	       "2026-10-04T01:15", "2026-10-04T03:15");
	expect("", TIER_HOURLY, "2026-10-04T02:40", "2026-10-04T01:00",
	       "2026-10-04T03:00");
	expect("hourly_min=30", TIER_HOURLY, "2026-10-04T01:59",
	       "2026-10-04T01:30", "2026-10-04T02:30");
	/* from 02:00 back to 01:30 */
	expect("hourly_min=30", TIER_HOURLY, "2026-04-05T01:59+11:00",
	       "2026-04-05T01:30+11:00", "2026-04-05T01:30+10:30");
	zone(SAO_PAULO);
	expect("daily_hour=0 daily_min=0", TIER_DAILY, "2026-11-01T12:00",
	       "2026-11-01T01:00", "2026-11-02T00:00");
	expect("", TIER_MONTHLY, "2026-11-01T12:00", "2026-11-01T01:00",
	       "2026-12-01T00:00");
	zone(ST_JOHNS);
	/* the new day has begun, and once more it is the evening before */
	expect("daily_hour=0 daily_min=0", TIER_DAILY, "2026-10-24T23:30-03:30",
	       "2026-10-25T00:00-02:30", "2026-10-26T00:00");
}

/* ---- every hour of 40 years ---- */

/* How far apart the moments of a tier may be, in hours. */
static const int64_t nearest[TIERS] = { 0, 0, 22, 6 * 24 + 22, 27 * 24, 8740 };
static const int64_t farthest[TIERS] = {
	1, 2, 26, 7 * 24 + 2, 31 * 24 + 2, 8810
};

struct walk {
	struct policy p;
	int64_t last[TIERS], next[TIERS];
	uint64_t moments[TIERS], points[TIERS];
	struct schedule_point newest[TIERS];
};

/* now is not before last; the moments there are must all be met in turn. */
static void step(struct walk *w, enum tier t, int64_t now)
{
	int64_t last = schedule_last(&w->p, t, now);

	if (last == w->last[t]) {
		assert_true(now < w->next[t]);
		return;
	}
	while (w->next[t] <= now) {
		int64_t is = w->next[t];

		assert_int_equal(schedule_last(&w->p, t, is), is);
		assert_int_equal(schedule_last(&w->p, t, is - 1), w->last[t]);
		assert_int_equal(schedule_next(&w->p, t, is - 1), is);
		assert_true(is - w->last[t] >= nearest[t] * HOUR);
		assert_true(is - w->last[t] <= farthest[t] * HOUR);
		w->last[t] = is;
		w->next[t] = schedule_next(&w->p, t, is);
		w->moments[t]++;
	}
	assert_int_equal(last, w->last[t]);
}

/* Whatever is due is taken at once, and then not due. */
static void take(struct walk *w, int64_t now)
{
	unsigned due = schedule_due(&w->p, w->newest, TIERS, now);

	for (enum tier t = 0; t < TIERS; t++) {
		bool seen = w->newest[t].time_s >= w->last[t];

		assert_int_equal((due & TIER_BIT(t)) == 0, seen);
		if (seen)
			continue;
		w->newest[t] = (struct schedule_point){ now, TIER_BIT(t) };
		w->points[t]++;
	}
}

static void walk(const char *tz, const char *settings)
{
	struct walk w = { .moments = { 0 } };
	int64_t now, end;

	zone(tz);
	make(&w.p, settings);
	now = at("2000-01-01") + 7;
	end = at("2040-01-01");
	for (enum tier t = 0; t < TIERS; t++) {
		w.last[t] = schedule_last(&w.p, t, now);
		w.next[t] = schedule_next(&w.p, t, now);
		assert_true(w.last[t] <= now && now < w.next[t]);
		w.newest[t] = (struct schedule_point){ now, TIER_BIT(t) };
	}
	for (; now < end; now += HOUR) {
		for (enum tier t = 0; t < TIERS; t++)
			step(&w, t, now);
		take(&w, now);
	}
	/* none twice, none left out */
	assert_in_range(w.points[TIER_DAILY], 14609, 14610);
	assert_in_range(w.points[TIER_WEEKLY], 2086, 2088);
	assert_in_range(w.points[TIER_MONTHLY], 479, 480);
	assert_in_range(w.points[TIER_YEARLY], 39, 40);
	for (int t = TIER_DAILY; t < TIERS; t++)
		assert_int_equal(w.points[t], w.moments[t]);
	policy_fini(&w.p);
}

#define ALL "frequently=1 weekly=1 yearly=1 "

static void test_40_years_utc(void **state)
{
	(void)state;
	walk("UTC0", ALL);
}

static void test_40_years_berlin(void **state)
{
	(void)state;
	walk(BERLIN, ALL "daily_hour=2 daily_min=30 weekly_wday=0 "
			 "weekly_hour=2 monthly_mday=31 monthly_hour=2 "
			 "yearly_mon=2 yearly_mday=29 hourly_min=30");
}

static void test_40_years_lord_howe(void **state)
{
	(void)state;
	walk(LORD_HOWE, ALL "daily_hour=2 daily_min=15 weekly_wday=7 "
			    "weekly_hour=1 weekly_min=45 hourly_min=15 "
			    "monthly_mday=29 yearly_mon=10 yearly_mday=4 "
			    "yearly_hour=2 yearly_min=10 frequent_period=20");
}

static void test_40_years_st_johns(void **state)
{
	(void)state;
	walk(ST_JOHNS, ALL "daily_hour=0 daily_min=0 weekly_wday=0 "
			   "weekly_hour=0 weekly_min=0 hourly_min=59 "
			   "frequent_period=7");
}

/* Samoa left out the 30th of December 2011, by the system's tables. */
static void test_skipped_day(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (clock_set_zone("Pacific/Apia", &e) < 0)
		skip();
	expect("daily_hour=12", TIER_DAILY, "2011-12-31T00:00",
	       "2011-12-31T00:00", "2011-12-31T12:59");
	expect("daily_hour=12 daily_min=0", TIER_DAILY, "2011-12-29T23:59:59",
	       "2011-12-29T12:00", "2011-12-31T00:00");
}

/* ---- what is due ---- */

static unsigned due(const char *settings, const char *now,
		    const struct schedule_point *points, size_t count)
{
	AUTO(policy_fini) struct policy p;

	make(&p, settings);
	return schedule_due(&p, points, count, at(now));
}

static void test_due_first(void **state)
{
	unsigned all = TIER_BIT(TIER_HOURLY) | TIER_BIT(TIER_DAILY) |
		       TIER_BIT(TIER_MONTHLY);

	(void)state;
	zone("UTC0");
	assert_int_equal(due("", "2026-11-28T10:00", NULL, 0), all);
	assert_int_equal(due("autosnap=no", "2026-11-28T10:00", NULL, 0), 0);
	/* what one place keeps is taken */
	assert_int_equal(due("keep=local,main main.yearly=1 hourly=0 daily=0 "
			     "monthly=0",
			     "2026-11-28T10:00", NULL, 0),
			 TIER_BIT(TIER_YEARLY));
	/* not where nothing is held there */
	assert_int_equal(due("main.yearly=1 hourly=0 daily=0 monthly=0",
			     "2026-11-28T10:00", NULL, 0),
			 0);
}

static void test_due_later(void **state)
{
	const struct schedule_point points[] = {
		{ at("2026-11-27T23:59:30Z"),
		  TIER_BIT(TIER_HOURLY) | TIER_BIT(TIER_DAILY) },
		{ at("2026-11-01T00:00:00Z"), TIER_BIT(TIER_MONTHLY) },
	};

	(void)state;
	zone("UTC0");
	assert_int_equal(due("", "2026-11-27T23:59:30", points, 2), 0);
	assert_int_equal(due("", "2026-11-28T00:00", points, 2),
			 TIER_BIT(TIER_HOURLY));
	assert_int_equal(due("", "2026-11-28T23:58:59", points, 2),
			 TIER_BIT(TIER_HOURLY));
	assert_int_equal(due("", "2026-11-28T23:59:00", points, 2),
			 TIER_BIT(TIER_HOURLY) | TIER_BIT(TIER_DAILY));
	/* off for weeks: each once */
	assert_int_equal(due("", "2027-02-03T12:00", points, 2),
			 TIER_BIT(TIER_HOURLY) | TIER_BIT(TIER_DAILY) |
				 TIER_BIT(TIER_MONTHLY));
}

/* A clock that was wrong once must not stop backups for years. */
static void test_due_future(void **state)
{
	const struct schedule_point points[] = {
		{ at("2036-01-01T00:00:00Z"), 0xff },
		{ at("2026-11-28T10:00:01Z"), 0xff },
	};

	(void)state;
	zone("UTC0");
	assert_int_equal(due("", "2026-11-28T10:00", points, 1),
			 TIER_BIT(TIER_HOURLY) | TIER_BIT(TIER_DAILY) |
				 TIER_BIT(TIER_MONTHLY));
	assert_int_equal(due("", "2026-11-28T10:00:02", points, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_months),
		cmocka_unit_test(test_years),
		cmocka_unit_test(test_spring),
		cmocka_unit_test(test_autumn),
		cmocka_unit_test(test_odd_zones),
		cmocka_unit_test(test_due_first),
		cmocka_unit_test(test_due_later),
		cmocka_unit_test(test_due_future),
		cmocka_unit_test(test_skipped_day),
		cmocka_unit_test(test_40_years_utc),
		cmocka_unit_test(test_40_years_berlin),
		cmocka_unit_test(test_40_years_lord_howe),
		cmocka_unit_test(test_40_years_st_johns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
