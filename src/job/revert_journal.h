/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_REVERT_JOURNAL_H
#define VMKEEP_JOB_REVERT_JOURNAL_H

/* state_dir/UUID.revert: there as long as a domain's disks are neither old nor
 * new.  To be used under the domain's lock (virt/claim.h). */

#include "base/err.h"
#include "job/job.h"
#include "virt/domain.h"

struct revert_journal;

/* From now on; takes over what a revert that failed has left. */
struct revert_journal *revert_journal_begin(const struct job *j,
					    const struct domain_info *domain,
					    const struct result_revert *what,
					    struct err *e);

/* The disks make sense again. */
int revert_journal_end(struct revert_journal *r, struct err *e);

void revert_journal_free(struct revert_journal *r);

#endif
