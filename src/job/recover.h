/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_RECOVER_H
#define VMKEEP_JOB_RECOVER_H

/* What dead sets have left in the storage (virt/recover.h has the guests'
 * side). */

#include "job/job.h"

/* Before a backup: what cannot be done is said, and stays for recover. */
void recover_sets(const struct job *j);

#endif
