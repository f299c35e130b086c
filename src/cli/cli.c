/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "cli/commands.h"

const struct command *const commands[] = {
	&cmd_init,    &cmd_domains, &cmd_backup,     &cmd_points, &cmd_show,
	&cmd_restore, &cmd_revert,  &cmd_import,     &cmd_export, &cmd_verify,
	&cmd_repair,  &cmd_stats,   &cmd_forget,     &cmd_gc,     &cmd_flatten,
	&cmd_recover, &cmd_doctor,  &cmd_config,     &cmd_plan,   &cmd_key,
	&cmd_help,    &cmd_version, &cmd_completion, NULL,
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *c = commands; *c != NULL; c++)
		if (strcmp((*c)->about.name, name) == 0)
			return *c;
	return NULL;
}

const char *command_nearest(const char *name)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (const struct command *const *c = commands; *c != NULL; c++) {
		unsigned d = opt_distance(name, (*c)->about.name);

		if (d < best) {
			best = d;
			nearest = (*c)->about.name;
		}
	}
	return nearest;
}

enum cli_exit cli_exit_of(const struct err *e)
{
	if (e->code == ERR_USAGE)
		return CLI_USAGE;
	if (e->code == ERR_BUSY)
		return CLI_BUSY;
	return e->code == ERR_INTEGRITY ? CLI_INTEGRITY : CLI_FAILED;
}

struct json_end cli_end(struct cli *c, int rc, const struct err *e,
			enum cli_exit good)
{
	struct json_end end = { .command = c->command->about.name,
				.error = rc < 0 ? e : NULL,
				.exit = (int)good };

	speech_clear(c->speech);
	if (rc < 0) {
		speech_error(c->speech, e);
		end.exit = (int)cli_exit_of(e);
	}
	return end;
}

bool cli_wants_text(const struct cli *c)
{
	if (c->global->json)
		return false;
	return !c->global->quiet || !(c->command->needs & CLI_ACTION);
}

const char *cli_only_arg(const struct cli *c)
{
	return c->arg_count > 0 ? c->args[0] : NULL;
}

int cli_usage(struct cli *c, const char *fmt, ...)
{
	struct err e = ERR_INIT;
	struct json_end end;
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = mem_vfmt(fmt, ap);
	va_end(ap);
	err_set(&e, ERR_USAGE, "%s", text);
	end = cli_end(c, -1, &e, CLI_USAGE);
	if (c->global->json)
		json_error(c->out, &end);
	return end.exit;
}
