/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CLAIM_H
#define VMKEEP_VIRT_CLAIM_H

/* The files of a capture, or a flatten, in the state folder: UUID.lock,
 * UUID.journal. */

#include <stdbool.h>

#include "base/err.h"
#include "base/journal.h"
#include "virt/conn.h"
#include "virt/domain.h"

char *claim_journal(const char *state_dir, const char *uuid);

/* Take the domain's lock; ERR_BUSY names its holder. */
int claim_take(const char *state_dir, const char *uuid, const char *name,
	       int *fd, struct err *e);

/* Does a living process hold it?  Takes nothing, so that nobody is refused
 * because of the question. */
bool claim_held(const char *state_dir, const char *uuid);

/* The journal's first record: which domain, which instance of it. */
int claim_begin(struct journal *j, struct conn *c, const struct domain_info *d,
		bool paused, struct err *e);

#endif
