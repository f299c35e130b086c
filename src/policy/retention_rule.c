/* SPDX-License-Identifier: Apache-2.0 */

/* The two rules: sanoid's, and buckets of the calendar. */

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/policies_internal.h"
#include "policy/retention_internal.h"
#include "policy/schedule.h"

#define MINUTE    INT64_C(60)
#define HOUR      (60 * MINUTE)
#define DAY       (24 * HOUR)
#define SECOND_NS INT64_C(1000000000)

int64_t retention_period_s(const struct policy *p, enum tier tier)
{
	static const int64_t periods[TIERS] = { 0,       HOUR,     DAY,
						7 * DAY, 31 * DAY, 31557600 };

	return tier == TIER_FREQUENTLY ? (int64_t)p->frequent_period * MINUTE
				       : periods[tier];
}

static bool is_asked(const struct candidate *c, bool ram)
{
	return c->set->tiers != 0 && (!ram || (c->keep && c->set->ram));
}

static void mark(struct candidate *c, bool ram, const char *why)
{
	policies_note(c->why, "%s%s", ram ? "RAM: " : "", why);
	if (ram)
		c->keep_ram = true;
	else
		c->keep = true;
}

/* ---- sanoid ---- */

/* One tier of one call. */
struct rule {
	const struct retention *r;
	struct candidates *all;
	enum tier tier;
	uint64_t count;
	bool ram;
};

static bool is_of_tier(const struct rule *u, const struct candidate *c)
{
	return is_asked(c, u->ram) && (c->set->tiers & TIER_BIT(u->tier)) != 0;
}

static void apply_sanoid(const struct rule *u)
{
	int64_t span = retention_period_s(u->r->policy, u->tier);
	int64_t oldest = u->r->now_s - (int64_t)u->count * span;
	uint64_t left = 0;

	for (size_t i = 0; i < u->all->count; i++)
		left += is_of_tier(u, &u->all->items[i]);
	for (size_t i = 0; i < u->all->count; i++) {
		struct candidate *c = &u->all->items[i];
		autofree char *why = NULL;

		if (!is_of_tier(u, c))
			continue;
		if (c->set->time_s < oldest && left > u->count) {
			left--;
			continue;
		}
		why = mem_fmt(c->set->time_s < oldest
				      ? "%s: among the last %" PRIu64
				      : "%s: younger than %" PRIu64 " periods",
			      tier_names[u->tier], u->count);
		mark(c, u->ram, why);
	}
}

/* ---- calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * The hour, day, ... that a moment is in: equal for those of one bucket, and
 * different for its neighbours.  An hour that is shown twice is two.
 */
struct bucket {
	int64_t number;
	int64_t offset; /* of the local clock; 0 where it does not matter */
};

static struct bucket bucket_of(const struct policy *p, enum tier tier,
			       int64_t time_s)
{
	int64_t shown = clock_to_local(time_s);
	int64_t day = floor_div(shown, DAY);
	int64_t part = (int64_t)p->frequent_period * MINUTE;
	int64_t hour = floor_div(shown, HOUR);

	switch (tier) {
	case TIER_FREQUENTLY:
		return (struct bucket){
			hour * 60 + (shown - hour * HOUR) / part, shown - time_s
		};
	case TIER_HOURLY:
		return (struct bucket){ hour, shown - time_s };
	case TIER_DAILY:
		return (struct bucket){ day, 0 };
	case TIER_WEEKLY:
		/* from Monday on; 1970 began with a Thursday */
		return (struct bucket){ floor_div(day + 3, 7), 0 };
	case TIER_MONTHLY:
		return (struct bucket){ schedule_month(shown), 0 };
	case TIER_YEARLY:
	case TIERS:
	default:
		return (struct bucket){ schedule_year(shown), 0 };
	}
}

static bool is_better(const struct candidate *c, const struct candidate *than)
{
	/* from newest to oldest: of equals the first */
	return than == NULL || c->set->quality > than->set->quality;
}

/* "daily 2026-11-20 (3 of 30)" */
static void mark_bucket(const struct rule *u, struct candidate *c, uint64_t n)
{
	static const int length[TIERS] = { 16, 13, 10, 10, 7, 4 };
	char text[CLOCK_TEXT];

	clock_text_local(c->set->time_s * SECOND_NS, text);
	autofree char *why = mem_fmt("%s %.*s (%" PRIu64 " of %" PRIu64 ")",
				     tier_names[u->tier], length[u->tier], text,
				     n, u->count);

	mark(c, u->ram, why);
}

static void apply_calendar(const struct rule *u)
{
	struct bucket last = { 0, 0 };
	struct candidate *best = NULL;
	uint64_t n = 0;

	for (size_t i = u->all->count; i-- > 0 && n <= u->count;) {
		struct candidate *c = &u->all->items[i];
		struct bucket b;

		if (!is_asked(c, u->ram))
			continue;
		b = bucket_of(u->r->policy, u->tier, c->set->time_s);
		if (best == NULL || b.number != last.number ||
		    b.offset != last.offset) {
			if (best != NULL)
				mark_bucket(u, best, n);
			n++;
			best = NULL;
			last = b;
		}
		if (is_better(c, best))
			best = c;
	}
	if (best != NULL && n <= u->count)
		mark_bucket(u, best, n);
}

void retention_apply(const struct retention *r, struct candidates *all,
		     const uint64_t counts[TIERS], bool ram)
{
	for (enum tier t = 0; t < TIERS; t++) {
		const struct rule u = { .r = r,
					.all = all,
					.tier = t,
					.count = counts[t],
					.ram = ram };

		if (r->policy->retention == RETENTION_SANOID)
			apply_sanoid(&u);
		else if (counts[t] > 0)
			apply_calendar(&u);
	}
}
