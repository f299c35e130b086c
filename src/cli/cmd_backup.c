/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/backup_end.h"
#include "cli/commands.h"
#include "report/text.h"

struct options {
	int memory;
	int require;
	struct opt_list disks;
};

static const struct options defaults = { .memory = -1, .require = -1 };

static const char *const levels[] = { "ram", "filesystem", "crash", NULL };

#define REQUIRE_RAM 0

static const struct opt table[] = {
	{ .name = "memory",
	  .kind = OPT_TRISTATE,
	  .offset = offsetof(struct options, memory),
	  .help = "RAM, too; default: when the domain runs" },
	{ .name = "disk",
	  .kind = OPT_LIST,
	  .offset = offsetof(struct options, disks),
	  .value = "TARGET,...",
	  .help = "only these disks; default: all that can be" },
	{ .name = "require",
	  .kind = OPT_CHOICE,
	  .offset = offsetof(struct options, require),
	  .value = "LEVEL",
	  .choices = levels,
	  .help = "fail where this level cannot be had" },
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_backup result = { .items = NULL };
	struct err e = ERR_INIT;
	struct job_backup b = {
		.domains = c->args,
		.domain_count = c->arg_count,
		.memory = o->memory,
		.require = o->require < 0 ? NULL : levels[o->require],
		.disks = o->disks.count > 0 ? o->disks.items : NULL,
		.disk_count = o->disks.count,
	};
	struct json_end end;
	int rc;

	if (o->require == REQUIRE_RAM && o->memory == 0)
		return cli_usage(c, "--require ram and --no-memory exclude "
				    "each other");
	rc = job_backup(&c->job, &b, &result, &e);
	end = backup_end(c, rc, &result, &e);
	if (c->global->json)
		json_backup(c->out, &result, &end);
	else if (cli_wants_text(c))
		text_backup(c->out, &result);
	result_backup_fini(&result);
	return end.exit;
}

const struct command cmd_backup = {
	.about = { .name = "backup",
		   .args = "DOMAIN...",
		   .summary = "make restore points of VMs, running or not",
		   .options = table },
	.details =
		"All disks, RAM, firmware variables and the definition, "
		"of one instant. Several\ndomains follow one another, and "
		"one's failure does not stop the next.\n\n"
		"Levels, best first: ram (RAM and disks of one instant), "
		"filesystem (the guest's\nagent froze its file systems), "
		"crash (as after a power cut). A level that was\nasked for "
		"and cannot be had is replaced by the next, with the reason, "
		"and exit\ncode 3; with --require the backup fails instead.",
	.min_args = 1,
	.max_args = SIZE_MAX,
	.needs = CLI_REPOSITORY | CLI_STATE | CLI_SPOOL | CLI_ORDERLY |
		 CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
