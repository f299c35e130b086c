/* SPDX-License-Identifier: Apache-2.0 */

/* Threads that do one thing together. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/team.h"

struct together {
	pthread_mutex_t lock;
	pthread_cond_t change;
	unsigned seen[TEAM_MAX];
	unsigned waiting;
	unsigned stops;
	unsigned failing; /* members that fail when all others wait */
	unsigned members;
};

static void stop(void *ctx)
{
	struct together *t = ctx;

	pthread_mutex_lock(&t->lock);
	t->stops++;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
}

static int mark(void *ctx, unsigned number, struct err *e)
{
	struct together *t = ctx;

	(void)e;
	pthread_mutex_lock(&t->lock);
	t->seen[number]++;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* All but the first few wait for ever, unless they are told. */
static int wait_or_fail(void *ctx, unsigned number, struct err *e)
{
	struct together *t = ctx;

	pthread_mutex_lock(&t->lock);
	t->waiting += number >= t->failing;
	pthread_cond_broadcast(&t->change);
	while (number < t->failing && t->waiting < t->members - t->failing)
		pthread_cond_wait(&t->change, &t->lock);
	while (number >= t->failing && t->stops == 0)
		pthread_cond_wait(&t->change, &t->lock);
	pthread_mutex_unlock(&t->lock);
	if (number >= t->failing)
		return 0;
	return err_set(e, ERR_NO_SPACE, "member %u is tired", number);
}

static int run(struct together *t, int (*work)(void *, unsigned, struct err *),
	       struct err *e)
{
	const struct team team = {
		.ctx = t, .members = t->members, .work = work, .stop = stop
	};

	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->change, NULL);
	int ok = team_run(&team, e);

	pthread_cond_destroy(&t->change);
	pthread_mutex_destroy(&t->lock);
	return ok;
}

static void each_works_once(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned n = 1; n <= TEAM_MAX; n++) {
		struct together t = { .members = n };

		assert_int_equal(run(&t, mark, &e), 0);
		for (unsigned i = 0; i < TEAM_MAX; i++)
			assert_int_equal(t.seen[i], i < n);
		assert_int_equal(t.stops, 0);
	}
}

static void a_failure_wakes_the_others(void **state)
{
	struct together t = { .members = 8, .failing = 1 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(run(&t, wait_or_fail, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_string_equal(e.msg, "member 0 is tired");
	assert_int_equal(t.stops, 1);
}

static void only_the_first_failure_counts(void **state)
{
	struct together t = { .members = 9, .failing = 5 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(run(&t, wait_or_fail, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_int_equal(t.stops, 1);
}

static void a_size_is_within_bounds(void **state)
{
	(void)state;
	assert_in_range(team_size(0), 1, TEAM_MAX);
	assert_in_range(team_size(2), 3, TEAM_MAX);
	assert_int_equal(team_size(1000), TEAM_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_works_once),
		cmocka_unit_test(a_failure_wakes_the_others),
		cmocka_unit_test(only_the_first_failure_counts),
		cmocka_unit_test(a_size_is_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
