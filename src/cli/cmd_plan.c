/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "cli/commands.h"
#include "job/plan.h"
#include "report/plan.h"

struct options {
	char *at;
};

static const struct opt table[] = {
	{ .name = "at",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, at),
	  .value = "TIME",
	  .help = "as if it were then, such as 2027-03-28T02" },
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_plan result = { .units = NULL };
	struct err e = ERR_INIT;
	int64_t at = clock_wall_ns();
	int64_t until;

	if (o->at != NULL && !clock_parse(o->at, &at, &until))
		return cli_usage(c,
				 "'%s' is not a time such as 2027-03-28T02:30",
				 o->at);
	int rc = job_plan(&c->job, &c->global->policies, cli_only_arg(c), at,
			  &result, &e);

	for (size_t i = 0; i < result.warnings.count; i++)
		speech_say(c->speech, TALK_WARN, result.warnings.items[i]);
	struct json_end end = cli_end(c, rc, &e, CLI_DONE);

	if (c->global->json)
		json_plan(c->out, &result, &end);
	else if (rc == 0)
		text_plan(c->out, &result);
	result_plan_fini(&result);
	return end.exit;
}

const struct command cmd_plan = {
	.about = { .name = "plan",
		   .args = "[DOMAIN]",
		   .summary = "when points are due by the settings",
		   .options = table },
	.details = "Of each tier the last time when a point was due, and the "
		   "next one; of one domain\n(or dataset), or of each section. "
		   "No point is looked at, and nothing is done.",
	.max_args = 1,
	.options_size = sizeof(struct options),
	.run = run,
};
