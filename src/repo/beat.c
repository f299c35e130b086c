/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/beat.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#define SECOND INT64_C(1000000000)

struct beat {
	struct beat_parts parts;
	pthread_mutex_t lock; /* stop */
	pthread_cond_t change;
	bool stop;
	pthread_t thread;
};

/* True when it is time, false when it is to stop. */
static bool wait_until(struct beat *b, int64_t steady_ns)
{
	const struct timespec at = { .tv_sec = steady_ns / SECOND,
				     .tv_nsec = steady_ns % SECOND };
	int waited = 0;

	pthread_mutex_lock(&b->lock);
	while (!b->stop && waited == 0)
		waited = pthread_cond_timedwait(&b->change, &b->lock, &at);
	bool stop = b->stop;

	pthread_mutex_unlock(&b->lock);
	return !stop;
}

static void *beat_thread(void *arg)
{
	struct beat *b = arg;
	struct err e = ERR_INIT;

	while (wait_until(b, clock_steady_ns() + b->parts.every_ns)) {
		b->parts.session->beat_ns = 0; /* the time is ours to tell */
		if (session_beat(b->parts.repo, b->parts.session, &e) == 0)
			continue;
		b->parts.failed(b->parts.ctx, &e);
		return NULL;
	}
	return NULL;
}

static void beat_free(struct beat *b)
{
	pthread_cond_destroy(&b->change);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

struct beat *beat_start(const struct beat_parts *parts, struct err *e)
{
	struct beat *b = mem_zalloc(1, sizeof(*b));
	pthread_condattr_t steady;

	b->parts = *parts;
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&b->change, &steady);
	pthread_condattr_destroy(&steady);
	int sys = pthread_create(&b->thread, NULL, beat_thread, b);

	if (sys == 0)
		return b;
	err_sysno(e, sys, "cannot start a thread");
	beat_free(b);
	return NULL;
}

void beat_stop(struct beat *b)
{
	if (b == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->change);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	beat_free(b);
}
