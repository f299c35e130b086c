/* SPDX-License-Identifier: Apache-2.0 */
#include "job/gc.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/open.h"
#include "repo/collect.h"

static void copy(const struct collect_result *from, struct result_gc *to)
{
	to->generation = from->generation;
	to->steps = from->steps;
	to->points = from->points;
	to->ended = from->ended;
	to->packs = from->packs;
	to->bytes = from->bytes;
	to->waiting_packs = from->waiting_packs;
	to->waiting_bytes = from->waiting_bytes;
	to->moved_bytes = from->moved_bytes;
	to->frail = from->frail;
	to->left_alone = from->left_alone;
	if (from->wait.host == NULL)
		return;
	to->wait_host = mem_strdup(from->wait.host);
	to->wait_session = describe_id(&from->wait.session);
	to->wait_since_ns = from->wait.since_ns;
	to->wait_beat_ns = from->wait.beat_ns;
}

int job_gc(const struct job *j, const struct job_gc *gc,
	   struct result_gc *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	AUTO(collect_result_fini) struct collect_result found = { 0 };
	const struct collect_options o = {
		/* none at all is less than any time */
		.silent_ns = gc->silent_ms == 0
				     ? 1
				     : (int64_t)gc->silent_ms * 1000000,
		.dry_run = gc->dry_run,
		.talk = j->talk,
		.cancel = j->cancel,
	};

	memset(result, 0, sizeof(*result));
	result->dry_run = gc->dry_run;
	AUTO(repo_close_at) struct repo *r = job_repo(j, e);
	int ok = r != NULL ? collect_run(r, &o, &found, e) : -1;

	copy(&found, result);
	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
