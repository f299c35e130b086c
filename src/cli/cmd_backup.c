/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/backup_end.h"
#include "cli/commands.h"
#include "cli/place.h"
#include "report/text.h"

struct options {
	int memory;
	int require;
	int method;
	bool together;
	struct opt_list keep;
	char *group;
	struct opt_list disks;
};

static const struct options defaults = { .memory = -1,
					 .require = -1,
					 .method = -1 };

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
	{ .name = "method",
	  .kind = OPT_CHOICE,
	  .offset = offsetof(struct options, method),
	  .value = "METHOD",
	  .choices = global_captures,
	  .help = "how; default: as --capture says" },
	{ .name = "keep",
	  .kind = OPT_LIST,
	  .offset = offsetof(struct options, keep),
	  .value = "PLACE,...",
	  .help = "where: local, repository; default: repository" },
	{ .name = "together",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, together),
	  .help = "all of one instant, in one set" },
	{ .name = "group",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, group),
	  .value = "NAME",
	  .help = "the members of this group, together" },
	{ .name = NULL },
};

/* Who: named one by one, or as a group. */
static int who(struct cli *c, struct job_backup *b)
{
	const struct options *o = c->options;
	const struct policy_section *g;
	struct err e = ERR_INIT;

	if (o->group == NULL)
		return b->domain_count > 0
			       ? 0
			       : cli_usage(c, "which domain? say its name, or "
					      "--group NAME");
	if (b->domain_count > 0)
		return cli_usage(c, "--group has its members in the settings: "
				    "name no other domain");
	g = policies_group(&c->global->policies, o->group, &e);
	if (g == NULL)
		return cli_usage(c, "%s", e.msg);
	b->domains = g->members.items;
	b->domain_count = g->members.count;
	b->together = true;
	return 0;
}

/* NULL, or the place that makes no sense. */
static const char *where(const struct options *o, unsigned *keep)
{
	*keep = 0;
	for (size_t i = 0; i < o->keep.count; i++) {
		const char *place = o->keep.items[i];

		if (strcmp(place, place_words[0]) == 0)
			*keep |= JOB_KEEP_LOCAL;
		else if (strcmp(place, place_words[1]) == 0)
			*keep |= JOB_KEEP_REPOSITORY;
		else
			return place;
	}
	return NULL;
}

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_backup result = { .items = NULL };
	struct err e = ERR_INIT;
	struct job_backup b = {
		.domains = c->args,
		.domain_count = c->arg_count,
		.memory = o->memory,
		.together = o->together,
		.group = o->group,
		.method = global_captures[o->method < 0 ? c->global->capture
							: o->method],
		.require = o->require < 0 ? NULL : levels[o->require],
		.disks = o->disks.count > 0 ? o->disks.items : NULL,
		.disk_count = o->disks.count,
	};
	const char *nowhere = where(o, &b.keep);
	struct json_end end;
	int rc;

	if (nowhere != NULL)
		return cli_usage(c,
				 "--keep takes local and repository, not "
				 "'%s'",
				 nowhere);
	if (o->require == REQUIRE_RAM && o->memory == 0)
		return cli_usage(c, "--require ram and --no-memory exclude "
				    "each other");
	rc = who(c, &b);
	if (rc != 0)
		return rc;
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
		   .args = "[DOMAIN...]",
		   .summary = "make restore points of VMs, running or not",
		   .options = table },
	.details =
		"All disks, RAM, firmware variables and the definition, "
		"of one instant. Several\ndomains follow one another, and "
		"one's failure does not stop the next; with\n--together or "
		"--group all stand still at one moment and are one set.\n\n"
		"Methods: snapshot (of the storage, while the guest stands "
		"still), overlay (any\nstorage; merged again afterwards), "
		"suspend (SysRq sync, suspend, storage\nsnapshot; no RAM). "
		"auto takes the first of these that can be had, and says\n"
		"why.\n\n"
		"With --keep local the point stays on this host, as storage "
		"snapshots: 'vmkeep\nrevert' goes back to it.\n\n"
		"Levels, best first: ram (RAM and disks of one instant), "
		"filesystem (the guest's\nagent froze its file systems), "
		"crash (as after a power cut). A level that was\nasked for "
		"and cannot be had is replaced by the next, with the reason, "
		"and exit\ncode 3; with --require the backup fails instead.",
	.max_args = SIZE_MAX,
	.needs = CLI_POINTS | CLI_STATE | CLI_SPOOL | CLI_ORDERLY | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
