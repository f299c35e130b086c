/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_POLICY_H
#define VMKEEP_POLICY_POLICY_H

/*
 * What the settings say of one domain, group or dataset: when its points are
 * taken, and how long they are kept.  Plain data.  Words, defaults and their
 * meaning are sanoid's where sanoid has them (sanoid.defaults.conf).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/opt.h"

/* From the finest to the coarsest. */
enum tier {
	TIER_FREQUENTLY,
	TIER_HOURLY,
	TIER_DAILY,
	TIER_WEEKLY,
	TIER_MONTHLY,
	TIER_YEARLY,
	TIERS,
};

/* "frequently", "hourly", ...; ends with NULL. */
extern const char *const tier_names[];

#define POLICY_UNSAID UINT64_MAX

/* How many are kept of each tier; may be POLICY_UNSAID. */
struct tier_counts {
	uint64_t disks[TIERS]; /* of points */
	uint64_t ram[TIERS];   /* of these with their RAM */
};

/* What one place has of its own: main.daily = 90. */
struct policy_place {
	char *name;
	struct tier_counts counts;
};

enum policy_retention {
	RETENTION_CALENDAR,
	RETENTION_SANOID,
};

struct policy {
	/* when; minutes, hours, days as the local clock shows them */
	bool autosnap;
	uint64_t frequent_period; /* minutes */
	uint64_t hourly_min;
	uint64_t daily_hour, daily_min;
	uint64_t weekly_wday; /* 0 and 7: Sunday */
	uint64_t weekly_hour, weekly_min;
	uint64_t monthly_mday; /* the last one, where there are fewer */
	uint64_t monthly_hour, monthly_min;
	uint64_t yearly_mon, yearly_mday;
	uint64_t yearly_hour, yearly_min;

	/* what */
	int memory;  /* 1, 0, or -1: when it runs */
	int require; /* index into policy_levels */
	int capture; /* index into policy_captures */

	/* how long, and where */
	bool autoprune;
	int retention; /* enum policy_retention */
	struct opt_list keep;
	struct tier_counts counts;
	struct policy_place *places;
	size_t place_count;
	uint64_t prune_defer; /* per cent that a pool is filled */

	/* hooks; NULL or "": none */
	char *pre_snapshot_script, *post_snapshot_script;
	char *pre_pruning_script, *pruning_script;
	uint64_t script_timeout_s; /* 0: none */
	bool no_inconsistent_snapshot;
	bool force_post_snapshot_script;

	/* monitoring */
	bool monitor, monitor_dont_warn, monitor_dont_crit;
	uint64_t warn_s[TIERS], crit_s[TIERS]; /* seconds; 0: never */
	uint64_t capacity_warn, capacity_crit; /* per cent */
};

/* Ends with NULL; the first of each is the default. */
extern const char *const policy_retentions[];
extern const char *const policy_levels[];
extern const char *const policy_captures[];

/* What is built in. */
void policy_init(struct policy *p);
void policy_fini(struct policy *p);

/*
 * How many of each tier this place keeps; nothing is unsaid in it but ram,
 * which then is so for all tiers: RAM stays as long as its disks.  Where RAM is
 * said for one tier, the other tiers keep none.
 */
void policy_counts(const struct policy *p, const char *place,
		   struct tier_counts *counts);

/* Are points of this tier taken: does any place keep some of them? */
bool policy_takes(const struct policy *p, enum tier tier);

#endif
