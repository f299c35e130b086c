/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_SECRET_H
#define VMKEEP_JOB_SECRET_H

/*
 * Memory for what a user types in secret: locked, guarded, wiped when freed.
 * It is codec's keys_secret_alloc(), for those who may not include codec.
 */

#include <stddef.h>

#include "base/err.h"

/* size bytes, all zero; NULL when it is not to be had. */
char *job_secret_new(size_t size, struct err *e);

/*
 * From now on this process leaves no core file, and no other of its user can
 * read its memory.  First of all, for what a crash would show is there early.
 * Programs that we start have no core files either.
 */
void job_secret_guard(void);

/* NULL is fine. */
void job_secret_free(char *secret);

#endif
