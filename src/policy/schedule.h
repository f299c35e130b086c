/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_SCHEDULE_H
#define VMKEEP_POLICY_SCHEDULE_H

/*
 * When points are due.  Each tier has its moments, on the local clock: a
 * minute of every hour (hourly), each period from every full hour on
 * (frequently), a time of a day, of each day, week, month or year.  A day that
 * a month does not have is its last one.  Of a time of day that is skipped when
 * clocks are changed it is the end of the gap, of one that is shown twice the
 * first; hours, though, are those that pass: one that is shown twice has its
 * moment twice, one that is skipped has none.  Seconds since 1970, before the
 * year 2260.
 */

#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

/* The newest moment of the tier that is not after now. */
int64_t schedule_last(const struct policy *p, enum tier tier, int64_t now_s);

/* The oldest one after it. */
int64_t schedule_next(const struct policy *p, enum tier tier, int64_t now_s);

/* The year, and the month since January 1970, of seconds as they are shown. */
int64_t schedule_year(int64_t shown_s);
int64_t schedule_month(int64_t shown_s);

#define TIER_BIT(tier) (1U << (tier))

/* A point that was taken for some tiers. */
struct schedule_point {
	int64_t time_s;
	unsigned tiers; /* TIER_BIT()s */
};

/*
 * Which tiers want a point now: those whose last moment no point of theirs has
 * seen.  One point serves them all, and whatever was missed.  Points of the
 * future count for nothing: the clock was wrong then, or is now.
 */
unsigned schedule_due(const struct policy *p,
		      const struct schedule_point *points, size_t count,
		      int64_t now_s);

#endif
