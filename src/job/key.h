/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_KEY_H
#define VMKEEP_JOB_KEY_H

/* Keys and roles: what `vmkeep key` does. */

#include "job/job.h"

/* All, or (recipients) those that data keys are sealed to. */
int job_key_list(const struct job *j, bool recipients, struct result_keys *r,
		 struct err *e);

struct job_key_add {
	int role; /* 1 owner, 2 writer, 3 maintainer, 4 restorer */
	const char *label;
	const char *key_file;   /* to be made, or NULL */
	const char *passphrase; /* NULL: asked for, where there is no file */
};
int job_key_add(const struct job *j, const struct job_key_add *add,
		struct result_keys *r, struct err *e);

/* id: the beginning of one. */
int job_key_remove(const struct job *j, const char *id, struct result_keys *r,
		   struct err *e);

/* passphrase NULL: asked for. */
int job_key_passphrase(const struct job *j, const char *passphrase,
		       struct result_keys *r, struct err *e);

/* file "-" is stdout. */
int job_key_export(const struct job *j, const char *file, struct result_keys *r,
		   struct err *e);

/* public_key: 64 digits; NULL: only seal to those there are. */
int job_key_recipient(const struct job *j, const char *public_key,
		      const char *label, struct result_keys *r, struct err *e);

#endif
