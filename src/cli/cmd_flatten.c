/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "job/flatten.h"
#include "report/flatten.h"

struct options {
	struct opt_list disks;
	uint64_t base;
	bool remove;
	bool dry_run;
};

static const struct options defaults = { .base = 1 };

static const struct opt table[] = {
	{ .name = "disk",
	  .kind = OPT_LIST,
	  .offset = offsetof(struct options, disks),
	  .value = "TARGET,...",
	  .help = "only these disks; default: all with a chain" },
	{ .name = "base",
	  .kind = OPT_NUMBER,
	  .offset = offsetof(struct options, base),
	  .value = "N",
	  .help = "merge into this image of the chain; default: 1" },
	{ .name = "delete",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, remove),
	  .help = "remove merged images that nobody needs" },
	{ .name = "dry-run",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, dry_run),
	  .help = "only say what would be done" },
	{ .name = NULL },
};

/* Of several disks some are as they should be. */
static bool partly(const struct result_flatten *r)
{
	bool good = false;

	for (size_t i = 0; i < r->disk_count; i++) {
		const struct result_flatten_disk *d = &r->disks[i];

		good = good || d->done ||
		       (r->dry_run && d->base > 0 && d->err.code == ERR_NONE);
	}
	return good;
}

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_flatten result = { .name = NULL };
	struct err e = ERR_INIT;
	const struct job_flatten f = {
		.domain = c->args[0],
		.disks = o->disks.count > 0 ? o->disks.items : NULL,
		.disk_count = o->disks.count,
		.base = o->base,
		.remove = o->remove,
		.dry_run = o->dry_run,
	};
	struct json_end end;
	int rc;

	if (o->base == 0)
		return cli_usage(c, "images are numbered from 1");
	rc = job_flatten(&c->job, &f, &result, &e);
	end = cli_end(c, rc, &e, CLI_DONE);
	if (rc < 0 && partly(&result))
		end.exit = CLI_PARTLY;
	if (c->global->json)
		json_flatten(c->out, &result, &end);
	else if (cli_wants_text(c) || o->dry_run)
		text_flatten(c->out, &result);
	result_flatten_fini(&result);
	return end.exit;
}

const struct command cmd_flatten = {
	.about = { .name = "flatten",
		   .args = "DOMAIN",
		   .summary = "shorten chains of overlays, also of running VMs",
		   .options = table },
	.details =
		"All that is in the images above image N of a chain (1 is the "
		"base; 'vmkeep\ndomains' shows the numbers) is brought into "
		"image N, and the VM goes on there.\nWhat image N and those "
		"above it were as snapshots is lost by that. Nothing is\ndone "
		"where another VM, another image or another program needs one "
		"of them.\n\n"
		"The images above stay, unless --delete is given. Interrupted "
		"or killed before\nits end, chains are as they were.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_STATE | CLI_ORDERLY | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
