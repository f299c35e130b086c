/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/queue.h"

static void test_free_null(void **state)
{
	(void)state;
	queue_free(NULL);
}

static void test_order(void **state)
{
	struct queue *q = queue_new(3);
	int things[5];
	void *got;

	(void)state;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(queue_push(q, &things[i]), 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(queue_pop(q, &got), 1);
			assert_ptr_equal(got, &things[i]);
		}
		assert_int_equal(queue_try_pop(q, &got), 1);
		assert_ptr_equal(got, &things[2]);
		assert_int_equal(queue_try_pop(q, &got), 0);
	}
	queue_free(q);
}

static void test_close_hands_out_the_rest(void **state)
{
	struct queue *q = queue_new(2);
	int thing;
	void *got = NULL;

	(void)state;
	assert_int_equal(queue_push(q, &thing), 0);
	queue_close(q);
	assert_int_equal(queue_push(q, &thing), -1);
	assert_int_equal(queue_pop(q, &got), 1);
	assert_ptr_equal(got, &thing);
	assert_int_equal(queue_pop(q, &got), 0);
	assert_int_equal(queue_try_pop(q, &got), 0);
	queue_free(q);
}

static void test_stop_fails_all(void **state)
{
	struct queue *q = queue_new(2);
	int thing;
	void *got = &got;

	(void)state;
	assert_int_equal(queue_push(q, &thing), 0);
	queue_stop(q);
	assert_int_equal(queue_push(q, &thing), -1);
	assert_int_equal(queue_pop(q, &got), -1);
	assert_int_equal(queue_try_pop(q, &got), -1);
	assert_ptr_equal(got, &got);
	queue_close(q);
	assert_int_equal(queue_pop(q, &got), -1);
	assert_ptr_equal(queue_drain(q), &thing);
	assert_null(queue_drain(q));
	queue_free(q);
}

static void *push_until_end(void *arg)
{
	struct queue *q = arg;
	static const int thing;
	uintptr_t n = 0;

	while (queue_push(q, (void *)(uintptr_t)&thing) == 0)
		n++;
	return (void *)n;
}

static void *pop_until_end(void *arg)
{
	struct queue *q = arg;
	void *got;
	uintptr_t n = 0;

	while (queue_pop(q, &got) == 1)
		n++;
	return (void *)n;
}

static void test_full_pusher_wakes(void **state)
{
	(void)state;
	for (int how = 0; how < 2; how++) {
		struct queue *q = queue_new(1);
		pthread_t t[2];
		void *n[2];

		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, push_until_end, q);
		usleep(20000);
		if (how == 0)
			queue_close(q);
		else
			queue_stop(q);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], &n[i]);
		assert_int_equal((uintptr_t)n[0] + (uintptr_t)n[1], 1);
		assert_non_null(queue_drain(q));
		queue_free(q);
	}
}

static void test_empty_popper_wakes(void **state)
{
	(void)state;
	for (int how = 0; how < 2; how++) {
		struct queue *q = queue_new(1);
		pthread_t t[2];
		void *n;

		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, pop_until_end, q);
		usleep(20000);
		if (how == 0)
			queue_close(q);
		else
			queue_stop(q);
		for (int i = 0; i < 2; i++) {
			pthread_join(t[i], &n);
			assert_int_equal((uintptr_t)n, 0);
		}
		queue_free(q);
	}
}

enum { MANY = 20000, SIDE = 3 };

struct many {
	struct queue *q;
	uint8_t seen[SIDE * MANY];
	unsigned from;
};

static void *push_many(void *arg)
{
	struct many *m = arg;
	unsigned from = __atomic_fetch_add(&m->from, MANY, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < MANY; i++)
		if (queue_push(m->q, &m->seen[from + i]) < 0)
			return NULL;
	return m;
}

static void *pop_many(void *arg)
{
	struct many *m = arg;
	void *got;

	/* without a lock: whoever has a thing owns it */
	while (queue_pop(m->q, &got) == 1)
		++*(uint8_t *)got;
	return m;
}

static void test_many_threads_each_thing_once(void **state)
{
	static struct many m;
	pthread_t push[SIDE];
	pthread_t pop[SIDE];
	void *r;

	(void)state;
	m.q = queue_new(7);
	for (int i = 0; i < SIDE; i++) {
		pthread_create(&pop[i], NULL, pop_many, &m);
		pthread_create(&push[i], NULL, push_many, &m);
	}
	for (int i = 0; i < SIDE; i++) {
		pthread_join(push[i], &r);
		assert_non_null(r);
	}
	queue_close(m.q);
	for (int i = 0; i < SIDE; i++)
		pthread_join(pop[i], &r);
	for (int i = 0; i < SIDE * MANY; i++)
		assert_int_equal(m.seen[i], 1);
	queue_free(m.q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_free_null),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_close_hands_out_the_rest),
		cmocka_unit_test(test_stop_fails_all),
		cmocka_unit_test(test_full_pusher_wakes),
		cmocka_unit_test(test_empty_popper_wakes),
		cmocka_unit_test(test_many_threads_each_thing_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
