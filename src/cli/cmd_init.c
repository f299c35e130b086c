/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "report/text.h"

static int run(struct cli *c)
{
	struct result_init result = { .id = NULL };
	struct err e = ERR_INIT;
	struct json_end end;
	int rc;

	if (c->arg_count > 0)
		c->job.repository = c->args[0];
	if (c->job.repository == NULL)
		return cli_usage(c, "which repository? vmkeep init REPO");
	rc = job_init(&c->job, &result, &e);
	end = cli_end(c, rc, &e, CLI_DONE);
	if (c->global->json)
		json_init(c->out, &result, &end);
	else if (rc == 0 && cli_wants_text(c))
		text_init(c->out, &result);
	result_init_fini(&result);
	return end.exit;
}

const struct command cmd_init = {
	.about = { .name = "init",
		   .args = "REPO",
		   .summary = "make a new repository" },
	.details = "REPO is a folder that is empty or not there yet. "
		   "Its passphrase is asked for\ntwice, or comes from "
		   "VMKEEP_PASSPHRASE or VMKEEP_PASSPHRASE_FILE. With\n"
		   "--key-file a key is made and written there instead.\n\n"
		   "Who loses passphrase and key loses all that is in the "
		   "repository.",
	.max_args = 1,
	.needs = CLI_PASSPHRASE | CLI_ACTION,
	.run = run,
};
