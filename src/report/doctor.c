/* SPDX-License-Identifier: Apache-2.0 */
#include "report/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/json_parts.h"
#include "report/safe.h"
#include "report/table.h"
#include "report/text_parts.h"

#define WIDTH  80
#define INDENT 9 /* "warning  " */

static void put_spaces(FILE *out, size_t n)
{
	while (n-- > 0)
		fputc(' ', out);
}

/* Words as they fit into lines; column is where the first one starts. */
static void put_words(FILE *out, char *text, size_t column)
{
	char *save = NULL;
	bool first = true;

	for (char *word = strtok_r(text, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		size_t width = safe_width(word);

		if (!first && column + 1 + width > WIDTH) {
			fputc('\n', out);
			put_spaces(out, INDENT);
			column = INDENT;
		} else if (!first) {
			fputc(' ', out);
			column++;
		}
		fputs(word, out);
		column += width;
		first = false;
	}
	fputc('\n', out);
}

/* A command stays in one line, to be copied. */
static void put_finding(FILE *out, const struct result_finding *f)
{
	autofree char *subject = safe_text(f->subject);
	autofree char *fact = safe_text(f->fact);
	autofree char *first = mem_fmt("%s: %s", subject, fact);
	autofree char *why = mem_fmt("%s [%s]", f->why, f->rule);

	fprintf(out, "%-7s  ", result_severity_text(f->severity));
	put_words(out, first, INDENT);
	put_spaces(out, INDENT);
	put_words(out, why, INDENT);
	if (f->command != NULL) {
		put_spaces(out, INDENT);
		text_line(out, "# %s", f->command);
	}
}

static void put_sum(FILE *out, const struct result_doctor *r)
{
	char domains[TEXT_COUNT], disks[TEXT_COUNT], volumes[TEXT_COUNT],
		pools[TEXT_COUNT], rules[TEXT_COUNT];

	text_count(domains, sizeof(domains), r->domains, "domain", "domains");
	text_count(disks, sizeof(disks), r->disks, "disk", "disks");
	text_count(volumes, sizeof(volumes), r->volumes, "volume", "volumes");
	text_count(pools, sizeof(pools), r->pools, "pool", "pools");
	text_count(rules, sizeof(rules), r->rule_count, "rule", "rules");
	text_line(out, "%slooked at %s, %s, %s, %s, host: %s",
		  r->count == 0 ? "nothing found; " : "", domains, disks,
		  volumes, pools, rules);
}

void text_doctor(FILE *out, const struct result_doctor *r)
{
	for (size_t i = 0; i < r->count; i++)
		put_finding(out, &r->findings[i]);
	text_strings(out, "not looked at: ", &r->blind);
	put_sum(out, r);
}

void text_rules(FILE *out, const struct result_doctor *r)
{
	AUTO(table_free_at) struct table *t = table_new("ll", "");

	for (size_t i = 0; i < r->rule_count; i++) {
		table_name(t, r->rules[i].id);
		table_name(t, r->rules[i].about);
	}
	table_print(t, out);
}

static void put_json(json_t *to, const struct result_finding *f)
{
	json_put_text(to, "rule", f->rule);
	json_put_text(to, "severity", result_severity_text(f->severity));
	json_put_text(to, "domain", f->domain);
	json_put_text(to, "subject", f->subject);
	json_put_text(to, "fact", f->fact);
	json_put_text(to, "why", f->why);
	json_put_text(to, "command", f->command);
}

void json_doctor(FILE *out, const struct result_doctor *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *findings = json_put_array(root, "findings");
	json_t *rules = json_put_array(root, "rules");

	for (size_t i = 0; i < r->count; i++)
		put_json(json_add_object(findings), &r->findings[i]);
	for (size_t i = 0; i < r->rule_count; i++) {
		json_t *rule = json_add_object(rules);

		json_put_text(rule, "id", r->rules[i].id);
		json_put_text(rule, "about", r->rules[i].about);
	}
	json_put_strings(root, "not_looked_at", &r->blind);
	json_put_number(root, "domains", r->domains);
	json_put_number(root, "disks", r->disks);
	json_put_number(root, "volumes", r->volumes);
	json_put_number(root, "pools", r->pools);
	json_finish(out, root, end);
}
