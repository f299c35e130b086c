/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "fuzz.h"
#include "policy/resolve.h"

/* Whatever the files say can be resolved, and dates come out whole. */
static void resolve_all(const struct policies *c)
{
	const struct opt_list none = { .count = 0 };

	for (size_t i = 0; i < c->count; i++) {
		AUTO(resolved_fini) struct resolved r = { .count = 0 };
		AUTO(resolved_fini) struct resolved d = { .count = 0 };

		resolve_section(c, c->sections[i], &r);
		MUST(resolved_value(&r, "hourly") != NULL);
		MUST(r.policy.hourly_min < 60 && r.policy.yearly_mon >= 1 &&
		     r.policy.yearly_mon <= 12 && r.policy.frequent_period > 0);
		resolve_domain(c, c->sections[i]->name, &none, &d);
		MUST(d.count > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(policies_fini) struct policies c = { .count = 0 };
	AUTO(ini_fini) struct ini ini = { .count = 0 };
	struct err e = ERR_INIT;
	char *text = mem_zalloc(size + 1, 1);

	if (size > 0)
		memcpy(text, data, size);
	if (ini_parse("fuzz", text, &ini, &e) == 0) {
		policies_add(&c, "fuzz", &ini);
		policies_add(&c, "again", &ini);
		policies_finish(&c);
		MUST((policies_check(&c, &e) < 0) == (c.problems.count > 0));
		resolve_all(&c);
	}
	free(text);
	return 0;
}
