/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "job/repair.h"
#include "report/repair.h"

struct options {
	char *from;
	char *from_key_file;
	int level;
};

/* In the order of enum job_verify_level. */
static const char *const levels[] = { "sizes", "trees", "checksums",
				      "seals", "data",  NULL };

static const struct options defaults = { .level = JOB_VERIFY_DATA };

static const struct opt table[] = {
	{ .name = "from",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, from),
	  .value = "REPO",
	  .help = "a copy, or another repository with the same points" },
	{ .name = "from-key-file",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, from_key_file),
	  .value = "FILE",
	  .help = "the other repository's key; default: the same" },
	{ .name = "level",
	  .kind = OPT_CHOICE,
	  .offset = offsetof(struct options, level),
	  .value = "LEVEL",
	  .choices = levels,
	  .help = "how well to look, as for verify; default: data" },
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	const struct job_repair repair = {
		.from = o->from,
		.from_key_file = o->from_key_file,
		.level = (enum job_verify_level)o->level,
	};
	struct result_repair result = { .changed = false };
	struct err e = ERR_INIT;
	int rc = job_repair(&c->job, &repair, &result, &e);
	enum cli_exit exit = result.left.unread > 0 ? CLI_PARTLY : CLI_DONE;

	if (result.left.damage_count > 0)
		exit = CLI_INTEGRITY;
	struct json_end end = cli_end(c, rc, &e, exit);

	if (c->global->json)
		json_repair(c->out, &result, &end);
	else if (rc == 0 && (cli_wants_text(c) || exit != CLI_DONE))
		text_repair(c->out, &result);
	result_repair_fini(&result);
	return end.exit;
}

const struct command cmd_repair = {
	.about = { .name = "repair",
		   .args = "",
		   .summary = "put back what verify finds damaged",
		   .options = table },
	.details = "Lost parts of the index are made again from the packs. "
		   "Other objects come back\nbyte for byte from a copy of the "
		   "repository; what stood in their place is kept\nunder "
		   "aside/. Images are put together again from any repository "
		   "that has the\nsame points, by id or by name and time. "
		   "Nothing is deleted. The exit code is 5\nwhere damage is "
		   "left.",
	.needs = CLI_REPOSITORY | CLI_ORDERLY | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
