/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ini.h"
#include "base/mem.h"

static void parse(const char *text, struct ini *ini)
{
	struct err e = ERR_INIT;

	if (ini_parse("test", text, ini, &e) < 0)
		fail_msg("%s", e.msg);
}

static void expect(const struct ini *ini, size_t i, const char *section,
		   const char *key, const char *value, unsigned line)
{
	assert_true(i < ini->count);
	assert_string_equal(ini->entries[i].section, section);
	assert_string_equal(ini->entries[i].key, key);
	assert_string_equal(ini->entries[i].value, value);
	assert_int_equal(ini->entries[i].line, line);
}

/* One line with one value. */
static void one_value(const char *line, const char *value)
{
	AUTO(ini_fini) struct ini ini;

	parse(line, &ini);
	assert_int_equal(ini.count, 1);
	expect(&ini, 0, "", "k", value, 1);
}

static void refuse(const char *text, const char *message)
{
	struct err e = ERR_INIT;
	struct ini ini;

	assert_int_equal(ini_parse("test", text, &ini, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_string_equal(e.msg, message);
	assert_null(ini.entries);
	assert_int_equal(ini.count, 0);
	assert_int_equal(ini.section_count, 0);
}

static void test_empty(void **state)
{
	static const char *const nothing[] = {
		"",      "\n",          "\r\n",  "  \t ",       "# c",
		"; c\n", "\t### c\n\n", "[s]\n", "\xef\xbb\xbf"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		AUTO(ini_fini) struct ini ini;

		parse(nothing[i], &ini);
		assert_int_equal(ini.count, 0);
	}
}

/* The shape of sanoid's own sample. */
static void test_sanoid(void **state)
{
	AUTO(ini_fini) struct ini ini;

	(void)state;
	parse("####################\n"
	      "# This is a sample #\n"
	      "####################\n"
	      "\n"
	      "[zpoolname/parent/child]\n"
	      "\t# pick one or more templates - they're defined below.\n"
	      "\tuse_template = production,demo\n"
	      "\n\n"
	      "[template_scripts]\n"
	      "\t### dataset name is in $SANOID_TARGET\n"
	      "\tpre_snapshot_script = /path/to/script.sh\n"
	      "\t#no_inconsistent_snapshot = yes\n"
	      "\thourly=36\n"
	      "  script_timeout =-1",
	      &ini);
	assert_int_equal(ini.count, 4);
	expect(&ini, 0, "zpoolname/parent/child", "use_template",
	       "production,demo", 7);
	expect(&ini, 1, "template_scripts", "pre_snapshot_script",
	       "/path/to/script.sh", 12);
	expect(&ini, 2, "template_scripts", "hourly", "36", 14);
	expect(&ini, 3, "template_scripts", "script_timeout", "-1", 15);
}

static void test_values(void **state)
{
	(void)state;
	one_value("k=v", "v");
	one_value("k = v w ", "v w");
	one_value("\tk\t=\tv\t", "v");
	one_value("k =", "");
	one_value("k = a=b=c", "a=b=c");
	one_value("k = [x]", "[x]");
	one_value("k = M\xc3\xbcller \xe2\x82\xac",
		  "M\xc3\xbcller \xe2\x82\xac");
	one_value("k = a\\nb\\", "a\\nb\\");
}

static void test_comments_behind_values(void **state)
{
	(void)state;
	one_value("k = v # c", "v");
	one_value("k = v\t; c", "v");
	one_value("k = v #", "v");
	one_value("k = # c", "");
	one_value("k = v#c;d", "v#c;d");
	one_value("k =#c", "#c");
	one_value("k = v # \"c\"", "v");
	one_value("k = a;b ;c", "a;b");
}

static void test_quotes(void **state)
{
	(void)state;
	one_value("k = \"v\"", "v");
	one_value("k = \" v \"", " v ");
	one_value("k = \"\"", "");
	one_value("k = \"a # b; c\"", "a # b; c");
	one_value("k = \"v\" # c", "v");
	one_value("k = \"v\" ; \"c\"", "v");
	one_value("k = \"\"v\"\"", "\"\"v\"\"");
	/* no pair around all of it: as written */
	one_value("k = \"v", "\"v");
	one_value("k = \"", "\"");
	one_value("k = \"a\" \"b\"", "\"a\" \"b\"");
	one_value("k = \"a\"b", "\"a\"b");
	one_value("k = \"a\"#b", "\"a\"#b");
	one_value("k = 'v'", "'v'");
	one_value("k = /bin/hook \"a b\"", "/bin/hook \"a b\"");
}

static void test_crlf_and_mark(void **state)
{
	AUTO(ini_fini) struct ini ini;

	(void)state;
	parse("\xef\xbb\xbf[a]\r\nk = v\r\n\r\nl = \"w\"\r\nm = x # c\r\n",
	      &ini);
	assert_int_equal(ini.count, 3);
	expect(&ini, 0, "a", "k", "v", 2);
	expect(&ini, 1, "a", "l", "w", 4);
	expect(&ini, 2, "a", "m", "x", 5);
}

static void test_sections(void **state)
{
	AUTO(ini_fini) struct ini ini;

	(void)state;
	parse("a = 0\n[ web 1 ] # c\na = 1\n[group:shop]\na = 2\na = 3\n"
	      "[web 1]\na = 4\n[#x]\na = 5\n",
	      &ini);
	assert_int_equal(ini.count, 6);
	expect(&ini, 0, "", "a", "0", 1);
	expect(&ini, 1, "web 1", "a", "1", 3);
	expect(&ini, 2, "group:shop", "a", "2", 5);
	expect(&ini, 3, "group:shop", "a", "3", 6);
	expect(&ini, 4, "web 1", "a", "4", 8);
	expect(&ini, 5, "#x", "a", "5", 10);
	assert_int_equal(ini.section_count, 4);
	assert_string_equal(ini.sections[0].name, "web 1");
	assert_int_equal(ini.sections[0].line, 2);
	assert_string_equal(ini.sections[1].name, "group:shop");
	assert_string_equal(ini.sections[2].name, "web 1");
	assert_int_equal(ini.sections[2].line, 7);
	assert_string_equal(ini.sections[3].name, "#x");
}

static void test_empty_sections(void **state)
{
	AUTO(ini_fini) struct ini ini;

	(void)state;
	parse("[a]\n\n[b]\n[c]\n[w[1]*] # [x]\n", &ini);
	assert_int_equal(ini.count, 0);
	assert_int_equal(ini.section_count, 4);
	assert_string_equal(ini.sections[3].name, "w[1]*");
	assert_string_equal(ini.sections[2].name, "c");
	assert_int_equal(ini.sections[2].line, 4);
}

static void test_long_line(void **state)
{
	enum { LONG = 1000000 };
	autofree char *text = mem_fmt("k = %0*d\nl=m", LONG, 0);
	AUTO(ini_fini) struct ini ini;

	(void)state;
	parse(text, &ini);
	assert_int_equal(ini.count, 2);
	assert_int_equal(strlen(ini.entries[0].value), LONG);
	expect(&ini, 1, "", "l", "m", 2);
}

static void test_refuses(void **state)
{
	(void)state;
	refuse("[a", "test:1: '[' without ']'");
	refuse("\n[]\n", "test:2: a section without a name");
	refuse("[ ]\n", "test:1: a section without a name");
	refuse("[a # b]\n", "test:1: '[' without ']'");
	refuse("[a] b\n", "test:1: something behind ']'");
	refuse("k = v\nword\n",
	       "test:2: neither '[section]' nor 'key = value'");
	refuse("k = v\n = v\n", "test:2: a value without a key");
	refuse("k # = v\n", "test:1: a comment before '='");
}

static void load(const void *data, size_t size, int want, const char *message)
{
	char path[] = "/tmp/vmkeep-test-XXXXXX";
	struct err e = ERR_INIT;
	struct ini ini;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);

	int r = ini_load(path, &ini, &e);

	unlink(path);
	assert_int_equal(r, want);
	if (want == 0) {
		expect(&ini, 0, "", "k", "v", 1);
	} else {
		assert_int_equal(e.code, ERR_USAGE);
		assert_int_equal(strncmp(e.msg, path, strlen(path)), 0);
		assert_string_equal(e.msg + strlen(path), message);
		assert_null(ini.entries);
	}
	ini_fini(&ini);
}

static void test_load(void **state)
{
	struct err e = ERR_INIT;
	struct ini ini = { .count = 7 };

	(void)state;
	load("k = v\n", 6, 0, NULL);
	load("k = v", 5, 0, NULL);
	load("k = v\nl = \0\n", 12, -1, ":2: a NUL byte");
	load("\0", 1, -1, ":1: a NUL byte");
	load("k = v\nx\n", 8, -1, ":2: neither '[section]' nor 'key = value'");
	assert_int_equal(ini_load("/nonexistent", &ini, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(ini.count, 0);
	assert_int_equal(ini_load("/dev/null", &ini, &e), 0);
	assert_int_equal(ini.count, 0);
	ini_fini(&ini);
	assert_int_equal(ini_load("/dev/zero", &ini, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_sanoid),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_comments_behind_values),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_crlf_and_mark),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_empty_sections),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
