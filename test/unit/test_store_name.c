/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"

static void test_good_names(void **state)
{
	static const char *const names[] = {
		"config", "a",          "0",     "points/0f3c", "data/7f/ab-c",
		"a..b",   "x.tmp",      "tmp2",  "_/-/9",       "a/tmp",
		"tmpx/a", "keys/owner", "a/b/c", "-",           "a.",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!store_name_ok(names[i]))
			fail_msg("'%s' is refused", names[i]);
}

static void test_bad_names(void **state)
{
	static const char *const names[] = {
		"",     "/",     "/a",   "a/",     "a//b",     ".",
		"..",   "../a",  "a/..", "a/../b", "a/./b",    ".hidden",
		"A",    "a b",   "a\n",  "a\\b",   "\xc3\xa4", "tmp",
		"tmp/", "tmp/a", "a:b",  "a*",     "a/.b",     "~",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (store_name_ok(names[i]))
			fail_msg("'%s' is allowed", names[i]);
}

static void test_long_names(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[200] = '\0';
	assert_true(store_name_ok(name));
	name[200] = 'a';
	name[201] = '\0';
	assert_false(store_name_ok(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_names),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
