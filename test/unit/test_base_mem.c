/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

/* The sanitizers' own malloc aborts where libc says NULL; not here. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static int freed;

static void thing_free(int *thing)
{
	freed += thing != NULL;
	free(thing);
}

DEFINE_AUTO(thing_free, int *);

static void test_nothing_is_never_null(void **state)
{
	(void)state;
	autofree char *a = mem_alloc(0);
	autofree char *b = mem_zalloc(0, 8);
	autofree char *c = mem_grow(NULL, 0, 8);
	autofree char *d = mem_dup("", 0);
	autofree char *e = mem_try(0, 0);

	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_non_null(d);
	assert_non_null(e);
}

static int *scope(bool keep)
{
	AUTO(thing_free_at) int *thing = mem_alloc(sizeof(*thing));

	return keep ? mem_take(&thing) : NULL;
}

static void test_scopes(void **state)
{
	(void)state;
	freed = 0;
	assert_null(scope(false));
	assert_int_equal(freed, 1);

	int *kept = scope(true);

	assert_non_null(kept);
	assert_int_equal(freed, 1);
	thing_free(kept);
}

static void test_copies(void **state)
{
	(void)state;
	autofree char *s = mem_strdup("abc");
	autofree char *d = mem_dup("a\0c", 4);
	autofree char *f = mem_fmt("%s %0300d", "x", 1);
	autofree char *z = mem_zalloc(10, 10);

	assert_string_equal(s, "abc");
	assert_memory_equal(d, "a\0c", 4);
	assert_int_equal(strlen(f), 302);
	for (int i = 0; i < 100; i++)
		assert_int_equal(z[i], 0);
}

static void test_pages(void **state)
{
	(void)state;
	autofree char *p = mem_try_pages(8192);

	assert_non_null(p);
	assert_int_equal((uintptr_t)p % 4096, 0);
}

/* What is checked says no; SIZE_MAX / 2 times 4 does not become small. */
static void test_too_much(void **state)
{
	volatile size_t huge = SIZE_MAX / 2;
	int status = 0;

	(void)state;
	assert_null(mem_try(huge, 4));

	pid_t pid = fork();

	if (pid == 0) {
		const struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		close(2);
		free(mem_grow(NULL, huge, 4));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_never_null),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
