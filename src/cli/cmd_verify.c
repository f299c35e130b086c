/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "report/text.h"

struct options {
	int level; /* index into levels; -1: not said */
	bool read_data;
	uint64_t max_time;
};

/* In the order of enum job_verify_level. */
static const char *const levels[] = { "sizes", "trees", "checksums",
				      "seals", "data",  NULL };

static const struct options defaults = { .level = -1 };

static const struct opt table[] = {
	{ .name = "level",
	  .kind = OPT_CHOICE,
	  .offset = offsetof(struct options, level),
	  .value = "LEVEL",
	  .choices = levels,
	  .help = "how well; default: trees" },
	{ .name = "read-data",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, read_data),
	  .help = "the same as --level data" },
	{ .name = "max-time",
	  .kind = OPT_DURATION,
	  .offset = offsetof(struct options, max_time),
	  .value = "TIME",
	  .help = "read data for so long, longest unread first" },
	{ .name = NULL },
};

/* A limit of time is for reading. */
static enum job_verify_level level_of(const struct options *o)
{
	if (o->level >= 0)
		return (enum job_verify_level)o->level;
	return o->read_data || o->max_time != 0 ? JOB_VERIFY_DATA
						: JOB_VERIFY_TREES;
}

static int run(struct cli *c)
{
	const struct options *o = c->options;
	const struct job_verify v = { .point = cli_only_arg(c),
				      .level = level_of(o),
				      .max_time_ms = o->max_time };
	struct result_verify result = { .damages = NULL };
	struct err e = ERR_INIT;
	int rc = job_verify(&c->job, &v, &result, &e);
	enum cli_exit exit = result.unread > 0 ? CLI_PARTLY : CLI_DONE;

	if (result.damage_count > 0)
		exit = CLI_INTEGRITY;
	struct json_end end = cli_end(c, rc, &e, exit);

	if (c->global->json)
		json_verify(c->out, &result, &end);
	else if (rc == 0 && (cli_wants_text(c) || exit != CLI_DONE))
		text_verify(c->out, &result);
	result_verify_fini(&result);
	return end.exit;
}

const struct command cmd_verify = {
	.about = { .name = "verify",
		   .args = "[POINT]",
		   .summary = "check that what is stored can be restored",
		   .options = table },
	.details =
		"Without POINT the whole repository. Damage is listed with the "
		"points it touches,\nand the exit code is 5. The next backup "
		"of the same source stores again what is\nlost. What could "
		"not be read now is no damage: the exit code is 3.\n\n"
		"sizes looks at small objects and a list of the packs; trees, "
		"the default, reads\nwhat leads to the data and looks it all "
		"up; checksums reads all data, and needs\nno key that opens "
		"it; seals opens it; data looks at its ids, too.",
	.max_args = 1,
	.needs = CLI_REPOSITORY | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
