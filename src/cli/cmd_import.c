/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "cli/backup_end.h"
#include "cli/commands.h"
#include "report/text.h"

static int run(struct cli *c)
{
	struct result_backup result = { .items = NULL };
	struct err e = ERR_INIT;
	struct json_end end;
	int rc;

	if (strcmp(c->args[1], "-") == 0 && isatty(STDIN_FILENO))
		return cli_usage(c, "'-' reads standard input, which is a "
				    "terminal");
	rc = job_import(&c->job, c->args[0], c->args[1], &result, &e);
	end = backup_end(c, rc, &result, &e);
	if (c->global->json)
		json_backup(c->out, &result, &end);
	else if (cli_wants_text(c))
		text_import(c->out, &result);
	result_backup_fini(&result);
	return end.exit;
}

const struct command cmd_import = {
	.about = { .name = "import",
		   .args = "NAME FILE|-",
		   .summary = "store any image or stream, without libvirt" },
	.details = "A file of any format is stored byte for byte, and so is "
		   "what comes from standard\ninput where FILE is '-'.",
	.min_args = 2,
	.max_args = 2,
	.needs = CLI_REPOSITORY | CLI_STATE | CLI_ORDERLY | CLI_ACTION,
	.run = run,
};
