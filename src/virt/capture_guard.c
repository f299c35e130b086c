/* SPDX-License-Identifier: Apache-2.0 */

/* What guards a capture: its journal, the event listeners, the watchdog. */

#include <stdlib.h>

#include "base/mem.h"
#include "base/proc.h"
#include "virt/capture_internal.h"
#include "virt/claim.h"
#include "virt/jot.h"
#include "virt/settle.h"

/* Recovery waits for the end of a watchdog whose master is dead. */
static int watchdog_record(struct capture *cap, struct err *e)
{
	pid_t pid = watchdog_pid(cap->watchdog);
	unsigned long long start = 0;
	autofree char *pid_text = NULL;
	autofree char *start_text = NULL;

	(void)!proc_start_time(pid, &start);
	pid_text = mem_fmt("%ld", (long)pid);
	start_text = mem_fmt("%llu", start);
	return JOT(cap->journal, JOT_WATCHDOG, e, { "pid", pid_text },
		   { "start", start_text });
}

int capture_guard(struct capture *cap, struct err *e)
{
	cap->track = track_open(cap->conn, cap->domain->uuid, e);
	if (!cap->track)
		return -1;
	cap->journal = journal_new(cap->journal_path, e);
	if (!cap->journal || claim_begin(cap->journal, cap->conn, cap->domain,
					 cap->mode == MODE_PLACE, e) < 0)
		return -1;
	if (cap->mode != MODE_LIVE)
		return 0;
	cap->watchdog = watchdog_start(cap->opt.watchdog, conn_uri(cap->conn),
				       cap->domain->uuid, e);
	return cap->watchdog ? watchdog_record(cap, e) : -1;
}

int capture_settle(struct capture *cap, struct err *e)
{
	const struct settle s = {
		.conn = cap->conn,
		.journal_path = cap->journal_path,
		.journal = cap->journal,
		.talk = cap->talk,
		.program = cap->opt.watchdog,
	};
	int ret;

	watchdog_close(mem_take(&cap->watchdog));
	track_close(mem_take(&cap->track));
	if (!cap->journal)
		return 0;
	ret = settle_run(&s, e);
	journal_free(mem_take(&cap->journal));
	return ret;
}

int capture_undo(struct capture *cap, struct err *e)
{
	struct err second = ERR_INIT;
	struct err first = *e;

	free(mem_take(&cap->memory));
	if (capture_settle(cap, &second) == 0)
		return 0;
	err_set(e, first.code,
		"%s; and it could not be undone: %s (vmkeep "
		"recover)",
		first.msg, second.msg);
	return -1;
}
