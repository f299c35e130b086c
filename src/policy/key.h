/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_KEY_H
#define VMKEEP_POLICY_KEY_H

/* The keys of a policy: what each is called, what it may be, what it is when
 * nobody says it. */

#include "base/err.h"
#include "policy/policy.h"

struct policy_key {
	struct opt opt;
	const char *standard; /* built in; NULL: unsaid, as "" makes it */
	uint64_t low, high;   /* OPT_NUMBER */
	uint64_t unit_s;      /* OPT_DURATION: what a bare number counts */
};

/* In the order of the manual; ends with a name that is NULL. */
extern const struct policy_key policy_keys[];

/* By its name; where a place has its own, by what stands behind the dot:
 * "main.daily".  NULL. */
const struct policy_key *policy_key_find(const char *name);

/* The key that was meant, or NULL. */
const char *policy_key_nearest(const char *name);

/* May it have a place before it?  The tiers may. */
bool policy_key_placed(const struct policy_key *key);

/*
 * Take a value.  name as it was written, with its place.  ERR_USAGE says what
 * is allowed, without the key's name.
 */
int policy_set(struct policy *p, const char *name, const char *text,
	       struct err *e);

/* Free what the keys own. */
void policy_clear(struct policy *p);

#endif
