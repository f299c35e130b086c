/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "report/text.h"

static int run(struct cli *c)
{
	struct result_points result = { .points = NULL };
	struct err e = ERR_INIT;
	int rc = job_points(&c->job, cli_only_arg(c), &result, &e);
	struct json_end end = cli_end(
		c, rc, &e, result.damaged.count > 0 ? CLI_INTEGRITY : CLI_DONE);

	if (c->global->json)
		json_points(c->out, &result, &end);
	else if (rc == 0)
		text_points(c->out, &result);
	result_points_fini(&result);
	return end.exit;
}

const struct command cmd_points = {
	.about = { .name = "points",
		   .args = "[DOMAIN]",
		   .summary = "list restore points, oldest first" },
	.max_args = 1,
	.needs = CLI_REPOSITORY,
	.run = run,
};
