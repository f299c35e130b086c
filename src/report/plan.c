/* SPDX-License-Identifier: Apache-2.0 */
#include "report/plan.h"

#include "base/clock.h"
#include "base/mem.h"
#include "report/json_parts.h"
#include "report/table.h"
#include "report/text_parts.h"

static void put_tiers(FILE *out, const struct result_plan_unit *u)
{
	AUTO(table_free_at) struct table *t = table_new("lll", "  ");
	char when[CLOCK_TEXT];

	for (size_t i = 0; i < u->tier_count; i++) {
		table_name(t, u->tiers[i].tier);
		clock_text_local(u->tiers[i].last_ns, when);
		table_cell(t, "due since %s", when);
		clock_text_local(u->tiers[i].next_ns, when);
		table_cell(t, "next %s", when);
	}
	table_print(t, out);
}

void text_plan(FILE *out, const struct result_plan *r)
{
	for (size_t i = 0; i < r->unit_count; i++) {
		const struct result_plan_unit *u = &r->units[i];

		text_line(out, "%s ([%s])%s", u->name, u->section,
			  u->tier_count > 0 ? "" : ": no schedule");
		put_tiers(out, u);
	}
	if (r->unit_count == 0)
		text_line(out, "no section has a schedule");
}

void json_plan(FILE *out, const struct result_plan *r,
	       const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *units = json_put_array(root, "units");

	json_put_time(root, "at", r->at_ns);
	for (size_t i = 0; i < r->unit_count; i++) {
		const struct result_plan_unit *u = &r->units[i];
		json_t *to = json_add_object(units);
		json_t *tiers;

		json_put_text(to, "name", u->name);
		json_put_text(to, "section", u->section);
		tiers = json_put_array(to, "tiers");
		for (size_t k = 0; k < u->tier_count; k++) {
			json_t *tier = json_add_object(tiers);

			json_put_text(tier, "tier", u->tiers[k].tier);
			json_put_time(tier, "last", u->tiers[k].last_ns);
			json_put_time(tier, "next", u->tiers[k].next_ns);
		}
	}
	json_put_strings(root, "warnings", &r->warnings);
	json_finish(out, root, end);
}
