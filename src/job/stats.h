/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_STATS_H
#define VMKEEP_JOB_STATS_H

/* How much there is, and whose. */

#include "job/job.h"

/* Sizes are bytes; repo/stats.h says what they mean. */
struct result_stats_point {
	char *id;
	char *name;
	int64_t time_ns;
	uint64_t size, data, frees;
};

struct result_stats_name {
	char *name;
	uint64_t points, size, data, frees;
};

struct result_stats {
	bool one; /* a point was asked for: points has only that */
	struct result_stats_point *points;
	size_t point_count;
	struct result_stats_name *names;
	size_t name_count;
	uint64_t size, data, unique, stored, nodes, chunks, tree;
	uint64_t packs, pack_bytes, objects, bytes, lost;
	uint64_t elapsed_ms;
};

/* point NULL: all. */
int job_stats(const struct job *j, const char *point,
	      struct result_stats *result, struct err *e);
void result_stats_fini(struct result_stats *r);

#endif
