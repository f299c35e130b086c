/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_GC_H
#define VMKEEP_JOB_GC_H

/* Forgetting points, and collecting what nothing needs any more. */

#include "job/job.h"

struct job_forget {
	char *const *points; /* POINT each, or "points/<id>": a set that cannot
			      * be read, as a whole */
	size_t point_count;
	bool ram;   /* only their RAM */
	bool force; /* also the last point of a name */
	bool dry_run;
};

/*
 * All or none: what is meant is found out first.  ERR_REFUSED where nothing
 * would be left of a name, unless forced, and for a key that may not.
 */
int job_forget(const struct job *j, const struct job_forget *f,
	       struct result_forget *result, struct err *e);

struct job_gc {
	uint64_t silent_ms; /* a session that is silent for longer is ended */
	bool dry_run;
};

int job_gc(const struct job *j, const struct job_gc *gc,
	   struct result_gc *result, struct err *e);

#endif
