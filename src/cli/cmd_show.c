/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/place.h"
#include "report/text.h"

struct options {
	int place;
};

static const struct options defaults = { .place = -1 };

static const struct opt table[] = {
	PLACE_OPTION(struct options),
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_points result = { .points = NULL };
	struct err e = ERR_INIT;

	place_apply(c, o->place);
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
		   .summary = "tell everything about one restore point",
		   .options = table },
	.details = "POINT is DOMAIN@latest, DOMAIN@TIME such as "
		   "web1@2026-11-20T16:30, or the\nbeginning of an id.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_POINTS,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
