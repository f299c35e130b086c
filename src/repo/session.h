/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_SESSION_H
#define VMKEEP_REPO_SESSION_H

/*
 * A session, a writer's or a collector's attempt: sess/<id> {generation}, put
 * once; beat/<id>, put again and again; and its outcome, points/<id>, put if
 * absent: COMMIT with the set, or REVOKED.  The first one stands.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/point.h"
#include "repo/repo.h"

enum session_kind {
	SESSION_WRITER = 1,
	SESSION_COLLECTOR = 2,
};

struct session_lock;

struct session {
	struct id id;
	uint64_t generation;
	int64_t beat_ns; /* steady clock: when it was last said */
	bool adopted;    /* somebody who was killed has written in it before */
	struct session_lock *lock;
};

enum outcome {
	OUTCOME_COMMIT = 1,
	OUTCOME_REVOKED = 2,
};

#define OUTCOME_NAME 48

/*
 * A writer's: read the newest generation, put the session, read the generation
 * again; if it moved, start over under a new id.  Where a process of this host
 * was killed in a session of the newest generation, go on in that one
 * (session_adopt.h).  session_close() must follow.
 */
int session_open(struct repo *r, const char *host, struct session *s,
		 struct err *e);

/* Done with it.  over: it has an outcome; else another process may go on. */
void session_close(struct session *s, bool over);

/* Say that it lives, at most once a minute: cheap to call. */
int session_beat(struct repo *r, struct session *s, struct err *e);

/* A collector's, of this generation, said to live. */
int session_attempt(struct repo *r, const char *host, uint64_t generation,
		    struct session *s, struct err *e);

/*
 * Commit the set.  ERR_EXISTS: revoked by a collector.  When the answer to
 * the put was lost, the object is read back, and what stands counts.
 */
int session_commit(struct repo *r, const struct session *s,
		   const struct set *set, struct err *e);

/* End a session that is not used after all by a set without points, so that no
 * collector waits for it.  Fails as session_commit(). */
int session_end_empty(struct repo *r, const struct session *s, const char *host,
		      struct err *e);

/* End it without a set, as only a keeper may: 1 done, 0 it had an outcome
 * already. */
int session_revoke(struct repo *r, const struct id *session, struct err *e);

/* What sess/ says of a session. */
struct session_record {
	struct id id;
	uint64_t generation;
	int64_t time_ns; /* wall clock: when it was opened */
	char *host;
	enum session_kind kind;
	bool removed; /* the key that signed it is */
};

/* Read "sess/<id>". */
int session_load(struct repo *r, const char *name, struct session_record *s,
		 struct err *e);
void session_record_fini(struct session_record *s);

/* When it was last said to live, wall clock: 1, or 0 when it never was. */
int session_last_beat(struct repo *r, const struct id *session,
		      int64_t *wall_ns, struct err *e);

/* "sess/<id>", "beat/<id>" */
void session_name(const struct id *session, char out[OUTCOME_NAME]);
void beat_name(const struct id *session, char out[OUTCOME_NAME]);

/* "points/<session id>" */
void outcome_name(const struct id *session, char out[OUTCOME_NAME]);

/* Read an outcome: 1 and the set, or 0 when the session was revoked. */
int outcome_load(struct repo *r, const char *name, struct set *set,
		 struct err *e);

#endif
