/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_REPAIR_H
#define VMKEEP_JOB_REPAIR_H

/* Putting back what is damaged. */

#include "job/job.h"

struct job_repair {
	const char *from;          /* another repository, or NULL */
	const char *from_key_file; /* its key file; NULL: as for the first */
	enum job_verify_level level;
};

/* 0 also when damage is left: look at left.damage_count. */
int job_repair(const struct job *j, const struct job_repair *o,
	       struct result_repair *result, struct err *e);

#endif
