/* SPDX-License-Identifier: Apache-2.0 */

/* One pause over all: every capture stops in a thread of its own. */

#include <assert.h>

#include "base/mem.h"
#include "base/team.h"
#include "virt/capture_internal.h"

struct group {
	struct capture *const *caps;
	size_t count;
	const struct capture_instant *instant;
	struct meeting *meeting; /* while all are stopped */
};

static bool alive(const struct capture *cap)
{
	return cap->lost.code == ERR_NONE;
}

static bool any_alive(const struct group *g)
{
	for (size_t i = 0; i < g->count; i++) {
		if (alive(g->caps[i]))
			return true;
	}
	return false;
}

static bool any_snaps(const struct group *g)
{
	for (size_t i = 0; i < g->count; i++) {
		if (alive(g->caps[i]) && capture_snaps(g->caps[i]))
			return true;
	}
	return false;
}

/* Failures are each one's own. */
static int stop_one(void *ctx, unsigned number, struct err *e)
{
	const struct group *g = ctx;
	struct capture *cap = g->caps[number];
	struct meeting *m;

	(void)e;
	if (capture_stop(cap, &cap->lost) < 0) {
		m = mem_take(&cap->meeting);
		if (m)
			meeting_leave(m);
		capture_release(cap);
		return 0;
	}
	/* of those that do not run, too, it is the same moment */
	m = mem_take(&cap->meeting);
	if (m)
		meeting_come(m);
	return 0;
}

static int go_one(void *ctx, unsigned number, struct err *e)
{
	const struct group *g = ctx;
	struct capture *cap = g->caps[number];

	(void)e;
	if (!alive(cap)) {
		capture_release(cap);
	} else if (capture_go(cap, &cap->lost) < 0) {
		/* somebody was faster, or the storage was too slow */
		cap->snaps_failed = capture_snaps(cap);
	}
	return 0;
}

/* There are not threads for all of them. */
static void give_up(void *ctx)
{
	const struct group *g = ctx;

	if (g->meeting)
		meeting_break(g->meeting);
}

static void lose_all(struct group *g, const struct err *why)
{
	for (size_t i = 0; i < g->count; i++) {
		capture_release(g->caps[i]);
		if (alive(g->caps[i]))
			g->caps[i]->lost = *why;
	}
}

/* With a thread for each; without one for everybody there is no instant, and
 * nobody stays stopped. */
static void each(struct group *g,
		 int (*work)(void *ctx, unsigned number, struct err *e))
{
	const struct team t = {
		.ctx = g,
		.members = (unsigned)g->count,
		.work = work,
		.stop = give_up,
	};
	struct err e = ERR_INIT;

	if (g->count == 1)
		(void)!work(g, 0, &e);
	else if (team_run(&t, &e) < 0)
		lose_all(g, &e);
}

static void take_snaps(struct group *g)
{
	struct err why = ERR_INIT;

	if (g->instant->take(g->instant->ctx, &why) == 0)
		return;
	for (size_t i = 0; i < g->count; i++) {
		struct capture *cap = g->caps[i];

		if (!alive(cap) || !capture_snaps(cap))
			continue;
		cap->lost = why;
		cap->snaps_failed = true;
	}
}

static void stop_all(struct group *g)
{
	AUTO(meeting_free_at)
	struct meeting *m = meeting_new((unsigned)g->count);

	for (size_t i = 0; i < g->count; i++) {
		g->caps[i]->members = (unsigned)g->count;
		g->caps[i]->meeting = g->count > 1 ? m : NULL;
	}
	g->meeting = m;
	each(g, stop_one);
	g->meeting = NULL;
	for (size_t i = 0; i < g->count; i++)
		g->caps[i]->meeting = NULL;
}

/* Less than what was required? */
static void check_level(struct capture *cap)
{
	if (alive(cap) && (int)cap->result.level < cap->opt.require)
		err_set(&cap->lost, ERR_REFUSED, "only level '%s' can be had",
			capture_level_text(cap->result.level));
}

static void attempt(struct group *g)
{
	bool inside;

	stop_all(g);
	/* bases under overlays stay as they are; nobody has to wait */
	inside = any_snaps(g);
	if (!inside)
		each(g, go_one);
	if (any_alive(g))
		take_snaps(g);
	if (inside)
		each(g, go_one);
	for (size_t i = 0; i < g->count; i++) {
		struct capture *cap = g->caps[i];

		check_level(cap);
		cap->result.memory = alive(cap) ? cap->memory : NULL;
		if (alive(cap))
			capture_state_files(cap);
	}
}

/* A lone one: all that can be tried. */
static int take_alone(struct group *g, struct err *e)
{
	struct capture *cap = g->caps[0];

	for (;;) {
		struct err why;

		attempt(g);
		if (alive(cap))
			return 0;
		why = cap->lost;
		if (capture_undo(cap, &why) < 0) {
			*e = why;
			return -1;
		}
		if (capture_less(cap, &why, e) < 0)
			return -1;
		err_clear(&cap->lost);
	}
}

static int take_together(struct group *g, struct err *e)
{
	attempt(g);
	for (size_t i = 0; i < g->count; i++) {
		struct capture *cap = g->caps[i];

		if (!alive(cap))
			(void)!capture_undo(cap, &cap->lost);
	}
	if (any_alive(g))
		return 0;
	*e = g->caps[0]->lost;
	return -1;
}

int capture_take(struct capture *const *caps, size_t count,
		 const struct capture_instant *instant, struct err *e)
{
	struct group g = { .caps = caps, .count = count, .instant = instant };

	assert(count >= 1 && count <= CAPTURE_TOGETHER);
	return count == 1 ? take_alone(&g, e) : take_together(&g, e);
}
