/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_TEAM_H
#define VMKEEP_BASE_TEAM_H

/*
 * Threads that do one thing together.  The first failure is everybody's: it
 * is kept, and the others are told.
 */

#include "base/err.h"

/* The most members that a team has. */
#define TEAM_MAX 16

struct team {
	void *ctx;
	unsigned members; /* 1 to TEAM_MAX, numbered from 0 */

	/* One member's work, in a thread of its own. */
	int (*work)(void *ctx, unsigned number, struct err *e);

	/* A member has failed, the first one: wake those who wait, and have
	 * nobody begin anything new.  From any thread. */
	void (*stop)(void *ctx);
};

/* Returns when all members have; -1 with the first failure. */
int team_run(const struct team *t, struct err *e);

/* One member a processor and `extra` ones for while others wait, at most
 * TEAM_MAX. */
unsigned team_size(unsigned extra);

#endif
