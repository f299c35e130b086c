/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_BEAT_H
#define VMKEEP_REPO_BEAT_H

/*
 * A thread that says again and again that a session lives, whatever the
 * others wait for: RAM being copied, a slow source, a slow store.  A
 * collector takes a session that is silent for killed.
 */

#include <stdint.h>

#include "base/err.h"
#include "repo/session.h"

#define BEAT_EVERY_NS INT64_C(60000000000)

struct beat;

/* The session is the thread's until beat_stop(); it was said just now that
 * it lives.  failed() is called from the thread, once, and it ends. */
struct beat_parts {
	struct repo *repo;
	struct session *session;
	int64_t every_ns;
	void (*failed)(void *ctx, const struct err *e);
	void *ctx;
};

struct beat *beat_start(const struct beat_parts *parts, struct err *e);

/* Waits for a beat that is under way.  NULL is fine. */
void beat_stop(struct beat *b);

#endif
