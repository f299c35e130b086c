/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "report/json_parts.h"

static bool takes_value(const struct opt *o)
{
	return o->kind != OPT_FLAG && o->kind != OPT_TRISTATE;
}

static void put_choices(json_t *option, const struct opt *o)
{
	json_t *choices;

	if (o->kind != OPT_CHOICE)
		return;
	choices = json_put_array(option, "choices");
	for (size_t i = 0; o->choices[i] != NULL; i++)
		json_array_append_new(choices, json_string(o->choices[i]));
}

static void put_options(json_t *array, const struct opt *table)
{
	for (const struct opt *o = table; o != NULL && o->name != NULL; o++) {
		json_t *option = json_add_object(array);
		char letter[2] = { o->letter, '\0' };

		json_put_text(option, "name", o->name);
		json_put_text(option, "letter", o->letter ? letter : NULL);
		json_put_text(option, "value",
			      takes_value(o) ? o->value : NULL);
		json_put_bool(option, "negatable", o->kind == OPT_TRISTATE);
		json_put_text(option, "env", o->env);
		json_put_text(option, "help", o->help);
		put_choices(option, o);
	}
}

void json_help(FILE *out, const struct json_command *commands, size_t count,
	       const struct opt *const *globals, const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *array = json_put_array(root, "commands");

	for (size_t i = 0; i < count; i++) {
		json_t *command = json_add_object(array);

		json_put_text(command, "name", commands[i].name);
		json_put_text(command, "arguments", commands[i].args);
		json_put_text(command, "summary", commands[i].summary);
		put_options(json_put_array(command, "options"),
			    commands[i].options);
	}
	array = json_put_array(root, "options");
	for (; *globals != NULL; globals++)
		put_options(array, *globals);
	json_finish(out, root, end);
}
