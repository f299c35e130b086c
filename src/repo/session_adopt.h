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

/*
 * Lock a new session, before others can see it.  Where that is not possible it
 * gets another id, of which there is no file: nobody will go on in it.
 */
void session_lock(struct repo *r, struct session *s);

/*
 * A session of this host and of this generation, the newest, that has no
 * outcome, and whose process is gone: true, and it is ours.  Two processes
 * never get the same one.  All its segments, and what they lean on, are open
 * then, and the index is whole: what it has published may be relied on.
 */
bool session_adopt(struct repo *r, const char *host, uint64_t generation,
		   struct session *s);

#endif
