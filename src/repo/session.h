/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_SESSION_H
#define VMKEEP_REPO_SESSION_H

/*
 * A writer's session: sess/<id> {generation}, put once; beat/<id>, put again
 * and again; and its outcome, points/<id>, put if absent: COMMIT with the set,
 * or REVOKED.  The first one stands.
 */

#include <stdint.h>

#include "base/err.h"
#include "repo/point.h"
#include "repo/repo.h"

struct session {
	struct id id;
	uint64_t generation;
	int64_t beat_ns; /* steady clock: when it was last said */
};

enum outcome {
	OUTCOME_COMMIT = 1,
	OUTCOME_REVOKED = 2,
};

#define OUTCOME_NAME 48

/*
 * Read the newest generation, put the session, read the generation again; if
 * it moved, start over under a new id.
 */
int session_open(struct repo *r, const char *host, struct session *s,
		 struct err *e);

/* Say that it lives, at most once a minute: cheap to call. */
int session_beat(struct repo *r, struct session *s, struct err *e);

/*
 * Commit the set.  ERR_EXISTS: revoked by a collector.  When the answer to
 * the put was lost, the object is read back, and what stands counts.
 */
int session_commit(struct repo *r, const struct session *s,
		   const struct set *set, struct err *e);

/* "points/<session id>" */
void outcome_name(const struct id *session, char out[OUTCOME_NAME]);

/* Read an outcome: 1 and the set, or 0 when the session was revoked. */
int outcome_load(struct repo *r, const char *name, struct set *set,
		 struct err *e);

#endif
