/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "cli/help.h"

/* Calls fn for every option of every table, each table as often as met. */
static void put_names(FILE *out, const struct opt *table)
{
	for (; table != NULL && table->name != NULL; table++) {
		fprintf(out, " --%s", table->name);
		if (table->kind == OPT_TRISTATE)
			fprintf(out, " --no-%s", table->name);
	}
}

/* What completes the value of one option, as a line of a case. */
static void put_value(FILE *out, const struct opt *o)
{
	if (o->kind == OPT_FLAG || o->kind == OPT_TRISTATE)
		return;
	fprintf(out, "\t--%s", o->name);
	if (o->letter != '\0')
		fprintf(out, "|-%c", o->letter);
	fputs(") ", out);
	if (o->kind == OPT_CHOICE) {
		fputs("words='", out);
		for (size_t i = 0; o->choices[i] != NULL; i++)
			fprintf(out, "%s%s", i > 0 ? " " : "", o->choices[i]);
		fputs("' ;;\n", out);
	} else {
		fputs("kind=file ;;\n", out);
	}
}

static void put_values(FILE *out, const struct opt *table)
{
	for (; table != NULL && table->name != NULL; table++)
		put_value(out, table);
}

static void put_command(FILE *out, const struct command *c)
{
	fprintf(out, "\t%s) options='", c->about.name);
	put_names(out, c->about.options);
	fputs("' ;;\n", out);
}

void help_completion(FILE *out)
{
	fputs("# bash completion for vmkeep, made by `vmkeep completion "
	      "bash`\n"
	      "_vmkeep()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} command='' options=''\n"
	      "\tlocal prev=${COMP_WORDS[COMP_CWORD-1]} kind='' words='' w\n"
	      "\tfor w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	      "\t\tcase $w in\n\t\t",
	      out);
	for (const struct command *const *c = commands; *c != NULL; c++)
		fprintf(out, "%s%s", c == commands ? "" : "|",
			(*c)->about.name);
	fputs(") command=$w; break ;;\n\t\tesac\n\tdone\n\tcase $command in\n",
	      out);
	for (const struct command *const *c = commands; *c != NULL; c++)
		put_command(out, *c);
	fputs("\tesac\n\tcase $prev in\n", out);
	for (const struct command *const *c = commands; *c != NULL; c++)
		put_values(out, (*c)->about.options);
	for (const struct opt *const *t = global_tables; *t != NULL; t++)
		put_values(out, *t);
	fputs("\t*)\n\t\tif [[ $cur == -* ]]; then\n"
	      "\t\t\twords=\"$options",
	      out);
	for (const struct opt *const *t = global_tables; *t != NULL; t++)
		put_names(out, *t);
	fputs("\"\n\t\telif [[ -z $command || $command == help ]]; then\n"
	      "\t\t\twords='",
	      out);
	for (const struct command *const *c = commands; *c != NULL; c++)
		fprintf(out, "%s%s", c == commands ? "" : " ",
			(*c)->about.name);
	fputs("'\n\t\telif [[ $command == completion ]]; then\n"
	      "\t\t\twords=bash\n"
	      "\t\telif [[ $command == key ]]; then\n"
	      "\t\t\twords='list add remove passphrase export recipient'\n"
	      "\t\telif [[ $command == config ]]; then\n"
	      "\t\t\twords='check show keys'\n"
	      "\t\telif [[ $command == @(backup|domains) ]]; then\n"
	      "\t\t\twords=$(virsh -q list --all --name 2>/dev/null)\n"
	      "\t\telse\n\t\t\tkind=file\n\t\tfi ;;\n\tesac\n"
	      "\tif [[ $kind == file ]]; then\n"
	      "\t\tcompopt -o filenames 2>/dev/null\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\telse\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
	      "\"$cur\")\n"
	      "\tfi\n}\ncomplete -F _vmkeep vmkeep\n",
	      out);
}
