/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/commands.h"
#include "job/config.h"
#include "report/config.h"

struct options {
	bool origin;
};

static const struct opt table[] = {
	{ .name = "origin",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, origin),
	  .help = "show: where each value is said" },
	{ .name = NULL },
};

static int finish(struct cli *c, struct result_config *r, int rc,
		  const struct err *e)
{
	struct json_end end =
		cli_end(c, rc, e, r->problems.count > 0 ? CLI_USAGE : CLI_DONE);

	if (c->global->json)
		json_config(c->out, r, &end);
	else if (rc == 0)
		text_config(c->out, r);
	result_config_fini(r);
	return end.exit;
}

static int check(struct cli *c)
{
	struct result_config result = { .units = NULL };
	struct err e = ERR_INIT;

	job_config_check(&c->global->policies, &result);
	return finish(c, &result, 0, &e);
}

/* What could not be told of all that was asked for goes beside the result. */
static void say_rest(struct cli *c, const struct result_config *r)
{
	for (size_t i = 0; i < r->problems.count; i++)
		speech_say(c->speech, TALK_WARN, r->problems.items[i]);
	for (size_t i = 0; i < r->warnings.count; i++)
		speech_say(c->speech, TALK_WARN, r->warnings.items[i]);
}

static int show(struct cli *c)
{
	const struct options *o = c->options;
	const char *name = c->arg_count > 1 ? c->args[1] : NULL;
	struct result_config result = { .origin = o->origin };
	struct err e = ERR_INIT;
	int rc = job_config_show(&c->job, &c->global->policies, name, &result,
				 &e);

	say_rest(c, &result);
	return finish(c, &result, rc, &e);
}

static int list_keys(struct cli *c)
{
	struct result_config result = { .units = NULL };
	struct err e = ERR_INIT;

	job_config_keys(&result);
	return finish(c, &result, 0, &e);
}

static int run(struct cli *c)
{
	const struct options *o = c->options;
	bool keys = strcmp(c->args[0], "keys") == 0;

	if (strcmp(c->args[0], "show") == 0)
		return show(c);
	if (!keys && strcmp(c->args[0], "check") != 0)
		return cli_usage(c, "unknown: config '%s'; check, show or keys",
				 c->args[0]);
	if (c->arg_count > 1 || o->origin)
		return cli_usage(c, "config %s takes nothing", c->args[0]);
	return keys ? list_keys(c) : check(c);
}

const struct command cmd_config = {
	.about = { .name = "config",
		   .args = "check | show [DOMAIN] | keys",
		   .summary = "what the settings say, and what is wrong there",
		   .options = table },
	.details =
		"  config check           what is wrong, with file and line; "
		"status 2 if so\n"
		"  config show            each section with all that is said "
		"for it\n"
		"  config show DOMAIN     all that counts for a domain, or for "
		"a dataset\n"
		"  config keys            all keys of a policy, and what is "
		"built in\n\n"
		"What is shown can be read back as settings.",
	.min_args = 1,
	.max_args = 2,
	.options_size = sizeof(struct options),
	.run = run,
};
