/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suicide that tests of crashes ask for.  In other builds there is none,
 * which is said by hand: cmocka 1.1 reports what is skipped as "not ok".
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/journal.h"
#include "base/mem.h"

#ifdef VMKEEP_TEST_KILL
static int enter(void **state)
{
	char *dir = mem_strdup("/tmp/vmkeep-test-XXXXXX");

	*state = dir;
	return mkdtemp(dir) == NULL || chdir(dir) < 0;
}

static int leave(void **state)
{
	char *cmd = mem_fmt("rm -rf '%s'", (char *)*state);
	int r = chdir("/") < 0 || system(cmd) != 0;

	free(cmd);
	free(*state);
	return r;
}

/* How many records there are, or -1 for damage. */
static int count_records(void)
{
	struct journal_record *records;
	struct err e = ERR_INIT;
	size_t count;

	if (journal_read("j", &records, &count, &e) < 0) {
		assert_int_equal(e.code, ERR_INTEGRITY);
		return -1;
	}
	journal_records_free(records, count);
	return (int)count;
}

/* Write up to ten records in a child that is told when to die. */
static int die(const char *when)
{
	struct err e = ERR_INIT;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		setenv("VMKEEP_TEST_KILL", when, 1);

		struct journal *j = journal_new("j", &e);

		for (int i = 0; i < 10; i++)
			journal_write(j, "step", NULL, &e);
		/* some time later, that is: not at once */
		unlink("late");
		if (strchr(when, ':') != NULL) {
			close(creat("late", 0600));
			pause();
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void test_kill(void **state)
{
	(void)state;
	assert_int_equal(die("3"), SIGKILL);
	assert_int_equal(count_records(), 3);
	unlink("j");
	assert_int_equal(die("10:2000"), SIGKILL);
	assert_int_equal(count_records(), 10);
	assert_int_equal(access("late", F_OK), 0);
	unlink("j");
	assert_int_equal(die("11"), 0);
	unlink("j");
	assert_int_equal(die("other"), 0);
	unlink("j");
	assert_int_equal(die("step"), SIGKILL);
	assert_int_equal(count_records(), 1);
	unlink("j");
	assert_int_equal(die("step:2000"), SIGKILL);
	assert_int_equal(access("late", F_OK), 0);
}
#define TEST(t) cmocka_unit_test_setup_teardown(t, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
	puts("1..0 # SKIP needs a build with -Dtest_kill=true");
	return 0;
}
#endif
