/* SPDX-License-Identifier: Apache-2.0 */
#include "report/config.h"

#include <string.h>

#include "base/mem.h"
#include "report/json_parts.h"
#include "report/text_parts.h"

/* What would be taken for a comment, or lose its blanks, without quotes. */
static bool wants_quotes(const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || strchr(text, '"') != NULL)
		return false;
	return strchr(" \t", text[0]) != NULL ||
	       strchr(" \t", text[n - 1]) != NULL ||
	       strpbrk(text, "#;") != NULL;
}

static void put_value(FILE *out, const struct result_value *v, bool origin)
{
	const char *quote = wants_quotes(v->text) ? "\"" : "";
	autofree char *line =
		mem_fmt("%s =%s%s%s%s", v->key, v->text[0] != '\0' ? " " : "",
			quote, v->text, quote);

	if (v->about != NULL)
		text_line(out, "%-32s # %s", line, v->about);
	else if (!origin)
		text_line(out, "%s", line);
	else if (v->file == NULL)
		text_line(out, "%-32s # built in", line);
	else
		text_line(out, "%-32s # %s:%u [%s]", line, v->file, v->line,
			  v->section);
}

static void put_unit(FILE *out, const struct result_config *r, size_t index)
{
	const struct result_unit *u = &r->units[index];

	if (index > 0)
		fputc('\n', out);
	text_line(out, "[%s]", u->section);
	text_strings(out, "", &u->scope);
	for (size_t i = 0; i < u->value_count; i++)
		put_value(out, &u->values[i], r->origin);
}

static void put_sum(FILE *out, const struct result_config *r)
{
	char files[TEXT_COUNT], sections[TEXT_COUNT], problems[TEXT_COUNT];

	text_count(files, sizeof(files), r->files.count, "file", "files");
	text_count(sections, sizeof(sections), r->sections, "section",
		   "sections");
	text_count(problems, sizeof(problems), r->problems.count, "problem",
		   "problems");
	if (r->files.count == 0) {
		text_line(out, "there are no settings that can be read");
		return;
	}
	text_line(out, "%s, %s: %s", files, sections,
		  r->problems.count > 0 ? problems : "nothing wrong");
}

void text_config(FILE *out, const struct result_config *r)
{
	if (r->show) {
		for (size_t i = 0; i < r->unit_count; i++)
			put_unit(out, r, i);
		return;
	}
	text_strings(out, "", &r->problems);
	text_strings(out, "warning: ", &r->warnings);
	put_sum(out, r);
}

static void put_json_unit(json_t *to, const struct result_unit *u)
{
	json_t *values;

	json_put_text(to, "kind", u->kind);
	json_put_text(to, "name", u->name);
	json_put_text(to, "section", u->section);
	json_put_strings(to, "scope", &u->scope);
	values = json_put_array(to, "values");
	for (size_t i = 0; i < u->value_count; i++) {
		const struct result_value *v = &u->values[i];
		json_t *value = json_add_object(values);

		json_put_text(value, "key", v->key);
		json_put_text(value, "value", v->text);
		json_put_text(value, "about", v->about);
		json_put_bool(value, "built_in", v->file == NULL);
		json_put_text(value, "section", v->section);
		json_put_text(value, "file", v->file);
		json_put_number(value, "line", v->line);
	}
}

void json_config(FILE *out, const struct result_config *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *units = json_put_array(root, "units");

	for (size_t i = 0; i < r->unit_count; i++)
		put_json_unit(json_add_object(units), &r->units[i]);
	json_put_strings(root, "files", &r->files);
	json_put_strings(root, "problems", &r->problems);
	json_put_strings(root, "warnings", &r->warnings);
	json_put_number(root, "sections", r->sections);
	json_finish(out, root, end);
}
