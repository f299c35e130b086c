/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/recover.h"

#include <string.h>

#include "base/mem.h"
#include "job/job.h"
#include "job/spool.h"

int job_recover(const struct job *j, struct result_recover *result,
		struct err *e)
{
	AUTO(recover_report_fini) struct recover_report report = { 0 };
	AUTO(conn_close_at) struct conn *c = NULL;

	memset(result, 0, sizeof(*result));
	if (j->spool_dir != NULL)
		spool_sweep(j->spool_dir);
	c = conn_open(j->uri, e);
	if (c == NULL)
		return -1;
	int ok = recover_run(c, j->state_dir, NULL, j->talk, &report, e);

	result->items = mem_zalloc(report.count, sizeof(*result->items));
	result->count = report.count;
	for (size_t i = 0; i < report.count; i++)
		result->items[i] = (struct result_recover_item){
			.domain = mem_strdup(report.items[i].domain),
			.action = mem_strdup(report.items[i].action),
			.failed = report.items[i].failed != 0,
		};
	return ok;
}
