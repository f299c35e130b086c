/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "job/doctor.h"
#include "report/doctor.h"

struct options {
	struct opt_list ignore;
	bool rules;
};

static const struct opt table[] = {
	{ .name = "ignore",
	  .kind = OPT_LIST,
	  .offset = offsetof(struct options, ignore),
	  .value = "RULE,...",
	  .help = "leave these rules out" },
	{ .name = "rules",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, rules),
	  .help = "only list what is looked for" },
	{ .name = NULL },
};

static enum cli_exit judge(const struct result_doctor *r)
{
	/* the worst is the first */
	if (r->count == 0 || r->findings[0].severity == RESULT_HINT)
		return CLI_DONE;
	return r->findings[0].severity == RESULT_ERROR ? CLI_INTEGRITY
						       : CLI_PARTLY;
}

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct job_doctor d = { .domains = c->args,
				.domain_count = c->arg_count,
				.ignore = o->ignore.items,
				.ignore_count = o->ignore.count };
	struct result_doctor result = { .findings = NULL };
	struct err e = ERR_INIT;
	int rc = 0;

	if (o->rules)
		job_doctor_rules(&result);
	else
		rc = job_doctor(&c->job, &d, &result, &e);
	struct json_end end = cli_end(c, rc, &e, judge(&result));

	if (c->global->json)
		json_doctor(c->out, &result, &end);
	else if (o->rules)
		text_rules(c->out, &result);
	else if (rc == 0)
		text_doctor(c->out, &result);
	result_doctor_fini(&result);
	return end.exit;
}

const struct command cmd_doctor = {
	.about = { .name = "doctor",
		   .args = "[DOMAIN...]",
		   .summary =
			   "what is wrong with VMs and storage, and the cure",
		   .options = table },
	.details = "Looks at domains, their images and the storage below, at "
		   "host and repository,\nand changes nothing. Each finding "
		   "has its reason and the command that mends it.\nThe exit "
		   "status is 0 with hints only, 3 with a warning, 5 with an "
		   "error: data\nthat is damaged, or will be lost as things "
		   "are.",
	.max_args = SIZE_MAX,
	.needs = CLI_PASSPHRASE,
	.options_size = sizeof(struct options),
	.run = run,
};
