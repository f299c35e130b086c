/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/commands.h"
#include "cli/place.h"
#include "report/text.h"

struct options {
	int place;
	char *to;
	char *name;
	struct opt_list disks;
	bool ram;
	bool start;
	bool no_define;
	bool in_place;
};

static const struct options defaults = { .place = -1 };

static const struct opt table[] = {
	{ .name = "to",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, to),
	  .value = "DIR",
	  .help = "folder for the disks; made when missing" },
	{ .name = "name",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, name),
	  .value = "NAME",
	  .help = "another name, and with it a new UUID and MACs" },
	{ .name = "disk",
	  .kind = OPT_PAIRS,
	  .offset = offsetof(struct options, disks),
	  .value = "TARGET=PATH",
	  .help = "put this disk there: a file or a block device" },
	{ .name = "ram",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, ram),
	  .help = "go on at the very instant of the point" },
	{ .name = "start",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, start),
	  .help = "start it when it is there" },
	{ .name = "no-define",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, no_define),
	  .help = "write the files only, without libvirt" },
	{ .name = "in-place",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, in_place),
	  .help = "files may be there: write only what differs" },
	PLACE_OPTION(struct options),
	{ .name = NULL },
};

/* libvirt and QEMU have another working folder. */
static char **absolute_pairs(const struct opt_list *pairs)
{
	char **all = mem_zalloc(pairs->count + 1, sizeof(*all));

	for (size_t i = 0; i < pairs->count; i++) {
		const char *pair = pairs->items[i];
		size_t n = strcspn(pair, "=");
		autofree char *path = global_absolute(pair + n + 1);

		all[i] = mem_fmt("%.*s=%s", (int)n, pair, path);
	}
	return all;
}

static void pairs_free(char **all)
{
	for (char **p = all; *p != NULL; p++)
		free(*p);
	free(all);
}

DEFINE_AUTO(pairs_free, char **);

/* NULL: it makes sense. */
static const char *nonsense(const struct options *o)
{
	if (o->to == NULL && o->disks.count == 0)
		return "where to? say --to DIR, or --disk TARGET=PATH for "
		       "every disk";
	if (o->no_define && o->ram)
		return "--ram and --no-define exclude each other";
	if (o->no_define && o->start)
		return "--start and --no-define exclude each other";
	for (size_t i = 0; i < o->disks.count; i++)
		if (strchr(o->disks.items[i], '=')[1] == '\0')
			return "--disk is TARGET=PATH, and the path is empty";
	return NULL;
}

static int run(struct cli *c)
{
	const struct options *o = c->options;
	const char *wrong = nonsense(o);
	struct result_restore result = { .point = NULL };
	struct err e = ERR_INIT;

	if (wrong != NULL)
		return cli_usage(c, "%s", wrong);

	AUTO(pairs_free_at) char **disks = absolute_pairs(&o->disks);
	autofree char *to = o->to == NULL ? NULL : global_absolute(o->to);
	struct job_restore r = {
		.point = c->args[0],
		.to = to,
		.name = o->name,
		.disks = disks,
		.disk_count = o->disks.count,
		.ram = o->ram,
		.start = o->start,
		.no_define = o->no_define,
		.in_place = o->in_place,
	};

	place_apply(c, o->place);
	int rc = job_restore(&c->job, &r, &result, &e);
	struct json_end end = cli_end(c, rc, &e, CLI_DONE);

	if (c->global->json)
		json_restore(c->out, &result, &end);
	else if (rc == 0 && cli_wants_text(c))
		text_restore(c->out, &result);
	result_restore_fini(&result);
	return end.exit;
}

const struct command cmd_restore = {
	.about = { .name = "restore",
		   .args = "POINT --to DIR",
		   .summary = "bring a VM back, if wanted with its RAM",
		   .options = table },
	.details = "The disks are written into DIR, and the VM is defined "
		   "with them as it was. With\n--ram it runs when the command "
		   "ends, at the instruction it was at. POINT is\n"
		   "DOMAIN@latest, DOMAIN@TIME such as web1@2026-11-20T16:30, "
		   "or the beginning of\nan id. For one disk alone, see "
		   "export.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_POINTS | CLI_STATE | CLI_SPOOL | CLI_ORDERLY | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
