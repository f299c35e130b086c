/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "report/text.h"

struct options {
	bool read_data;
};

static const struct opt table[] = {
	{ .name = "read-data",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, read_data),
	  .help = "read, decrypt and check all data, too" },
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_verify result = { .damages = NULL };
	struct err e = ERR_INIT;
	int rc =
		job_verify(&c->job, cli_only_arg(c), o->read_data, &result, &e);
	struct json_end end = cli_end(
		c, rc, &e, result.damage_count > 0 ? CLI_INTEGRITY : CLI_DONE);

	if (c->global->json)
		json_verify(c->out, &result, &end);
	else if (rc == 0 && (cli_wants_text(c) || result.damage_count > 0))
		text_verify(c->out, &result);
	result_verify_fini(&result);
	return end.exit;
}

const struct command cmd_verify = {
	.about = { .name = "verify",
		   .args = "[POINT]",
		   .summary = "check that what is stored can be restored",
		   .options = table },
	.details = "Without POINT the whole repository. Damage is listed "
		   "with the points it touches,\nand the exit code is 5.",
	.max_args = 1,
	.needs = CLI_REPOSITORY | CLI_ACTION,
	.options_size = sizeof(struct options),
	.run = run,
};
