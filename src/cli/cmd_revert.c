/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "job/revert.h"
#include "report/text.h"

struct options {
	bool ram;
	bool start;
	bool stop;
	bool no_safety;
};

static const struct opt table[] = {
	{ .name = "ram",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, ram),
	  .help = "go on at the very instant of the point" },
	{ .name = "start",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, start),
	  .help = "boot it afterwards" },
	{ .name = "stop",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, stop),
	  .help = "it may run: pull its plug" },
	{ .name = "no-safety",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, no_safety),
	  .help = "do not keep the present state as a point first" },
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_revert result = { .point = NULL };
	struct err e = ERR_INIT;
	const struct job_revert r = {
		.point = c->args[0],
		.ram = o->ram,
		.start = o->start,
		.stop = o->stop,
		.no_safety = o->no_safety,
	};

	if (o->ram && o->start)
		return cli_usage(c, "--ram and --start exclude each other");

	int rc = job_revert(&c->job, &r, &result, &e);
	struct json_end end = cli_end(c, rc, &e, CLI_DONE);

	if (c->global->json)
		json_revert(c->out, &result, &end);
	else if (rc == 0 && cli_wants_text(c))
		text_revert(c->out, &result);
	result_revert_fini(&result);
	return end.exit;
}

const struct command cmd_revert = {
	.about = { .name = "revert",
		   .args = "POINT",
		   .summary = "put a VM back in place, from local snapshots",
		   .options = table },
	.details = "Disks, firmware variables and definition become what they "
		   "were, where they are.\nWhat the VM is now is kept as a "
		   "local point first, RAM included when it runs.\nNo storage "
		   "snapshot is lost, newer ones neither. POINT must be held "
		   "on this\nhost: see 'vmkeep backup --keep local'.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_STATE | CLI_SPOOL | CLI_ORDERLY | CLI_ACTION,
	.options_size = sizeof(struct options),
	.run = run,
};
