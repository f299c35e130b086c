/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/place.h"
#include "job/gc.h"
#include "report/gc.h"

struct options {
	int place;
	bool ram;
	bool force;
	bool dry_run;
};

static const struct options defaults = { .place = -1 };

static const struct opt table[] = {
	{ .name = "ram",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, ram),
	  .help = "only their RAM; the disks stay" },
	{ .name = "force",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, force),
	  .help = "also where nothing of a VM would be left" },
	{ .name = "dry-run",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, dry_run),
	  .help = "only say what would be forgotten" },
	PLACE_OPTION(struct options),
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_forget result = { .points = NULL };
	struct err e = ERR_INIT;
	const struct job_forget f = {
		.points = c->args,
		.point_count = c->arg_count,
		.ram = o->ram,
		.force = o->force,
		.dry_run = o->dry_run,
	};
	place_apply(c, o->place);
	int rc = job_forget(&c->job, &f, &result, &e);
	struct json_end end = cli_end(c, rc, &e, CLI_DONE);

	if (c->global->json)
		json_forget(c->out, &result, &end);
	else if (cli_wants_text(c) || o->dry_run)
		text_forget(c->out, &result);
	result_forget_fini(&result);
	return end.exit;
}

const struct command cmd_forget = {
	.about = { .name = "forget",
		   .args = "POINT...",
		   .summary = "let restore points go",
		   .options = table },
	.details = "A point that is forgotten cannot be restored any more, "
		   "from that moment on. The\nspace is freed by 'vmkeep gc'. "
		   "The last point of a VM is kept unless --force is\ngiven. "
		   "It takes the owner's or a maintainer's key.",
	.min_args = 1,
	.max_args = SIZE_MAX,
	.needs = CLI_POINTS | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
