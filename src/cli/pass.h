/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_PASS_H
#define VMKEEP_CLI_PASS_H

/* Passphrases: in secret memory only, to be freed with job_secret_free(). */

#include <stdbool.h>

#include "base/err.h"

/*
 * What VMKEEP_PASSPHRASE says, or the first line of the file that
 * VMKEEP_PASSPHRASE_FILE names; *secret is NULL when neither is set.  Both
 * leave the environment, so that no other program and no /proc/PID/environ
 * has the passphrase.
 */
int pass_from_env(char **secret, struct err *e);

/* The first line of a file; an empty one is ERR_USAGE. */
int pass_from_file(const char *path, char **secret, struct err *e);

/* Only that they leave the environment. */
void pass_wipe_env(void);

/* Ask on the terminal, with nothing shown; twice: and once more, compared.
 * Gives up when *cancel gets true (NULL: never). */
char *pass_ask(const char *repository, bool twice, const _Atomic bool *cancel,
	       struct err *e);

#endif
