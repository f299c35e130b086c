/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"

static int run(struct cli *c)
{
	if (strcmp(c->args[0], "bash") != 0)
		return cli_usage(c, "no completion for '%s', only for bash",
				 c->args[0]);
	help_completion(c->out);
	return CLI_DONE;
}

const struct command cmd_completion = {
	.about = { .name = "completion",
		   .args = "bash",
		   .summary = "print a script that completes on Tab" },
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
