/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

static int run(struct cli *c)
{
	struct json_end end = { .command = "version", .exit = CLI_DONE };

	if (c->global->json)
		json_version(c->out, VMKEEP_VERSION, &end);
	else
		fputs("vmkeep " VMKEEP_VERSION "\n", c->out);
	return CLI_DONE;
}

const struct command cmd_version = {
	.about = { .name = "version",
		   .args = "",
		   .summary = "tell which version this is" },
	.run = run,
};
