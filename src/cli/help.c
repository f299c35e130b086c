/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define OPTION_COLUMN 26

/* "ram|filesystem|crash". */
static char *join_choices(const char *const *choices)
{
	char *all = mem_strdup("");

	for (; *choices != NULL; choices++) {
		autofree char *before = all;

		all = mem_fmt("%s%s%s", before, *before == '\0' ? "" : "|",
			      *choices);
	}
	return all;
}

/* "-r, --repository REPO". */
static char *option_words(const struct opt *o)
{
	autofree char *value = mem_strdup(o->value == NULL ? "" : o->value);
	autofree char *letter = mem_strdup("    ");

	if (o->letter != '\0') {
		free(letter);
		letter = mem_fmt("-%c, ", o->letter);
	}
	if (o->kind == OPT_CHOICE) {
		free(value);
		value = join_choices(o->choices);
	}
	return mem_fmt("%s--%s%s%s%s", letter,
		       o->kind == OPT_TRISTATE ? "[no-]" : "", o->name,
		       *value == '\0' ? "" : " ", value);
}

static void put_option(FILE *out, const struct opt *o)
{
	autofree char *words = option_words(o);

	if (strlen(words) > OPTION_COLUMN)
		fprintf(out, "  %s\n  %*s", words, OPTION_COLUMN, "");
	else
		fprintf(out, "  %-*s", OPTION_COLUMN, words);
	fprintf(out, "  %s\n", o->help);
	if (o->env != NULL)
		fprintf(out, "  %*s  (environment: %s)\n", OPTION_COLUMN, "",
			o->env);
}

static void put_options(FILE *out, const char *title, const struct opt *table)
{
	if (table == NULL)
		return;
	fprintf(out, "\n%s:\n", title);
	for (; table->name != NULL; table++)
		put_option(out, table);
}

void help_command(FILE *out, const struct command *command)
{
	const struct json_command *about = &command->about;

	fprintf(out, "usage: vmkeep %s%s%s%s\n\n%c%s.\n", about->name,
		about->options == NULL ? "" : " [OPTION...]",
		about->args[0] == '\0' ? "" : " ", about->args,
		toupper((unsigned char)about->summary[0]), about->summary + 1);
	if (command->details != NULL)
		fprintf(out, "\n%s\n", command->details);
	put_options(out, "options", about->options);
	fputs("\n`vmkeep help` lists the options that all commands have.\n",
	      out);
}

void help_all(FILE *out)
{
	fputs("usage: vmkeep COMMAND [OPTION...] [ARGUMENT...]\n\n"
	      "Keeps libvirt virtual machines: restore points of running "
	      "ones, disks and RAM\nof one instant, in a deduplicating, "
	      "encrypted repository.\n\ncommands:\n",
	      out);
	for (const struct command *const *c = commands; *c != NULL; c++)
		fprintf(out, "  %-11s %s\n", (*c)->about.name,
			(*c)->about.summary);
	put_options(out, "options of all commands", global_settings);
	for (const struct opt *o = global_run; o->name != NULL; o++)
		put_option(out, o);
	fputs("\n`vmkeep help COMMAND` explains a command, `man vmkeep` "
	      "everything.\n",
	      out);
}

void help_json(FILE *out, const struct json_end *end)
{
	size_t n = 0;

	while (commands[n] != NULL)
		n++;

	autofree struct json_command *all = mem_zalloc(n, sizeof(*all));

	for (size_t i = 0; i < n; i++)
		all[i] = commands[i]->about;
	json_help(out, all, n, global_tables, end);
}
