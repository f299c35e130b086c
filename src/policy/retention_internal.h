/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_RETENTION_INTERNAL_H
#define VMKEEP_POLICY_RETENTION_INTERNAL_H

/* Between the rules and what stands above them. */

#include "policy/retention.h"

struct candidate {
	const struct retention_set *set;
	size_t index; /* of the set, and of its item in the plan */
	struct opt_list *why;
	bool keep;
	bool keep_ram; /* if it has any */
};

struct candidates {
	struct candidate *items; /* oldest first */
	size_t count;
};

/* A month has 31 days, and a year 365.25. */
int64_t retention_period_s(const struct policy *p, enum tier tier);

/*
 * Mark what tiers keep, with the reason: sets, or the RAM of those that are
 * kept already.  What was taken by hand is in nobody's tier.
 */
void retention_apply(const struct retention *r, struct candidates *all,
		     const uint64_t counts[TIERS], bool ram);

#endif
