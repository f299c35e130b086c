/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "report/text.h"

static enum cli_exit judge(const struct result_recover *r)
{
	size_t failed = 0;

	for (size_t i = 0; i < r->count; i++)
		failed += r->items[i].failed;
	if (failed == 0)
		return CLI_DONE;
	return failed == r->count ? CLI_FAILED : CLI_PARTLY;
}

static int run(struct cli *c)
{
	struct result_recover result = { .items = NULL };
	struct err e = ERR_INIT;
	int rc = job_recover(&c->job, &result, &e);
	struct json_end end = cli_end(c, rc, &e, judge(&result));

	if (c->global->json)
		json_recover(c->out, &result, &end);
	else if (rc == 0 && (cli_wants_text(c) || end.exit != CLI_DONE))
		text_recover(c->out, &result);
	result_recover_fini(&result);
	return end.exit;
}

const struct command cmd_recover = {
	.about = { .name = "recover",
		   .args = "",
		   .summary = "finish or undo what a killed backup left" },
	.details = "Resumes and thaws guests, merges overlays, removes spool "
		   "files: only what a\njournal of ours names. It may be run "
		   "at any time and as often as one likes; a\nbackup that is "
		   "under way is left alone.",
	.needs = CLI_STATE | CLI_ORDERLY | CLI_ACTION,
	.run = run,
};
