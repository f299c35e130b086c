/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "job/stats.h"
#include "report/stats.h"

static int run(struct cli *c)
{
	struct result_stats result = { .points = NULL };
	struct err e = ERR_INIT;
	int rc = job_stats(&c->job, cli_only_arg(c), &result, &e);
	struct json_end end = cli_end(c, rc, &e, CLI_DONE);

	if (c->global->json)
		json_stats(c->out, &result, &end);
	else if (rc == 0)
		text_stats(c->out, &result);
	result_stats_fini(&result);
	return end.exit;
}

const struct command cmd_stats = {
	.about = { .name = "stats",
		   .args = "[POINT]",
		   .summary = "how much is stored, how often, and for whom",
		   .options = NULL },
	.details = "Of a point, what forgetting it would free; else of each "
		   "name what is stored for\nits points alone, and of the "
		   "whole how well it was deduplicated and compressed.\n"
		   "No contents are read.",
	.max_args = 1,
	.needs = CLI_REPOSITORY,
	.run = run,
};
