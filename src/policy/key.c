/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/key.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define MINUTE   UINT64_C(60)
#define HOUR     (60 * MINUTE)
#define DAY      (24 * HOUR)
#define MAX_KEEP 100000
#define MAX_AGE  (UINT64_C(1000) * 366 * DAY)
#define MAX_TIME (UINT64_C(7) * 86400)

#define AT(field) offsetof(struct policy, field)

#define YES_NO(key, is, what)                                                  \
	{                                                                      \
		.opt = { .name = #key,                                         \
			 .kind = OPT_FLAG,                                     \
			 .offset = AT(key),                                    \
			 .help = what },                                       \
		.standard = is                                                 \
	}
#define NUMBER(key, field, is, from, to, what)                                 \
	{                                                                      \
		.opt = { .name = key,                                          \
			 .kind = OPT_NUMBER,                                   \
			 .offset = AT(field),                                  \
			 .help = what },                                       \
		.standard = is, .low = from, .high = to                        \
	}
#define AGE(key, field, is, unit, what)                                        \
	{                                                                      \
		.opt = { .name = key,                                          \
			 .kind = OPT_DURATION,                                 \
			 .offset = AT(field),                                  \
			 .help = what },                                       \
		.standard = is, .unit_s = unit                                 \
	}
#define TEXT(key, what)                                                        \
	{                                                                      \
		.opt = { .name = #key,                                         \
			 .kind = OPT_STRING,                                   \
			 .offset = AT(key),                                    \
			 .help = what },                                       \
		.standard = ""                                                 \
	}
#define CHOICE(key, words, is, what)                                           \
	{                                                                      \
		.opt = { .name = #key,                                         \
			 .kind = OPT_CHOICE,                                   \
			 .offset = AT(key),                                    \
			 .choices = words,                                     \
			 .help = what },                                       \
		.standard = is                                                 \
	}

#define KEPT(tier, is)                                                         \
	NUMBER(#tier, counts.disks[TIER_OF_##tier], is, 0, MAX_KEEP,           \
	       "points of this tier that are kept")
#define RAM_KEPT(tier)                                                         \
	NUMBER("ram_" #tier, counts.ram[TIER_OF_##tier], NULL, 0, MAX_KEEP,    \
	       "of these with their RAM")
#define PREFERRED(key, is, from, to, what) NUMBER(#key, key, is, from, to, what)
#define WARN(tier, warn, crit, unit)                                           \
	AGE(#tier "_warn", warn_s[TIER_OF_##tier], warn, unit,                 \
	    "age of the newest one that is a warning"),                        \
		AGE(#tier "_crit", crit_s[TIER_OF_##tier], crit, unit,         \
		    "age of the newest one that is critical")

#define TIER_OF_frequently TIER_FREQUENTLY
#define TIER_OF_hourly     TIER_HOURLY
#define TIER_OF_daily      TIER_DAILY
#define TIER_OF_weekly     TIER_WEEKLY
#define TIER_OF_monthly    TIER_MONTHLY
#define TIER_OF_yearly     TIER_YEARLY

/* sanoid.defaults.conf of sanoid 2.3 has these values. */
const struct policy_key policy_keys[] = {
	YES_NO(autosnap, "yes", "take points by schedule"),
	KEPT(frequently, "0"),
	KEPT(hourly, "48"),
	KEPT(daily, "90"),
	KEPT(weekly, "0"),
	KEPT(monthly, "6"),
	KEPT(yearly, "0"),
	PREFERRED(frequent_period, "15", 1, 60, "minutes of the frequent tier"),
	PREFERRED(hourly_min, "0", 0, 59, "minute of hourly points"),
	PREFERRED(daily_hour, "23", 0, 23, "hour of daily points"),
	PREFERRED(daily_min, "59", 0, 59, "minute of daily points"),
	PREFERRED(weekly_wday, "1", 0, 7,
		  "day of weekly points; 0 and 7 are Sunday"),
	PREFERRED(weekly_hour, "23", 0, 23, "hour of weekly points"),
	PREFERRED(weekly_min, "30", 0, 59, "minute of weekly points"),
	PREFERRED(monthly_mday, "1", 1, 31,
		  "day of monthly points, or the month's last"),
	PREFERRED(monthly_hour, "0", 0, 23, "hour of monthly points"),
	PREFERRED(monthly_min, "0", 0, 59, "minute of monthly points"),
	PREFERRED(yearly_mon, "1", 1, 12, "month of yearly points"),
	PREFERRED(yearly_mday, "1", 1, 31, "day of yearly points"),
	PREFERRED(yearly_hour, "0", 0, 23, "hour of yearly points"),
	PREFERRED(yearly_min, "0", 0, 59, "minute of yearly points"),

	{ .opt = { .name = "memory",
		   .kind = OPT_TRISTATE,
		   .offset = AT(memory),
		   .help = "take RAM, too" },
	  .standard = NULL },
	CHOICE(require, policy_levels, "any", "make no point below this level"),
	CHOICE(capture, policy_captures, "auto",
	       "how running VMs are captured"),

	YES_NO(autoprune, "yes", "drop points by policy"),
	CHOICE(retention, policy_retentions, "calendar",
	       "by which rule points are kept"),
	{ .opt = { .name = "keep",
		   .kind = OPT_LIST,
		   .offset = AT(keep),
		   .help = "places that hold points" },
	  .standard = "repository" },
	RAM_KEPT(frequently),
	RAM_KEPT(hourly),
	RAM_KEPT(daily),
	RAM_KEPT(weekly),
	RAM_KEPT(monthly),
	RAM_KEPT(yearly),
	PREFERRED(prune_defer, "0", 0, 100,
		  "drop nothing below this fill of the pool, in per cent"),

	TEXT(pre_snapshot_script, "run before a point is taken"),
	TEXT(post_snapshot_script, "run after a point was taken"),
	TEXT(pre_pruning_script, "run before a point is dropped"),
	TEXT(pruning_script, "run after a point was dropped"),
	AGE("script_timeout", script_timeout_s, "5", 1,
	    "how long they may take; 0 or less: for ever"),
	YES_NO(no_inconsistent_snapshot, "no",
	       "take no point when the script before it fails"),
	YES_NO(force_post_snapshot_script, "no",
	       "run the script after it all the same"),

	YES_NO(monitor, "yes", "watch the age of points"),
	YES_NO(monitor_dont_warn, "no", "but do not warn"),
	YES_NO(monitor_dont_crit, "no", "but do not call it critical"),
	WARN(frequently, "0", "0", 1),
	WARN(hourly, "90m", "360m", MINUTE),
	WARN(daily, "28h", "32h", HOUR),
	WARN(weekly, "0", "0", DAY),
	WARN(monthly, "32d", "40d", 7 * DAY),
	WARN(yearly, "0", "0", 31 * DAY),
	PREFERRED(capacity_warn, "80", 0, 100, "fill of a pool, in per cent"),
	PREFERRED(capacity_crit, "95", 0, 100, "fill of a pool, in per cent"),
	{ .opt = { .name = NULL } },
};

/* ---- names ---- */

/* What stands behind the place; a place may have dots. */
static const char *bare(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL ? name : dot + 1;
}

const struct policy_key *policy_key_find(const char *name)
{
	for (const struct policy_key *k = policy_keys; k->opt.name != NULL; k++)
		if (strcmp(bare(name), k->opt.name) == 0)
			return bare(name) == name || policy_key_placed(k)
				       ? k
				       : NULL;
	return NULL;
}

const char *policy_key_nearest(const char *name)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (const struct policy_key *k = policy_keys; k->opt.name != NULL;
	     k++) {
		unsigned d = opt_distance(name, k->opt.name);

		if (d < best) {
			best = d;
			nearest = k->opt.name;
		}
	}
	return nearest;
}

bool policy_key_placed(const struct policy_key *key)
{
	return key->opt.offset >= AT(counts) &&
	       key->opt.offset < AT(counts) + sizeof(struct tier_counts);
}

/* ---- values ---- */

static uint64_t suffix_s(char suffix)
{
	switch (suffix) {
	case 's':
		return 1;
	case 'm':
		return MINUTE;
	case 'h':
		return HOUR;
	case 'd':
		return DAY;
	case 'w':
		return 7 * DAY;
	case 'y':
		return 365 * DAY;
	default:
		return 0;
	}
}

/* Seconds from "28h", or a bare number of units. */
static bool parse_age(const char *text, uint64_t unit_s, uint64_t *seconds)
{
	size_t n = strlen(text);
	autofree char *number = mem_strdup(text);
	uint64_t v;

	uint64_t suffix = n > 0 ? suffix_s(text[n - 1] | ' ') : 0;

	if (suffix > 0) {
		unit_s = suffix;
		number[n - 1] = '\0';
	}
	if (!num_parse(number, &v) || v > MAX_AGE / unit_s)
		return false;
	*seconds = v * unit_s;
	return true;
}

/* sanoid: a timeout of 0 or less is none. */
static bool is_negative(const char *text)
{
	uint64_t v;

	return text[0] == '-' && num_parse(text + 1, &v);
}

static int set_age(const struct policy_key *k, struct policy *p,
		   const char *text, struct err *e)
{
	bool timeout = k->opt.offset == AT(script_timeout_s);
	uint64_t *to = (uint64_t *)(void *)((char *)p + k->opt.offset);

	if (timeout && is_negative(text)) {
		*to = 0;
		return 0;
	}
	if (parse_age(text, k->unit_s, to) && (!timeout || *to <= MAX_TIME))
		return 0;
	if (timeout)
		return err_set(e, ERR_USAGE,
			       "'%s' is not a number of seconds, or such as "
			       "10m; at most 7d",
			       text);
	return err_set(e, ERR_USAGE,
		       "'%s' is not an age such as 90m, 28h, 32d, 5w or 1y",
		       text);
}

static int set_number(const struct policy_key *k, void *into, const char *text,
		      struct err *e)
{
	uint64_t *to = (uint64_t *)(void *)((char *)into + k->opt.offset);
	uint64_t v;

	if (k->standard == NULL && text[0] == '\0') {
		*to = POLICY_UNSAID;
		return 0;
	}

	if (!num_parse(text, &v) || v < k->low || v > k->high)
		return err_set(e, ERR_USAGE,
			       "'%s' is not a number from %llu to %llu", text,
			       (unsigned long long)k->low,
			       (unsigned long long)k->high);
	*to = v;
	return 0;
}

static struct policy_place *place_of(struct policy *p, const char *name)
{
	size_t n = (size_t)(bare(name) - name) - 1;

	for (size_t i = 0; i < p->place_count; i++)
		if (strlen(p->places[i].name) == n &&
		    strncmp(p->places[i].name, name, n) == 0)
			return &p->places[i];
	p->places = mem_grow(p->places, p->place_count + 1, sizeof(*p->places));

	struct policy_place *place = &p->places[p->place_count++];

	place->name = mem_fmt("%.*s", (int)n, name);
	for (enum tier t = 0; t < TIERS; t++)
		place->counts.disks[t] = place->counts.ram[t] = POLICY_UNSAID;
	return place;
}

static int set_placed(const struct policy_key *k, struct policy *p,
		      const char *name, const char *text, struct err *e)
{
	struct policy_key own = *k;
	struct tier_counts scratch;

	own.opt.offset -= AT(counts);
	/* wrong values make no place */
	if (set_number(&own, &scratch, text, e) < 0)
		return -1;
	return set_number(&own, &place_of(p, name)->counts, text, e);
}

int policy_set(struct policy *p, const char *name, const char *text,
	       struct err *e)
{
	const struct policy_key *k = policy_key_find(name);

	if (k == NULL)
		return err_set(e, ERR_USAGE, "unknown key");
	if (bare(name) != name)
		return set_placed(k, p, name, text, e);
	if (k->unit_s > 0)
		return set_age(k, p, text, e);
	if (k->opt.kind == OPT_NUMBER)
		return set_number(k, p, text, e);
	/* sanoid.defaults.conf has "no_inconsistent_snapshot =" */
	if (k->opt.kind == OPT_FLAG && text[0] == '\0')
		text = "no";
	if (k->opt.kind == OPT_TRISTATE && text[0] == '\0') {
		*(int *)(void *)((char *)p + k->opt.offset) = -1;
		return 0;
	}
	opt_clear(&k->opt, p);
	return opt_set(&k->opt, p, text, e);
}

void policy_init(struct policy *p)
{
	struct err e = ERR_INIT;

	*p = (struct policy){ .memory = -1 };
	for (enum tier t = 0; t < TIERS; t++)
		p->counts.ram[t] = POLICY_UNSAID;
	for (const struct policy_key *k = policy_keys; k->opt.name != NULL; k++)
		if (k->standard != NULL &&
		    policy_set(p, k->opt.name, k->standard, &e) < 0)
			abort();
}

void policy_clear(struct policy *p)
{
	for (const struct policy_key *k = policy_keys; k->opt.name != NULL; k++)
		opt_clear(&k->opt, p);
}
