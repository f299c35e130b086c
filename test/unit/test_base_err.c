/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_set(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, ERR_BUSY, "disk '%s'", "vda"), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.msg, "disk 'vda'");
	err_clear(&e);
	assert_int_equal(e.code, ERR_NONE);
	assert_string_equal(e.msg, "");
}

static void test_sys(void **state)
{
	static const struct {
		int sys;
		enum err_code code;
	} cases[] = {
		{ ENOENT, ERR_NOT_FOUND }, { EEXIST, ERR_EXISTS },
		{ ENOSPC, ERR_NO_SPACE },  { EDQUOT, ERR_NO_SPACE },
		{ EBUSY, ERR_BUSY },       { EWOULDBLOCK, ERR_BUSY },
		{ EIO, ERR_FAILED },       { EACCES, ERR_FAILED },
	};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		errno = cases[i].sys;
		assert_int_equal(err_sys(&e, "cannot %s", "x"), -1);
		assert_int_equal(e.sys, cases[i].sys);
		assert_int_equal(e.code, cases[i].code);
		assert_int_equal(err_sysno(&e, cases[i].sys, "cannot %s", "x"),
				 -1);
		assert_int_equal(e.code, cases[i].code);
	}
	err_sysno(&e, ENOSPC, "cannot write '%s'", "data/7f");
	assert_string_equal(e.msg,
			    "cannot write 'data/7f': No space left on device");
}

static void test_ctx(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_sysno(&e, ENOSPC, "cannot write");
	assert_int_equal(err_ctx(&e, "disk %s", "vda"), -1);
	assert_int_equal(err_ctx(&e, "backup '%s'", "web1"), -1);
	assert_string_equal(e.msg, "backup 'web1': disk vda: cannot write: "
				   "No space left on device");
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_int_equal(e.sys, ENOSPC);
	/* its own message as an argument */
	err_ctx(&e, "%s", e.msg);
	assert_int_equal(strncmp(e.msg, "backup 'web1': disk", 19), 0);
}

/* All lengths around the end: never over it, and never cut in silence. */
static void test_cut(void **state)
{
	(void)state;
	for (int n = 400; n < 600; n++) {
		struct err e = ERR_INIT;

		err_set(&e, ERR_FAILED, "%0*d", n, 0);
		assert_true(strlen(e.msg) < sizeof(e.msg));
		assert_int_equal(n >= (int)sizeof(e.msg),
				 strstr(e.msg, "...") != NULL);
		err_sysno(&e, EIO, "%0*d", n, 0);
		assert_true(strlen(e.msg) < sizeof(e.msg));
		assert_true(strstr(e.msg, "...") != NULL ||
			    strstr(e.msg, ": Input/output error") != NULL);
		err_ctx(&e, "%0*d", n, 0);
		assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
		assert_string_equal(e.msg + sizeof(e.msg) - 4, "...");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_sys),
		cmocka_unit_test(test_ctx),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
