/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_STATS_H
#define VMKEEP_JOB_STATS_H

/* How much there is, and whose. */

#include "job/job.h"

/* point NULL: all. */
int job_stats(const struct job *j, const char *point,
	      struct result_stats *result, struct err *e);

#endif
