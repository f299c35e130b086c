/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_VERIFY_H
#define VMKEEP_JOB_VERIFY_H

/* What verify and repair share. */

#include "job/job.h"
#include "job/result.h"
#include "repo/verify.h"

enum verify_level job_level_of(enum job_verify_level level);

/* Copy what was found. */
void job_take_verify(const struct verify_result *from,
		     struct result_verify *to);

#endif
