/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_PLAN_H
#define VMKEEP_JOB_PLAN_H

/* When points are due by the settings. */

#include "job/job.h"
#include "policy/policies.h"

/*
 * At a moment: of each tier that is taken the last time when a point was due
 * and the next one.  name as in job_config_show(); NULL: each section that has
 * a schedule.  ERR_USAGE where anything is wrong with the settings.
 */
int job_plan(const struct job *j, const struct policies *c, const char *name,
	     int64_t at_ns, struct result_plan *result, struct err *e);

#endif
