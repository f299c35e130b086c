/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_QUEUE_H
#define VMKEEP_BASE_QUEUE_H

/*
 * A bounded queue of pointers between threads.  Pushing gives the thing away.
 * A pool of free things is a queue too.
 *
 * A queue ends in one of two ways: queue_close(): what is in it is still
 * handed out, then pops return 0; queue_stop(): everybody waiting is woken at
 * once and everything fails, for when another stage has failed.
 */

#include <stddef.h>

struct queue;

/* A queue for at most max things. */
struct queue *queue_new(size_t max);

/* NULL is fine.  What is still inside is the caller's (drain it before). */
void queue_free(struct queue *q);

/* Wait for room, put it in.  0, or -1 when the queue was closed or stopped;
 * then the thing is still the caller's. */
int queue_push(struct queue *q, void *thing);

/* Wait for a thing: 1 and *thing, or 0 when closed and empty, -1 stopped. */
int queue_pop(struct queue *q, void **thing);

/* The same without waiting; 0 also when there is nothing now. */
int queue_try_pop(struct queue *q, void **thing);

/* Take out what is left, closed or stopped or not: the thing or NULL. */
void *queue_drain(struct queue *q);

void queue_close(struct queue *q);
void queue_stop(struct queue *q);

#endif
