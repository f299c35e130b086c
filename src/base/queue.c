/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;  /* something came in, or the end */
	pthread_cond_t emptied; /* something went out, or the end */
	bool closed;
	bool stopped;
	size_t max;
	size_t first; /* index of the oldest */
	size_t count;
	void *things[];
};

struct queue *queue_new(size_t max)
{
	struct queue *q;

	assert(max > 0 && max < SIZE_MAX / sizeof(void *) / 2);
	q = mem_zalloc(1, sizeof(*q) + max * sizeof(q->things[0]));
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	pthread_cond_init(&q->emptied, NULL);
	q->max = max;
	return q;
}

void queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	pthread_cond_destroy(&q->emptied);
	pthread_cond_destroy(&q->filled);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* Take the oldest out, with the lock held and something inside. */
static void *take(struct queue *q)
{
	void *thing = q->things[q->first];

	q->first = (q->first + 1) % q->max;
	q->count--;
	pthread_cond_signal(&q->emptied);
	return thing;
}

int queue_push(struct queue *q, void *thing)
{
	int r = -1;

	pthread_mutex_lock(&q->lock);
	while (q->count == q->max && !q->closed && !q->stopped)
		pthread_cond_wait(&q->emptied, &q->lock);
	if (!q->closed && !q->stopped) {
		q->things[(q->first + q->count) % q->max] = thing;
		q->count++;
		pthread_cond_signal(&q->filled);
		r = 0;
	}
	pthread_mutex_unlock(&q->lock);
	return r;
}

static int pop(struct queue *q, void **thing, bool wait)
{
	int r = 0;

	pthread_mutex_lock(&q->lock);
	while (wait && q->count == 0 && !q->closed && !q->stopped)
		pthread_cond_wait(&q->filled, &q->lock);
	if (q->stopped) {
		r = -1;
	} else if (q->count > 0) {
		*thing = take(q);
		r = 1;
	}
	pthread_mutex_unlock(&q->lock);
	return r;
}

int queue_pop(struct queue *q, void **thing)
{
	return pop(q, thing, true);
}

int queue_try_pop(struct queue *q, void **thing)
{
	return pop(q, thing, false);
}

void *queue_drain(struct queue *q)
{
	void *thing = NULL;

	pthread_mutex_lock(&q->lock);
	if (q->count > 0)
		thing = take(q);
	pthread_mutex_unlock(&q->lock);
	return thing;
}

static void end(struct queue *q, bool *how)
{
	pthread_mutex_lock(&q->lock);
	*how = true;
	pthread_cond_broadcast(&q->filled);
	pthread_cond_broadcast(&q->emptied);
	pthread_mutex_unlock(&q->lock);
}

void queue_close(struct queue *q)
{
	end(q, &q->closed);
}

void queue_stop(struct queue *q)
{
	end(q, &q->stopped);
}
