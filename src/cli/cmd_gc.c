/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "job/gc.h"
#include "report/gc.h"

struct options {
	uint64_t silent_ms;
	bool dry_run;
};

static const struct options defaults = { .silent_ms = 3600 * 1000 };

static const struct opt table[] = {
	{ .name = "silent",
	  .kind = OPT_DURATION,
	  .offset = offsetof(struct options, silent_ms),
	  .value = "DURATION",
	  .help = "end backups silent for longer; default: 1h" },
	{ .name = "dry-run",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct options, dry_run),
	  .help = "only say what could be deleted now" },
	{ .name = NULL },
};

static int run(struct cli *c)
{
	const struct options *o = c->options;
	struct result_gc result = { .wait_host = NULL };
	struct err e = ERR_INIT;
	const struct job_gc gc = { .silent_ms = o->silent_ms,
				   .dry_run = o->dry_run };
	int rc = job_gc(&c->job, &gc, &result, &e);
	struct json_end end = cli_end(
		c, rc, &e,
		result.wait_host != NULL && !o->dry_run ? CLI_BUSY : CLI_DONE);

	if (c->global->json)
		json_gc(c->out, &result, &end);
	else if (rc == 0 && (cli_wants_text(c) || o->dry_run))
		text_gc(c->out, &result);
	result_gc_fini(&result);
	return end.exit;
}

const struct command cmd_gc = {
	.about = { .name = "gc",
		   .args = "",
		   .summary = "free what no restore point needs",
		   .options = table },
	.details = "Backups go on meanwhile; one that began before an earlier "
		   "gc is waited for (exit\ncode 4), or ended when it has been "
		   "silent for too long. It may be killed at any\ntime, and "
		   "several may run at once. It takes the owner's or a "
		   "maintainer's key.",
	.needs = CLI_REPOSITORY | CLI_ORDERLY | CLI_ACTION,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
