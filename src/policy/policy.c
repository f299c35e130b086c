/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

#include "policy/key.h"

const char *const tier_names[] = { "frequently", "hourly", "daily", "weekly",
				   "monthly",    "yearly", NULL };

const char *const policy_retentions[] = { "calendar", "sanoid", NULL };
const char *const policy_levels[] = { "any", "ram", "filesystem", "crash",
				      NULL };
const char *const policy_captures[] = { "auto", "snapshot", "overlay",
					"suspend", NULL };

void policy_fini(struct policy *p)
{
	policy_clear(p);
	for (size_t i = 0; i < p->place_count; i++)
		free(p->places[i].name);
	free(p->places);
	*p = (struct policy){ .places = NULL };
}

static void take(uint64_t to[TIERS], const uint64_t from[TIERS])
{
	for (enum tier t = 0; t < TIERS; t++)
		if (from[t] != POLICY_UNSAID)
			to[t] = from[t];
}

void policy_counts(const struct policy *p, const char *place,
		   struct tier_counts *counts)
{
	bool apart = false;

	*counts = p->counts;
	for (size_t i = 0; i < p->place_count; i++) {
		if (strcmp(p->places[i].name, place) != 0)
			continue;
		take(counts->disks, p->places[i].counts.disks);
		take(counts->ram, p->places[i].counts.ram);
	}
	for (enum tier t = 0; t < TIERS; t++)
		apart |= counts->ram[t] != POLICY_UNSAID;
	for (int t = 0; apart && t < TIERS; t++)
		if (counts->ram[t] == POLICY_UNSAID)
			counts->ram[t] = 0;
}

bool policy_takes(const struct policy *p, enum tier tier)
{
	struct tier_counts counts;

	if (!p->autosnap)
		return false;
	for (size_t i = 0; i < p->keep.count; i++) {
		policy_counts(p, p->keep.items[i], &counts);
		if (counts.disks[tier] > 0)
			return true;
	}
	return false;
}
