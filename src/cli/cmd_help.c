/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/help.h"

static int unknown(struct cli *c)
{
	const char *near = command_nearest(c->args[0]);

	if (near == NULL)
		return cli_usage(c, "unknown command '%s'", c->args[0]);
	return cli_usage(c, "unknown command '%s', did you mean '%s'?",
			 c->args[0], near);
}

static int run(struct cli *c)
{
	struct json_end end = { .command = "help", .exit = CLI_DONE };

	if (c->arg_count > 0 && command_find(c->args[0]) == NULL)
		return unknown(c);
	if (c->global->json)
		help_json(c->out, &end);
	else if (c->arg_count == 0)
		help_all(c->out);
	else
		help_command(c->out, command_find(c->args[0]));
	return CLI_DONE;
}

const struct command cmd_help = {
	.about = { .name = "help",
		   .args = "[COMMAND]",
		   .summary = "explain a command, or list all" },
	.max_args = 1,
	.run = run,
};
