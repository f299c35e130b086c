/* SPDX-License-Identifier: Apache-2.0 */
#include "base/team.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/num.h"

struct running {
	const struct team *team;
	pthread_mutex_t lock; /* all below */
	bool failed;
	struct err err;
};

struct member {
	struct running *r;
	unsigned number;
	pthread_t thread;
};

static void fail(struct running *r, const struct err *e)
{
	pthread_mutex_lock(&r->lock);
	bool first = !r->failed;

	if (first)
		r->err = *e;
	r->failed = true;
	pthread_mutex_unlock(&r->lock);
	if (first)
		r->team->stop(r->team->ctx);
}

static void *member_main(void *arg)
{
	const struct member *m = arg;
	const struct team *t = m->r->team;
	struct err e = ERR_INIT;

	if (t->work(t->ctx, m->number, &e) < 0)
		fail(m->r, &e);
	return NULL;
}

/* One that cannot be started fails the whole. */
static unsigned start(struct running *r, struct member *members)
{
	unsigned n = 0;

	for (; n < r->team->members; n++) {
		struct member *m = &members[n];
		struct err e = ERR_INIT;

		*m = (struct member){ .r = r, .number = n };
		int sys = pthread_create(&m->thread, NULL, member_main, m);

		if (sys != 0) {
			err_sysno(&e, sys, "cannot start a thread");
			fail(r, &e);
			break;
		}
	}
	return n;
}

int team_run(const struct team *t, struct err *e)
{
	struct running r = { .team = t, .err = ERR_INIT };
	struct member members[TEAM_MAX];

	assert(t->members >= 1 && t->members <= TEAM_MAX);
	pthread_mutex_init(&r.lock, NULL);
	unsigned n = start(&r, members);

	for (unsigned i = 0; i < n; i++)
		pthread_join(members[i].thread, NULL);
	pthread_mutex_destroy(&r.lock);
	if (r.failed)
		*e = r.err;
	return r.failed ? -1 : 0;
}

unsigned team_size(unsigned extra)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned)num_min((n > 0 ? (uint64_t)n : 1) + extra, TEAM_MAX);
}
