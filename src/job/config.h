/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_CONFIG_H
#define VMKEEP_JOB_CONFIG_H

/* What the settings say, told. */

#include "job/job.h"
#include "policy/policies.h"
#include "policy/resolve.h"

/* Problems are in the result, and no failure. */
void job_config_check(const struct policies *c, struct result_config *result);

/* All keys of a policy, with what is built in, as a [template_default]. */
void job_config_keys(struct result_config *result);

/*
 * name: a domain's, or a dataset's (which has a '/'), with all that counts for
 * it; ERR_NOT_FOUND when no section is for it.  NULL: each section with what is
 * said for it.  libvirt is asked only where sections of datasets may count.
 */
int job_config_show(const struct job *j, const struct policies *c,
		    const char *name, struct result_config *result,
		    struct err *e);

/* The same, not told: r is for resolved_fini() in any case. */
const struct policy_section *job_config_resolve(
	const struct job *j, const struct policies *c, const char *name,
	struct resolved *r, struct result_strings *warnings, struct err *e);

#endif
