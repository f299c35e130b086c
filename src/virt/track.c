/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/track.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "virt/conn_internal.h"

struct track_job_seen {
	char *target;
	int status;
};

struct track {
	pthread_mutex_t lock;
	pthread_cond_t happened;
	struct conn_listener *life;
	struct conn_listener *jobs;
	struct track_seen seen;
	int64_t since_ns;   /* steady clock of the suspension under way */
	unsigned long news; /* counts events */
	struct track_job_seen *job;
	size_t job_count;
};

static void paused(struct track *t)
{
	if (t->seen.paused_now)
		return;
	t->seen.paused_now = true;
	t->since_ns = clock_steady_ns();
	if (!t->seen.first_ns)
		t->seen.first_ns = clock_wall_ns();
}

static void going(struct track *t)
{
	t->seen.resumed++;
	if (!t->seen.paused_now)
		return;
	t->seen.paused_now = false;
	t->seen.paused_ns += (uint64_t)(clock_steady_ns() - t->since_ns);
}

static void lifecycle(struct track *t, int event, int detail)
{
	switch (event) {
	case VIR_DOMAIN_EVENT_SUSPENDED:
		paused(t);
		if (detail == VIR_DOMAIN_EVENT_SUSPENDED_IOERROR)
			t->seen.io_error = true;
		break;
	case VIR_DOMAIN_EVENT_RESUMED:
		going(t);
		break;
	case VIR_DOMAIN_EVENT_STARTED:
		t->seen.started = true;
		break;
	case VIR_DOMAIN_EVENT_STOPPED:
		t->seen.stopped = true;
		if (detail == VIR_DOMAIN_EVENT_STOPPED_MIGRATED)
			t->seen.migrated = true;
		break;
	case VIR_DOMAIN_EVENT_UNDEFINED:
		t->seen.undefined = true;
		break;
	default:
		break;
	}
}

static void announce(struct track *t)
{
	t->news++;
	pthread_cond_broadcast(&t->happened);
}

static int on_life(virConnectPtr c, virDomainPtr d, int event, int detail,
		   void *opaque)
{
	struct track *t = conn_listener_opaque(opaque);

	(void)c;
	(void)d;
	pthread_mutex_lock(&t->lock);
	lifecycle(t, event, detail);
	announce(t);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* Called with the lock held. */
static struct track_job_seen *job_of(struct track *t, const char *target)
{
	for (size_t i = 0; i < t->job_count; i++) {
		if (strcmp(t->job[i].target, target) == 0)
			return &t->job[i];
	}
	t->job = mem_grow(t->job, t->job_count + 1, sizeof(*t->job));
	t->job[t->job_count] = (struct track_job_seen){
		.target = mem_strdup(target),
		.status = -1,
	};
	return &t->job[t->job_count++];
}

static void on_job(virConnectPtr c, virDomainPtr d, const char *target,
		   int type, int status, void *opaque)
{
	struct track *t = conn_listener_opaque(opaque);

	(void)c;
	(void)d;
	(void)type;
	pthread_mutex_lock(&t->lock);
	job_of(t, target)->status = status;
	announce(t);
	pthread_mutex_unlock(&t->lock);
}

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &a);
	pthread_condattr_destroy(&a);
}

static int listen(struct track *t, struct conn *c, const char *uuid,
		  struct err *e)
{
	const struct conn_listen life = {
		.uuid = uuid,
		.event = VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		.call = VIR_DOMAIN_EVENT_CALLBACK(on_life),
		.opaque = t,
	};
	const struct conn_listen jobs = {
		.uuid = uuid,
		.event = VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
		.call = VIR_DOMAIN_EVENT_CALLBACK(on_job),
		.opaque = t,
	};

	t->life = conn_listen(c, &life, e);
	if (!t->life)
		return -1;
	t->jobs = conn_listen(c, &jobs, e);
	return t->jobs ? 0 : -1;
}

struct track *track_open(struct conn *c, const char *uuid, struct err *e)
{
	struct track *t = mem_zalloc(1, sizeof(*t));

	pthread_mutex_init(&t->lock, NULL);
	cond_init(&t->happened);
	if (conn_ensure(c, CONN_WAIT_MS, e) < 0 || listen(t, c, uuid, e) < 0) {
		track_close(t);
		return NULL;
	}
	return t;
}

void track_close(struct track *t)
{
	if (!t)
		return;
	conn_unlisten(t->life);
	conn_unlisten(t->jobs);
	for (size_t i = 0; i < t->job_count; i++)
		free(t->job[i].target);
	free(t->job);
	pthread_cond_destroy(&t->happened);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void track_close_at(struct track **t)
{
	track_close(*t);
}

void track_seen(struct track *t, struct track_seen *out)
{
	pthread_mutex_lock(&t->lock);
	*out = t->seen;
	if (t->seen.paused_now)
		out->paused_ns += (uint64_t)(clock_steady_ns() - t->since_ns);
	pthread_mutex_unlock(&t->lock);
}

void track_reset(struct track *t)
{
	pthread_mutex_lock(&t->lock);
	t->seen = (struct track_seen){ .paused_now = false };
	pthread_mutex_unlock(&t->lock);
}

int track_job(struct track *t, const char *target)
{
	int status;

	pthread_mutex_lock(&t->lock);
	status = job_of(t, target)->status;
	pthread_mutex_unlock(&t->lock);
	return status;
}

void track_job_forget(struct track *t, const char *target)
{
	pthread_mutex_lock(&t->lock);
	job_of(t, target)->status = -1;
	pthread_mutex_unlock(&t->lock);
}

void track_wait(struct track *t, unsigned ms)
{
	struct timespec until;
	unsigned long before;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&t->lock);
	before = t->news;
	while (t->news == before) {
		if (pthread_cond_timedwait(&t->happened, &t->lock, &until) ==
		    ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&t->lock);
}
