/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/catalog.h"

static struct catalog c;

static void add(const char *name, const char *time, const char *id)
{
	int64_t until;

	c.sets = mem_grow(c.sets, c.count + 1, sizeof(*c.sets));
	struct set *s = &c.sets[c.count++];

	memset(s, 0, sizeof(*s));
	struct point *p = set_add_point(s);

	p->name = mem_strdup(name);
	assert_true(clock_parse(time, &p->time_ns, &until));
	assert_true(hex_decode(id, p->id.b, ID_SIZE));
}

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	add("web1", "2026-11-20T16:30:05", "aaaa1111000000000000000000000000");
	add("web1", "2026-11-20T16:45:00", "aaaa2222000000000000000000000000");
	add("web1", "2026-11-21T09:00:00", "bbbb0000000000000000000000000000");
	add("a@b", "2026-11-21T10:00:00", "cccc0000000000000000000000000000");
	add("dir/web 1", "2026-11-22T10:00:00",
	    "dddd0000000000000000000000000000");
	add("we", "2026-11-22T10:00:00", "eeee0000000000000000000000000000");
	add("feed", "2026-11-22T10:00:00", "ffff0000000000000000000000000000");
	add("x@2026", "2026-11-23T10:00:00",
	    "feed0000000000000000000000000000");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	catalog_fini(&c);
	return 0;
}

static void finds(const char *text, const char *id)
{
	struct catalog_hit hit = { NULL, NULL };
	struct err e = ERR_INIT;
	char hex[ID_TEXT];

	if (catalog_find(&c, text, &hit, &e) < 0)
		fail_msg("'%s': %s", text, e.msg);
	hex_encode(hit.point->id.b, ID_SIZE, hex);
	hex[strlen(id)] = '\0';
	assert_string_equal(hex, id);
	assert_ptr_equal(hit.set->points, hit.point);
}

static void fails(const char *text, enum err_code code, const char *words)
{
	struct catalog_hit hit = { NULL, NULL };
	struct err e = ERR_INIT;

	if (catalog_find(&c, text, &hit, &e) == 0)
		fail_msg("'%s' is found", text);
	assert_int_equal(e.code, code);
	assert_null(hit.point);
	if (strstr(e.msg, words) == NULL)
		fail_msg("'%s': '%s' does not say '%s'", text, e.msg, words);
}

static void test_latest(void **state)
{
	(void)state;
	finds("web1@latest", "bbbb");
	finds("web1", "bbbb");
	finds("we", "eeee");
	finds("we@latest", "eeee");
}

static void test_time(void **state)
{
	(void)state;
	finds("web1@2026-11-20T16:30:05", "aaaa1111");
	finds("web1@2026-11-20T16:30", "aaaa1111");
	finds("web1@2026-11-20T16", "aaaa2222");
	finds("web1@2026-11-20", "aaaa2222");
	finds("web1@2026", "bbbb");
	finds("web1@2026-11-20T17:30+01:00", "aaaa1111");
	fails("web1@2026-11-20T16:31", ERR_NOT_FOUND, "'web1' has 3");
	fails("web1@2025", ERR_NOT_FOUND, "2026-11-21T09:00:00");
}

static void test_odd_names(void **state)
{
	(void)state;
	finds("a@b", "cccc");
	finds("a@b@latest", "cccc");
	finds("a@b@2026-11-21", "cccc");
	finds("dir/web 1@latest", "dddd");
	finds("x@2026", "feed");
	finds("x@2026@2026", "feed");
	fails("x@latest", ERR_NOT_FOUND, "vmkeep points");
}

static void test_prefix(void **state)
{
	(void)state;
	finds("aaaa1", "aaaa1111");
	finds("bbbb", "bbbb");
	finds("cccc0000000000000000000000000000", "cccc");
	/* a name wins over an id */
	finds("feed", "ffff");
	finds("feed0", "feed");
	fails("aaaa", ERR_USAGE, "2 points");
	fails("bbb", ERR_NOT_FOUND, "vmkeep points");
	fails("bbbb1", ERR_NOT_FOUND, "vmkeep points");
	fails("bbbb00000000000000000000000000000", ERR_NOT_FOUND, "points");
}

static void test_not_found(void **state)
{
	(void)state;
	fails("", ERR_NOT_FOUND, "no point ''");
	fails("@", ERR_NOT_FOUND, "no point '@'");
	fails("@latest", ERR_NOT_FOUND, "no point '@latest'");
	fails("web2@latest", ERR_NOT_FOUND, "vmkeep points");
	fails("web1@yesterday-ish", ERR_NOT_FOUND, "'web1' has 3");
	fails("WEB1", ERR_NOT_FOUND, "vmkeep points");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latest),    cmocka_unit_test(test_time),
		cmocka_unit_test(test_odd_names), cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_not_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
