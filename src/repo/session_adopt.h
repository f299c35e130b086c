/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_SESSION_ADOPT_H
#define VMKEEP_REPO_SESSION_ADOPT_H

/* Going on in one's own session after having been killed.  For session.c. */

#include <stdbool.h>
#include <stdint.h>

#include "repo/repo.h"
#include "repo/session.h"

/* Held while the session is written in. */
struct session_lock {
	int fd;
	char *path;
};

/* Lock a new session, before others can see it.  Where that is not possible
 * nobody will go on in it. */
void session_lock(struct repo *r, struct session *s);

/*
 * A session of this host and of this generation, the newest, that has no
 * outcome, and whose process is gone: true, and it is ours.  Two processes
 * never get the same one.
 */
bool session_adopt(struct repo *r, const char *host, uint64_t generation,
		   struct session *s);

#endif
