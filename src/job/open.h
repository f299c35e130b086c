/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_OPEN_H
#define VMKEEP_JOB_OPEN_H

/* What every verb does first: from words to open things. */

#include "base/err.h"
#include "job/job.h"
#include "repo/catalog.h"
#include "repo/repo.h"
#include "store/store.h"

/* The store that j->repository names, made (for init) or opened. */
struct store *job_store(const struct job *j, bool create, struct err *e);

/* The repository, unlocked with what the job has or asks for. */
struct repo *job_repo(const struct job *j, struct err *e);

/* All points, to choose one from; warns of sets that cannot be read, for
 * "latest" may have been in one of them. */
int job_catalog(const struct job *j, struct repo *r, struct catalog *c,
		struct err *e);

/* The passphrase: said, or asked for.  Free with job_secret_free(). */
char *job_passphrase(const struct job *j, bool twice, struct err *e);

/* -1 with ERR_STOPPED when the user wants to stop. */
int job_stopped(const struct job *j, struct err *e);

#endif
