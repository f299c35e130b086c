/* SPDX-License-Identifier: Apache-2.0 */
#include "job/recover.h"

#include <string.h>

#include "base/mem.h"
#include "job/local.h"
#include "job/revert.h"
#include "job/snapuse.h"
#include "job/spool.h"
#include "virt/recover.h"

static void say(void *ctx, const char *set, const char *text, int failed)
{
	const struct job *j = ctx;

	talk_say(j->talk, failed ? TALK_WARN : TALK_INFO, "set %.12s: %s", set,
		 text);
}

void recover_sets(const struct job *j)
{
	struct job copy = *j;
	const struct snap_use_recover r = { .job = j,
					    .ctx = &copy,
					    .note = say };
	struct err e = ERR_INIT;

	if (snap_use_recover(&r, &e) < 0)
		talk_say(j->talk, TALK_WARN, "%s", e.msg);
}

static void add(struct result_recover *result, const char *whose,
		const char *action, bool failed)
{
	result->items = mem_grow(result->items, result->count + 1,
				 sizeof(*result->items));
	result->items[result->count++] = (struct result_recover_item){
		.domain = mem_strdup(whose),
		.action = mem_strdup(action),
		.failed = failed,
	};
}

static void note(void *ctx, const char *set, const char *text, int failed)
{
	autofree char *whose = mem_fmt("set %.12s", set);

	add(ctx, whose, text, failed != 0);
}

static void note_revert(void *ctx, const char *domain, const char *text)
{
	add(ctx, domain, text, true);
}

/* Guests go on first; nobody waits for a storage. */
static int recover_guests(const struct job *j, struct result_recover *result,
			  struct err *e)
{
	AUTO(recover_report_fini) struct recover_report report = { 0 };
	AUTO(conn_close_at) struct conn *c = conn_open(j->uri, e);
	int ret;

	if (c == NULL)
		return -1;
	ret = recover_run(c, j->state_dir, NULL, j->talk, &report, e);
	for (size_t i = 0; i < report.count; i++)
		add(result, report.items[i].domain, report.items[i].action,
		    report.items[i].failed != 0);
	return ret;
}

int job_recover(const struct job *j, struct result_recover *result,
		struct err *e)
{
	const struct snap_use_recover r = { .job = j,
					    .ctx = result,
					    .note = note };

	memset(result, 0, sizeof(*result));
	if (j->spool_dir != NULL)
		spool_sweep(j->spool_dir);
	if (recover_guests(j, result, e) < 0 || snap_use_recover(&r, e) < 0)
		return -1;
	if (j->local_dir != NULL)
		local_sweep(j->local_dir);
	revert_report(j, result, note_revert);
	return 0;
}
