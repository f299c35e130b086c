/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "report/text.h"

static int run(struct cli *c)
{
	struct result_domains result = { .domains = NULL };
	struct err e = ERR_INIT;
	int rc = job_domains(&c->job, cli_only_arg(c), &result, &e);
	struct json_end end = cli_end(c, rc, &e, CLI_DONE);

	if (c->global->json)
		json_domains(c->out, &result, &end);
	else if (rc == 0)
		text_domains(c->out, &result);
	result_domains_fini(&result);
	return end.exit;
}

const struct command cmd_domains = {
	.about = { .name = "domains",
		   .args = "[DOMAIN]",
		   .summary = "list VMs, and what can be backed up of each" },
	.details = "State, memory, guest agent, disks with the chain of "
		   "images behind each, the best\nlevel that a backup can "
		   "reach now, and why not a better one.",
	.max_args = 1,
	.run = run,
};
