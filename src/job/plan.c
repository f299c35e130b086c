/* SPDX-License-Identifier: Apache-2.0 */
#include "job/plan.h"

#include <string.h>

#include "base/mem.h"
#include "job/config.h"
#include "policy/resolve.h"
#include "policy/schedule.h"

#define SECOND_NS INT64_C(1000000000)

static void add_tier(struct result_plan_unit *u, const struct policy *p,
		     enum tier tier, int64_t at_s)
{
	u->tiers = mem_grow(u->tiers, u->tier_count + 1, sizeof(*u->tiers));
	u->tiers[u->tier_count++] = (struct result_plan_tier){
		.tier = tier_names[tier],
		.last_ns = schedule_last(p, tier, at_s) * SECOND_NS,
		.next_ns = schedule_next(p, tier, at_s) * SECOND_NS,
	};
}

static void add_unit(struct result_plan *r, const char *name,
		     const struct policy_section *s, const struct policy *p)
{
	int64_t at_s = r->at_ns / SECOND_NS;

	r->units = mem_grow(r->units, r->unit_count + 1, sizeof(*r->units));

	struct result_plan_unit *u = &r->units[r->unit_count++];

	*u = (struct result_plan_unit){ .name = mem_strdup(name),
					.section = mem_strdup(s->title) };
	for (enum tier t = 0; t < TIERS; t++)
		if (policy_takes(p, t))
			add_tier(u, p, t, at_s);
}

int job_plan(const struct job *j, const struct policies *c, const char *name,
	     int64_t at_ns, struct result_plan *result, struct err *e)
{
	result->at_ns = at_ns;
	if (policies_check(c, e) < 0)
		return -1;
	if (name != NULL) {
		AUTO(resolved_fini) struct resolved r = { .count = 0 };
		const struct policy_section *s = job_config_resolve(
			j, c, name, &r, &result->warnings, e);

		if (s == NULL)
			return -1;
		add_unit(result, name, s, &r.policy);
		return 0;
	}
	for (size_t i = 0; i < c->count; i++) {
		AUTO(resolved_fini) struct resolved r = { .count = 0 };

		if (!section_is_unit(c->sections[i]))
			continue;
		resolve_section(c, c->sections[i], &r);
		add_unit(result, c->sections[i]->name, c->sections[i],
			 &r.policy);
	}
	return 0;
}
