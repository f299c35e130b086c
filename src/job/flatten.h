/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_FLATTEN_H
#define VMKEEP_JOB_FLATTEN_H

/* Shortening chains of overlays; virt/flatten.h has the rules. */

#include "job/job.h"

struct job_flatten {
	const char *domain;
	char *const *disks; /* targets; NULL: all that have a chain */
	size_t disk_count;
	uint64_t base; /* number of the image to merge into; 0: 1 */
	bool remove;   /* the merged images, where nobody needs them */
	bool dry_run;
};

/* Errors as flatten_run(); the result tells of each disk in any case. */
int job_flatten(const struct job *j, const struct job_flatten *f,
		struct result_flatten *result, struct err *e);

#endif
