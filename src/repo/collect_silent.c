/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/collect_internal.h"

/*
 * Sessions of earlier generations are ended before the next one is made.  A
 * beat tells by the writer's clock when it was said, and that clock may be
 * wrong by years.  So a session that seems to be silent is watched, too: its
 * beat must stand still while ours goes on.  Clocks decide who is ended, and
 * with what is lost then the writer begins again; what is deleted they never
 * decide.
 */

/* Writers beat every minute. */
#define WATCH_NS (180 * INT64_C(1000000000))

/* We look so often whether we shall stop. */
#define NAP_NS (100 * INT64_C(1000000))

/* What a session was last heard to say. */
struct heard {
	struct known *who;
	int64_t beat;
	bool any;
};

static int hear(struct collect *c, struct heard *h, struct err *e)
{
	int got = session_last_beat(c->repo, &h->who->id, &h->beat, e);

	h->any = got == 1;
	/* it died, or lives, between its first two puts */
	if (got == 0)
		h->beat = h->who->record.time_ns;
	return got < 0 ? -1 : 0;
}

/* By the clocks; one that is as far ahead says as little. */
static bool seems_silent(const struct collect *c, const struct heard *h)
{
	int64_t now = clock_wall_ns();
	uint64_t off = now > h->beat ? (uint64_t)now - (uint64_t)h->beat
				     : (uint64_t)h->beat - (uint64_t)now;

	return off > (uint64_t)c->o.silent_ns;
}

int is_silent(struct collect *c, struct known *k, struct err *e)
{
	struct heard h = { .who = k };

	return hear(c, &h, e) < 0 ? -1 : seems_silent(c, &h);
}

static void wait_for(struct collect *c, const struct heard *h)
{
	struct collect_wait *w = &c->result->wait;
	const struct known *k = h->who;

	if (w->host != NULL && w->since_ns <= k->record.time_ns)
		return;
	free(w->host);
	*w = (struct collect_wait){
		.session = k->id,
		.host = mem_strdup(k->recorded ? k->record.host : "unknown"),
		.since_ns = k->record.time_ns,
		.beat_ns = h->beat,
	};
}

static int end_one(struct collect *c, struct known *k, bool count,
		   struct err *e)
{
	int ended = session_revoke(c->repo, &k->id, e);

	if (ended == 1) {
		k->ended = ENDED_REVOKED;
		c->result->ended += count;
	}
	return ended < 0 ? -1 : 0;
}

/* ---- watching ----------------------------------------------------------- */

struct watched {
	struct heard *list;
	size_t count;
};

static void watched_fini(struct watched *w)
{
	free(w->list);
}

static int nap(const struct collect *c, int64_t until, struct err *e)
{
	int64_t left;

	while ((left = until - clock_steady_ns()) > 0) {
		const struct timespec t = { .tv_nsec = left < NAP_NS ? left
								     : NAP_NS };

		if (c->o.cancel != NULL && atomic_load(c->o.cancel))
			return err_set(e, ERR_STOPPED, "stopped by the user");
		nanosleep(&t, NULL);
	}
	return 0;
}

/* Those whose beat has moved live, whatever time it says. */
static int end_if_still(struct collect *c, const struct heard *before,
			struct err *e)
{
	struct heard h = *before;

	if (hear(c, &h, e) < 0)
		return -1;
	if (h.any == before->any && h.beat == before->beat)
		return end_one(c, h.who, true, e);
	wait_for(c, &h);
	return 0;
}

static int watch(struct collect *c, const struct watched *w, struct err *e)
{
	int64_t time = c->o.silent_ns < WATCH_NS ? c->o.silent_ns : WATCH_NS;

	if (w->count == 0 || c->o.dry_run)
		return 0;
	if (time == WATCH_NS)
		talk_say(c->o.talk, TALK_INFO,
			 "%zu backups seem to be dead: watching for three "
			 "minutes whether any of them lives",
			 w->count);
	if (nap(c, clock_steady_ns() + time, e) < 0)
		return -1;
	for (size_t i = 0; i < w->count; i++)
		if (end_if_still(c, &w->list[i], e) < 0)
			return -1;
	return 0;
}

/* ---- all ------------------------------------------------------------------
 */

/*
 * An open session of an earlier generation.  A collector's attempt can come to
 * nothing any more, alive or not: its generation is taken.  And what a removed
 * key commits counts for nothing.
 */
static int look_at(struct collect *c, struct known *k, struct watched *w,
		   struct err *e)
{
	struct heard h = { .who = k };
	bool attempt = k->recorded && k->record.kind == SESSION_COLLECTOR;

	if (attempt || (k->recorded && k->record.removed))
		return c->o.dry_run ? 0 : end_one(c, k, !attempt, e);
	if (hear(c, &h, e) < 0)
		return -1;
	if (!seems_silent(c, &h)) {
		wait_for(c, &h);
		return 0;
	}
	w->list = mem_grow(w->list, w->count + 1, sizeof(*w->list));
	w->list[w->count++] = h;
	return 0;
}

int end_sessions(struct collect *c, uint64_t n, struct err *e)
{
	AUTO(watched_fini) struct watched w = { .list = NULL };

	for (size_t i = 0; i < c->known_count; i++) {
		struct known *k = &c->known[i];

		if (k->listed && k->ended == ENDED_NOT &&
		    known_generation(k) < n && look_at(c, k, &w, e) < 0)
			return -1;
	}
	return watch(c, &w, e);
}
