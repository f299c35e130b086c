/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/place.h"
#include "report/text.h"

struct options {
	int place;
	bool in_place;
};

static const struct options defaults = { .place = -1 };

static const struct opt table[] = {
	{ .name = "in-place",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, in_place),
	  .help = "FILE may be there: write only what differs" },
	PLACE_OPTION(struct options),
	{ .name = NULL },
};

/* NULL: it makes sense. */
static const char *nonsense(const struct cli *c, bool to_stdout)
{
	if (to_stdout && c->global->json)
		return "standard output carries the image: --json needs a "
		       "FILE";
	if (to_stdout && isatty(STDOUT_FILENO))
		return "standard output is a terminal; name a FILE, or send "
		       "it into a pipe";
	return NULL;
}

static int run(struct cli *c)
{
	const struct options *o = c->options;
	bool to_stdout = strcmp(c->args[1], "-") == 0;
	const char *wrong = nonsense(c, to_stdout);
	struct result_export result = { .point = NULL };
	struct err e = ERR_INIT;
	struct json_end end;
	int rc;

	if (wrong != NULL)
		return cli_usage(c, "%s", wrong);
	place_apply(c, o->place);
	rc = job_export(&c->job, c->args[0], c->args[1], o->in_place, &result,
			&e);
	end = cli_end(c, rc, &e, CLI_DONE);
	if (c->global->json)
		json_export(c->out, &result, &end);
	else if (rc == 0 && !to_stdout && cli_wants_text(c))
		text_export(c->out, &result);
	result_export_fini(&result);
	return end.exit;
}

const struct command cmd_export = {
	.about = { .name = "export",
		   .args = "POINT[/IMAGE] FILE|-",
		   .summary = "write one image out, without libvirt",
		   .options = table },
	.details = "IMAGE is a disk's target such as vda, or a file of the "
		   "point that `vmkeep show`\nnames. A point with one disk "
		   "needs none. FILE '-' is standard output.",
	.min_args = 2,
	.max_args = 2,
	.needs = CLI_POINTS | CLI_ORDERLY | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
