/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "report/text.h"

static int run(struct cli *c)
{
	struct result_points result = { .points = NULL };
	struct err e = ERR_INIT;
	int rc = job_show(&c->job, c->args[0], &result, &e);
	struct json_end end = cli_end(c, rc, &e, CLI_DONE);

	if (c->global->json)
		json_points(c->out, &result, &end);
	else if (rc == 0)
		text_show(c->out, &result);
	result_points_fini(&result);
	return end.exit;
}

const struct command cmd_show = {
	.about = { .name = "show",
		   .args = "POINT",
		   .summary = "tell everything about one restore point" },
	.details = "POINT is DOMAIN@latest, DOMAIN@TIME such as "
		   "web1@2026-11-20T16:30, or the\nbeginning of an id.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_REPOSITORY,
	.run = run,
};
