/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_GROUP_H
#define VMKEEP_JOB_GROUP_H

/* Several domains of one instant: how far apart they stopped, and who is
 * missing. */

#include <stdbool.h>
#include <stdint.h>

#include "job/member.h"

struct group_skew {
	bool measured; /* at least two of them ran and were stopped */
	uint64_t ms;   /* from the first stop to the last one */
};

/* Can they be taken together at all?  ERR_USAGE. */
int group_check(const struct job_backup *asked, struct err *e);

/* After the instant.  A warning for all when somebody went on before the last
 * one stood still. */
void group_measure(struct member *members, size_t count,
		   struct group_skew *skew);

/* What the set and its points tell of it; name may be NULL. */
void group_describe(const struct group_skew *skew, const char *name,
		    const struct member *members, size_t count,
		    struct set *set);

#endif
