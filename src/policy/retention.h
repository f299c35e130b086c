/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_RETENTION_H
#define VMKEEP_POLICY_RETENTION_H

/*
 * What is kept in one place, and why.  A set is kept or dropped whole; its RAM
 * may go before it (demoted).  Only sets that a schedule took are dropped.
 *
 * sanoid: of each tier that a set was taken for, those go that are older than
 * so many periods, as long as more than so many are left.  A set goes when none
 * of its tiers keeps it.
 * calendar: of each of the newest so many hours, days, ... that have any, the
 * best set is kept, of equals the newest; one set may serve several tiers.
 * RAM goes by the same rule, with its own numbers, among the sets that stay.
 *
 * Whatever a rule says, these stay: the newest set of the place; held ones;
 * those of the future; those that another place is to have and has not got yet
 * (it lacks them, and has nothing newer).  And nothing at all is dropped or
 * demoted while a guard says so:
 *   - autoprune is off
 *   - the newest set is of the future, or older than two periods and a day: the
 *     clock is wrong, or nothing is taken any more
 *   - the policy was not looked at by anybody yet (not accepted)
 *   - more than half of what a schedule took would go at once
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

struct retention_set {
	int64_t time_s;
	unsigned tiers;   /* TIER_BIT()s it was taken for; 0: by hand */
	unsigned quality; /* retention_quality(), of its points the least */
	uint64_t places;  /* that hold it: bits by the order of policy.keep */
	bool ram;         /* its RAM is held in the place asked about */
	bool held;        /* somebody wants it to stay */
};

/* How good a point is: the word for its level; with_ram: its RAM is there. */
unsigned retention_quality(const char *level, bool with_ram);

struct retention {
	const struct policy *policy;
	size_t place; /* which of policy.keep, at most the 64th */
	const struct retention_set *sets; /* of all places, in any order */
	size_t count;
	int64_t now_s;
	bool policy_accepted; /* it is the one that was accepted before */
	bool any_loss;        /* the user wants it all the same: no guard but
			       * autoprune */
};

enum retention_verdict {
	RETENTION_ELSEWHERE, /* not held in this place */
	RETENTION_KEEP,
	RETENTION_DEMOTE, /* the RAM goes */
	RETENTION_DROP,
};

struct retention_item {
	enum retention_verdict verdict;
	struct opt_list why; /* sentences; never none but for ELSEWHERE */
};

struct retention_plan {
	struct retention_item *items; /* in the order of the sets */
	size_t count;
	char *guard; /* that kept some from being dropped, or NULL */
};

void retention_decide(const struct retention *r, struct retention_plan *plan);
void retention_plan_fini(struct retention_plan *plan);

#endif
