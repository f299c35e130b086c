/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "base/team.h"
#include "virt/meeting.h"

static void one(void **state)
{
	struct meeting *m = meeting_new(1);

	(void)state;
	assert_false(meeting_full(m, 0));
	meeting_come(m);
	assert_true(meeting_full(m, 0));
	assert_true(meeting_full(m, 1000));
	meeting_free(m);
	meeting_free(NULL);
}

static void waits_for_all(void **state)
{
	struct meeting *m = meeting_new(3);

	(void)state;
	meeting_come(m);
	meeting_come(m);
	assert_false(meeting_full(m, 1));
	meeting_come(m);
	assert_true(meeting_full(m, 0));
	meeting_free(m);
}

static void some_leave(void **state)
{
	struct meeting *m = meeting_new(3);

	(void)state;
	meeting_come(m);
	meeting_leave(m);
	assert_false(meeting_full(m, 0));
	meeting_leave(m);
	assert_true(meeting_full(m, 0));
	meeting_free(m);
}

static void broken(void **state)
{
	struct meeting *m = meeting_new(2);

	(void)state;
	meeting_break(m);
	assert_true(meeting_full(m, 1000));
	meeting_come(m);
	assert_true(meeting_full(m, 0));
	meeting_free(m);
}

#define THREADS 8

struct party {
	struct meeting *m;
	atomic_uint came;
};

static int guest(void *ctx, unsigned number, struct err *e)
{
	struct party *p = ctx;

	(void)e;
	atomic_fetch_add(&p->came, 1);
	if (number == 0)
		meeting_leave(p->m);
	else
		meeting_come(p->m);
	while (!meeting_full(p->m, 1000))
		continue;
	/* nobody is let on before the last one was there */
	return atomic_load(&p->came) == THREADS ? 0 : -1;
}

static void no_stop(void *ctx)
{
	(void)ctx;
}

static void threads(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct party p = { .m = meeting_new(THREADS) };
		const struct team t = { .ctx = &p,
					.members = THREADS,
					.work = guest,
					.stop = no_stop };

		assert_int_equal(team_run(&t, &e), 0);
		meeting_free(p.m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one),        cmocka_unit_test(waits_for_all),
		cmocka_unit_test(some_leave), cmocka_unit_test(broken),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
