/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/schedule.h"

#include "base/clock.h"

#define MINUTE INT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* ---- dates, as the local clock shows them ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The month counts from 0. */
static int64_t month_length(int64_t year, int64_t month)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30,
					      31, 31, 30, 31, 30, 31 };

	return days[month] + (month == 1 && is_leap(year));
}

/* Days from 1970 to the first of January. */
static int64_t year_start(int64_t year)
{
	int64_t before = year - 1;

	return 365 * (year - 1970) + floor_div(before, 4) -
	       floor_div(before, 100) + floor_div(before, 400) - 477;
}

static int64_t month_start(int64_t year, int64_t month)
{
	int64_t day = year_start(year);

	for (int64_t m = 0; m < month; m++)
		day += month_length(year, m);
	return day;
}

/* The day in seconds, as near as the month has it. */
static int64_t date(int64_t year, int64_t month, uint64_t mday)
{
	int64_t length = month_length(year, month);
	int64_t day = (int64_t)mday < length ? (int64_t)mday : length;

	return (month_start(year, month) + day - 1) * DAY;
}

int64_t schedule_year(int64_t shown_s)
{
	int64_t day = floor_div(shown_s, DAY);
	int64_t year = 1970 + floor_div(day, 366);

	while (year_start(year + 1) <= day)
		year++;
	return year;
}

int64_t schedule_month(int64_t shown_s)
{
	int64_t day = floor_div(shown_s, DAY);
	int64_t year = schedule_year(shown_s);
	int64_t month = 11;

	while (month_start(year, month) > day)
		month--;
	return (year - 1970) * 12 + month;
}

static int64_t time_of_day(uint64_t hour, uint64_t min)
{
	return (int64_t)hour * HOUR + (int64_t)min * MINUTE;
}

/* Where in its week the wanted day is; 1970 began with a Thursday. */
static int64_t week_shift(const struct policy *p)
{
	return ((int64_t)p->weekly_wday + 3) % 7;
}

/* ---- tiers of days: their moments are numbered ---- */

/* The number of the one that is about there. */
static int64_t number_of(const struct policy *p, enum tier tier,
			 int64_t shown_s)
{
	if (tier == TIER_DAILY)
		return floor_div(shown_s, DAY);
	if (tier == TIER_WEEKLY)
		return floor_div(floor_div(shown_s, DAY) - week_shift(p), 7);
	if (tier == TIER_MONTHLY)
		return schedule_month(shown_s);
	return schedule_year(shown_s);
}

/* As shown.  They grow with the number. */
static int64_t shown(const struct policy *p, enum tier tier, int64_t n)
{
	if (tier == TIER_DAILY)
		return n * DAY + time_of_day(p->daily_hour, p->daily_min);
	if (tier == TIER_WEEKLY)
		return (7 * n + week_shift(p)) * DAY +
		       time_of_day(p->weekly_hour, p->weekly_min);
	if (tier == TIER_MONTHLY)
		return date(1970 + floor_div(n, 12), n - 12 * floor_div(n, 12),
			    p->monthly_mday) +
		       time_of_day(p->monthly_hour, p->monthly_min);
	return date(n, (int64_t)p->yearly_mon - 1, p->yearly_mday) +
	       time_of_day(p->yearly_hour, p->yearly_min);
}

static int64_t moment(const struct policy *p, enum tier tier, int64_t n)
{
	return clock_from_local(shown(p, tier, n));
}

static int64_t last_date(const struct policy *p, enum tier tier, int64_t now_s)
{
	/* from one too late: clocks may have gone back over midnight */
	int64_t n = number_of(p, tier, clock_to_local(now_s)) + 1;
	int64_t at = moment(p, tier, n);

	while (at > now_s)
		at = moment(p, tier, --n);
	return at;
}

static int64_t next_date(const struct policy *p, enum tier tier, int64_t now_s)
{
	int64_t n = number_of(p, tier, clock_to_local(now_s)) - 1;
	int64_t at = moment(p, tier, n);

	while (at <= now_s)
		at = moment(p, tier, ++n);
	return at;
}

/* ---- hours and parts of them: as they pass ---- */

/* The newest one up to there, by a clock that is never changed. */
static int64_t last_part(const struct policy *p, enum tier tier,
			 int64_t shown_s)
{
	int64_t hour = floor_div(shown_s, HOUR) * HOUR;
	int64_t part = (int64_t)p->frequent_period * MINUTE;
	int64_t at = hour + (int64_t)p->hourly_min * MINUTE;

	if (tier == TIER_FREQUENTLY)
		return hour + (shown_s - hour) / part * part;
	return at <= shown_s ? at : at - HOUR;
}

static int64_t next_part(const struct policy *p, enum tier tier,
			 int64_t shown_s)
{
	int64_t last = last_part(p, tier, shown_s);
	int64_t hour = (floor_div(shown_s, HOUR) + 1) * HOUR;
	int64_t part = last + (int64_t)p->frequent_period * MINUTE;

	if (tier == TIER_FREQUENTLY)
		return part < hour ? part : hour;
	return last + HOUR;
}

static int64_t last_hour(const struct policy *p, enum tier tier, int64_t now_s)
{
	for (;;) {
		int64_t offset = clock_to_local(now_s) - now_s;
		int64_t at = last_part(p, tier, now_s + offset) - offset;
		int64_t change = clock_change(at, now_s);

		if (change == at)
			return at;
		/* none since the clock was changed: before, it went so */
		now_s = change - 1;
	}
}

static int64_t next_hour(const struct policy *p, enum tier tier, int64_t now_s)
{
	for (;;) {
		int64_t offset = clock_to_local(now_s) - now_s;
		int64_t at = next_part(p, tier, now_s + offset) - offset;
		int64_t change = clock_change(now_s, at);

		if (change == now_s)
			return at;
		if (last_hour(p, tier, change) == change)
			return change;
		now_s = change;
	}
}

static bool is_date(enum tier tier)
{
	return tier != TIER_FREQUENTLY && tier != TIER_HOURLY;
}

int64_t schedule_last(const struct policy *p, enum tier tier, int64_t now_s)
{
	return is_date(tier) ? last_date(p, tier, now_s)
			     : last_hour(p, tier, now_s);
}

int64_t schedule_next(const struct policy *p, enum tier tier, int64_t now_s)
{
	return is_date(tier) ? next_date(p, tier, now_s)
			     : next_hour(p, tier, now_s);
}

/* ---- what is due ---- */

unsigned schedule_due(const struct policy *p,
		      const struct schedule_point *points, size_t count,
		      int64_t now_s)
{
	int64_t last[TIERS];
	unsigned due = 0;

	for (enum tier t = 0; t < TIERS; t++) {
		if (!policy_takes(p, t))
			continue;
		due |= TIER_BIT(t);
		last[t] = schedule_last(p, t, now_s);
	}
	for (size_t i = 0; i < count && due != 0; i++)
		for (enum tier t = 0; t < TIERS; t++)
			if ((due & points[i].tiers & TIER_BIT(t)) != 0 &&
			    points[i].time_s <= now_s &&
			    points[i].time_s >= last[t])
				due &= ~TIER_BIT(t);
	return due;
}
