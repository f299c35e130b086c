/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/opt.h"

enum { AUTOMATIC, SNAPSHOT, OVERLAY };

struct settings {
	bool force;
	int memory;
	uint64_t limit;
	uint64_t jobs;
	uint64_t timeout;
	char *target;
	struct opt_list disks;
	struct opt_list macs;
	int capture;
};

static const char *const captures[] = { "auto", "snapshot", "overlay", NULL };

static const struct opt table[] = {
	{ .name = "force",
	  .letter = 'f',
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct settings, force),
	  .env = "VMKEEP_TEST_FORCE" },
	{ .name = "memory",
	  .letter = 'm',
	  .kind = OPT_TRISTATE,
	  .offset = offsetof(struct settings, memory) },
	{ .name = "limit",
	  .letter = 'l',
	  .kind = OPT_SIZE,
	  .offset = offsetof(struct settings, limit),
	  .value = "SIZE",
	  .env = "VMKEEP_TEST_LIMIT" },
	{ .name = "jobs",
	  .letter = 'j',
	  .kind = OPT_NUMBER,
	  .offset = offsetof(struct settings, jobs) },
	{ .name = "timeout",
	  .kind = OPT_DURATION,
	  .offset = offsetof(struct settings, timeout) },
	{ .name = "target",
	  .letter = 't',
	  .kind = OPT_STRING,
	  .offset = offsetof(struct settings, target),
	  .value = "DIR",
	  .env = "VMKEEP_TEST_TARGET" },
	{ .name = "disks",
	  .letter = 'd',
	  .kind = OPT_LIST,
	  .offset = offsetof(struct settings, disks) },
	{ .name = "mac",
	  .kind = OPT_PAIRS,
	  .offset = offsetof(struct settings, macs) },
	{ .name = "capture",
	  .kind = OPT_CHOICE,
	  .offset = offsetof(struct settings, capture),
	  .choices = captures },
	{ .name = NULL },
};

struct common {
	char *repository;
	bool no_color;
	bool quiet;
};

static const struct opt common_table[] = {
	{ .name = "repository",
	  .letter = 'r',
	  .kind = OPT_STRING,
	  .offset = offsetof(struct common, repository),
	  .value = "URL" },
	{ .name = "no-color",
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct common, no_color) },
	{ .name = "quiet",
	  .letter = 'q',
	  .kind = OPT_FLAG,
	  .offset = offsetof(struct common, quiet) },
	{ .name = NULL },
};

struct both {
	struct settings s;
	struct common c;
	struct err e;
	char **rest;
	size_t count;
};

static int setup(void **state)
{
	struct both *b = mem_zalloc(1, sizeof(*b));

	b->s.memory = -1;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct both *b = *state;

	opt_fini(table, &b->s);
	opt_fini(common_table, &b->c);
	free(b->rest);
	free(b);
	return 0;
}

/* Split line at blanks and parse; '~' stands for an empty argument. */
static int parse(struct both *b, const char *line)
{
	static char words[20][64];
	char *argv[21];
	size_t n = 0;

	while (*line != '\0') {
		size_t len = strcspn(line, " ");

		memcpy(words[n], line, len);
		words[n][len] = '\0';
		if (strcmp(words[n], "~") == 0)
			words[n][0] = '\0';
		argv[n] = words[n];
		n++;
		line += len + (line[len] == ' ');
	}
	argv[n] = NULL;
	free(b->rest);
	b->rest = NULL;
	b->count = 77;

	const struct opt_group groups[] = { { table, &b->s },
					    { common_table, &b->c } };

	return opt_parse(groups, 2, argv, &b->rest, &b->count, &b->e);
}

static void parse_ok(struct both *b, const char *line)
{
	if (parse(b, line) < 0)
		fail_msg("'%s': %s", line, b->e.msg);
}

static void refuse(struct both *b, const char *line, const char *message)
{
	assert_int_equal(parse(b, line), -1);
	assert_int_equal(b->e.code, ERR_USAGE);
	assert_string_equal(b->e.msg, message);
	assert_null(b->rest);
	assert_int_equal(b->count, 77);
}

static void test_nothing(void **state)
{
	struct both *b = *state;

	parse_ok(b, "");
	assert_int_equal(b->count, 0);
	assert_null(b->rest[0]);
	assert_int_equal(b->s.memory, -1);
}

static void test_long(void **state)
{
	struct both *b = *state;

	parse_ok(b, "--force --memory --limit 2G --jobs=4 --timeout 5m "
		    "--target=/a=b --capture overlay");
	assert_true(b->s.force);
	assert_int_equal(b->s.memory, 1);
	assert_int_equal(b->s.limit, UINT64_C(2) << 30);
	assert_int_equal(b->s.jobs, 4);
	assert_int_equal(b->s.timeout, 300000);
	assert_string_equal(b->s.target, "/a=b");
	assert_int_equal(b->s.capture, OVERLAY);
	parse_ok(b, "--no-force --no-memory --target= --capture=auto");
	assert_false(b->s.force);
	assert_int_equal(b->s.memory, 0);
	assert_string_equal(b->s.target, "");
	assert_int_equal(b->s.capture, AUTOMATIC);
}

static void test_letters(void **state)
{
	struct both *b = *state;

	parse_ok(b, "-fm -j4 -t /x -qrfile:///y");
	assert_true(b->s.force);
	assert_int_equal(b->s.memory, 1);
	assert_int_equal(b->s.jobs, 4);
	assert_string_equal(b->s.target, "/x");
	assert_true(b->c.quiet);
	assert_string_equal(b->c.repository, "file:///y");
}

static void test_rest(void **state)
{
	struct both *b = *state;

	parse_ok(b, "web1 -f db1 - ~ -- --jobs -- x");
	assert_int_equal(b->count, 7);
	assert_string_equal(b->rest[0], "web1");
	assert_string_equal(b->rest[1], "db1");
	assert_string_equal(b->rest[2], "-");
	assert_string_equal(b->rest[3], "");
	assert_string_equal(b->rest[4], "--jobs");
	assert_string_equal(b->rest[5], "--");
	assert_string_equal(b->rest[6], "x");
	assert_null(b->rest[7]);
}

static void test_values_that_look_like_options(void **state)
{
	struct both *b = *state;

	parse_ok(b, "--target --force -r -q");
	assert_string_equal(b->s.target, "--force");
	assert_string_equal(b->c.repository, "-q");
	assert_false(b->s.force);
	assert_false(b->c.quiet);
}

static void test_names_that_start_with_no(void **state)
{
	struct both *b = *state;

	parse_ok(b, "--no-color");
	assert_true(b->c.no_color);
	parse_ok(b, "--no-no-color");
	assert_false(b->c.no_color);
	refuse(b, "--no-target",
	       "unknown option '--no-target', did you mean '--target'?");
}

static void test_lists(void **state)
{
	struct both *b = *state;

	parse_ok(b, "--disks vda,vdb -dvdc --disks=,,vdd, --disks ~ "
		    "--mac vnet0=52:54:00 --mac a=");
	assert_int_equal(b->s.disks.count, 4);
	assert_string_equal(b->s.disks.items[0], "vda");
	assert_string_equal(b->s.disks.items[2], "vdc");
	assert_string_equal(b->s.disks.items[3], "vdd");
	assert_int_equal(b->s.macs.count, 2);
	assert_string_equal(b->s.macs.items[0], "vnet0=52:54:00");
	assert_string_equal(b->s.macs.items[1], "a=");

	const struct opt *o = opt_find(table, "disks");

	opt_clear(o, &b->s);
	assert_int_equal(b->s.disks.count, 0);
	assert_int_equal(opt_set(o, &b->s, "  a b ,\tc\t, ", &b->e), 0);
	assert_int_equal(b->s.disks.count, 2);
	assert_string_equal(b->s.disks.items[0], "a b");
	assert_string_equal(b->s.disks.items[1], "c");
}

static void test_refuses_values(void **state)
{
	struct both *b = *state;

	refuse(b, "--limit x",
	       "option '--limit': 'x' is not a size such as 512M or 2G");
	refuse(b, "-l x",
	       "option '--limit': 'x' is not a size such as 512M or 2G");
	refuse(b, "--jobs -1", "option '--jobs': '-1' is not a number");
	refuse(b, "--timeout 5x",
	       "option '--timeout': '5x' is not a duration such as 500ms, "
	       "30s, 10m, 2h or 1d");
	refuse(b, "--capture cbt",
	       "option '--capture': 'cbt' is none of: auto, snapshot, "
	       "overlay");
	refuse(b, "--mac =x", "option '--mac': '=x' is not KEY=VALUE");
	refuse(b, "--mac x", "option '--mac': 'x' is not KEY=VALUE");
	refuse(b, "--force=yes", "option '--force' takes no value");
	refuse(b, "--no-memory=", "option '--no-memory' takes no value");
	refuse(b, "web1 --target", "option '--target' needs a value: DIR");
	refuse(b, "-ft", "option '--target' needs a value: DIR");
	refuse(b, "--jobs", "option '--jobs' needs a value: VALUE");
}

static void test_refuses_unknown(void **state)
{
	struct both *b = *state;

	refuse(b, "--memroy",
	       "unknown option '--memroy', did you mean '--memory'?");
	refuse(b, "--repo=x",
	       "unknown option '--repo', did you mean '--repository'?");
	refuse(b, "--quite",
	       "unknown option '--quite', did you mean '--quiet'?");
	refuse(b, "--disk vda",
	       "unknown option '--disk', did you mean '--disks'?");
	refuse(b, "--xyzzy", "unknown option '--xyzzy'");
	refuse(b, "---", "unknown option '---'");
	refuse(b, "--=", "unknown option '--'");
	refuse(b, "-fz", "unknown option '-z'");
}

static void test_set_flags(void **state)
{
	static const char *const yes[] = { "yes", "Yes", "TRUE", "on", "1" };
	static const char *const no[] = { "no", "NO", "False", "off", "0" };
	struct both *b = *state;
	const struct opt *force = opt_find(table, "force");
	const struct opt *memory = opt_find(table, "memory");

	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(opt_set(force, &b->s, yes[i], &b->e), 0);
		assert_true(b->s.force);
		assert_int_equal(opt_set(force, &b->s, no[i], &b->e), 0);
		assert_false(b->s.force);
		assert_int_equal(opt_set(memory, &b->s, yes[i], &b->e), 0);
		assert_int_equal(b->s.memory, 1);
		assert_int_equal(opt_set(memory, &b->s, no[i], &b->e), 0);
		assert_int_equal(b->s.memory, 0);
	}
	assert_int_equal(opt_set(memory, &b->s, "maybe", &b->e), -1);
	assert_int_equal(b->e.code, ERR_USAGE);
	assert_string_equal(b->e.msg, "'maybe' is neither yes nor no");
	assert_int_equal(opt_set(memory, &b->s, "", &b->e), -1);
	assert_int_equal(b->s.memory, 0);
}

static void test_failed_set_leaves_it(void **state)
{
	struct both *b = *state;

	b->s.limit = 7;
	b->s.capture = SNAPSHOT;
	assert_int_equal(opt_set(opt_find(table, "limit"), &b->s, "1x", &b->e),
			 -1);
	assert_int_equal(opt_set(opt_find(table, "capture"), &b->s, "", &b->e),
			 -1);
	assert_int_equal(b->s.limit, 7);
	assert_int_equal(b->s.capture, SNAPSHOT);
}

static void test_env(void **state)
{
	struct both *b = *state;

	setenv("VMKEEP_TEST_FORCE", "yes", 1);
	setenv("VMKEEP_TEST_LIMIT", "1k", 1);
	setenv("VMKEEP_TEST_TARGET", "/env", 1);
	assert_int_equal(opt_from_env(table, &b->s, &b->e), 0);
	assert_true(b->s.force);
	assert_int_equal(b->s.limit, 1024);
	parse_ok(b, "--no-force --target /line");
	assert_false(b->s.force);
	assert_string_equal(b->s.target, "/line");

	setenv("VMKEEP_TEST_TARGET", "", 1);
	assert_int_equal(opt_from_env(table, &b->s, &b->e), 0);
	assert_string_equal(b->s.target, "/line");

	setenv("VMKEEP_TEST_LIMIT", "x", 1);
	assert_int_equal(opt_from_env(table, &b->s, &b->e), -1);
	assert_int_equal(b->e.code, ERR_USAGE);
	assert_string_equal(b->e.msg,
			    "environment variable 'VMKEEP_TEST_LIMIT': 'x' is "
			    "not a size such as 512M or 2G");
	unsetenv("VMKEEP_TEST_FORCE");
	unsetenv("VMKEEP_TEST_LIMIT");
	unsetenv("VMKEEP_TEST_TARGET");
}

static void test_find(void **state)
{
	(void)state;
	assert_ptr_equal(opt_find(table, "memory"), &table[1]);
	assert_null(opt_find(table, "mem"));
	assert_null(opt_find(table, ""));
}

static void test_distance(void **state)
{
	char lengthy[100];

	(void)state;
	assert_int_equal(opt_distance("memory", "memory"), 0);
	assert_int_equal(opt_distance("memroy", "memory"), 1);
	assert_int_equal(opt_distance("memry", "memory"), 1);
	assert_int_equal(opt_distance("memoryy", "memory"), 1);
	assert_int_equal(opt_distance("nemorx", "memory"), 2);
	assert_int_equal(opt_distance("restroe", "restore"), 1);
	assert_int_equal(opt_distance("repo", "repository"), 6);
	assert_int_equal(opt_distance("xxxxxx", "memory"), UINT_MAX);
	assert_int_equal(opt_distance("", "memory"), UINT_MAX);
	assert_int_equal(opt_distance("a", "b"), UINT_MAX);
	assert_int_equal(opt_distance("all", "url"), UINT_MAX);
	memset(lengthy, 'x', 99);
	lengthy[99] = '\0';
	assert_int_equal(opt_distance(lengthy, lengthy), UINT_MAX);
	lengthy[63] = '\0';
	assert_int_equal(opt_distance(lengthy, lengthy), 0);
}

static void test_nearest(void **state)
{
	(void)state;
	assert_string_equal(opt_nearest(table, "targte"), "target");
	assert_string_equal(opt_nearest(table, "time-out"), "timeout");
	assert_null(opt_nearest(table, "zzz"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing),
		TEST(test_long),
		TEST(test_letters),
		TEST(test_rest),
		TEST(test_values_that_look_like_options),
		TEST(test_names_that_start_with_no),
		TEST(test_lists),
		TEST(test_refuses_values),
		TEST(test_refuses_unknown),
		TEST(test_set_flags),
		TEST(test_failed_set_leaves_it),
		TEST(test_env),
		TEST(test_find),
		TEST(test_distance),
		TEST(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
