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

struct result_forget {
	struct result_point *points;
	size_t count;
	struct result_strings sets; /* that could not be read */
	bool ram, dry_run;
};

/*
 * All or none: what is meant is found out first.  ERR_REFUSED where nothing
 * would be left of a name, unless forced, and for a key that may not.
 */
int job_forget(const struct job *j, const struct job_forget *f,
	       struct result_forget *result, struct err *e);
void result_forget_fini(struct result_forget *r);

struct job_gc {
	uint64_t silent_ms; /* a session that is silent for longer is ended */
	bool dry_run;
};

struct result_gc {
	bool dry_run;
	uint64_t generation, steps;
	uint64_t points; /* gone for good */
	uint64_t ended;  /* silent sessions */
	uint64_t packs, bytes;
	uint64_t waiting_packs, waiting_bytes;
	uint64_t moved_bytes, frail, left_alone;
	char *wait_host; /* NULL: no session stands in the way */
	char *wait_session;
	int64_t wait_since_ns, wait_beat_ns;
	uint64_t elapsed_ms;
};

int job_gc(const struct job *j, const struct job_gc *gc,
	   struct result_gc *result, struct err *e);
void result_gc_fini(struct result_gc *r);

#endif
