/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_DOCTOR_H
#define VMKEEP_JOB_DOCTOR_H

/* What is wrong, or could be better, with domains, storage and host. */

#include "job/job.h"

struct job_doctor {
	char *const *domains; /* NULL: all */
	size_t domain_count;
	char *const *ignore; /* ids of rules */
	size_t ignore_count;
};

/* 0 also when there are findings: look at them. */
int job_doctor(const struct job *j, const struct job_doctor *d,
	       struct result_doctor *result, struct err *e);

/* What doctor looks for: fills the rules of the result. */
void job_doctor_rules(struct result_doctor *result);

#endif
