/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/meeting.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

struct meeting {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned missing;
	bool broken;
};

struct meeting *meeting_new(unsigned count)
{
	struct meeting *m = mem_zalloc(1, sizeof(*m));
	pthread_condattr_t a;

	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&m->changed, &a);
	pthread_condattr_destroy(&a);
	m->missing = count;
	return m;
}

void meeting_free(struct meeting *m)
{
	if (!m)
		return;
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void meeting_free_at(struct meeting **m)
{
	meeting_free(*m);
}

void meeting_come(struct meeting *m)
{
	pthread_mutex_lock(&m->lock);
	assert(m->missing > 0);
	m->missing--;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

void meeting_leave(struct meeting *m)
{
	meeting_come(m);
}

void meeting_break(struct meeting *m)
{
	pthread_mutex_lock(&m->lock);
	m->broken = true;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

bool meeting_full(struct meeting *m, unsigned ms)
{
	struct timespec until;
	int late = 0;
	bool full;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&m->lock);
	while (m->missing > 0 && !m->broken && !late)
		late = pthread_cond_timedwait(&m->changed, &m->lock, &until);
	full = m->missing == 0 || m->broken;
	pthread_mutex_unlock(&m->lock);
	return full;
}
