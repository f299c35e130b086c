/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CLAIM_H
#define VMKEEP_VIRT_CLAIM_H

/* The files of a capture in the state folder: UUID.lock, UUID.journal. */

#include <stdbool.h>

#include "base/err.h"

char *claim_journal(const char *state_dir, const char *uuid);

/* Take the domain's lock; ERR_BUSY names its holder. */
int claim_take(const char *state_dir, const char *uuid, const char *name,
	       int *fd, struct err *e);

/* Does a living process hold it?  Takes nothing, so that nobody is refused
 * because of the question. */
bool claim_held(const char *state_dir, const char *uuid);

#endif
