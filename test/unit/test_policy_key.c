/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/key.h"

/* sanoid.defaults.conf, version 2 */
static void test_built_in(void **state)
{
	AUTO(policy_fini) struct policy p;

	(void)state;
	policy_init(&p);
	assert_true(p.autosnap && p.autoprune && p.monitor);
	assert_int_equal(p.counts.disks[TIER_FREQUENTLY], 0);
	assert_int_equal(p.counts.disks[TIER_HOURLY], 48);
	assert_int_equal(p.counts.disks[TIER_DAILY], 90);
	assert_int_equal(p.counts.disks[TIER_WEEKLY], 0);
	assert_int_equal(p.counts.disks[TIER_MONTHLY], 6);
	assert_int_equal(p.counts.disks[TIER_YEARLY], 0);
	assert_int_equal(p.daily_hour, 23);
	assert_int_equal(p.daily_min, 59);
	assert_int_equal(p.weekly_wday, 1);
	assert_int_equal(p.script_timeout_s, 5);
	assert_int_equal(p.warn_s[TIER_HOURLY], 90 * 60);
	assert_int_equal(p.crit_s[TIER_MONTHLY], 40 * 86400);
	assert_int_equal(p.memory, -1);
	assert_int_equal(p.retention, RETENTION_CALENDAR);
	assert_int_equal(p.keep.count, 1);
	assert_string_equal(p.keep.items[0], "repository");
	assert_null(policy_key_find("hourley"));
	assert_null(policy_key_find("main.autosnap"));
	assert_non_null(policy_key_find("a.b.ram_daily"));
}

static void set(struct policy *p, const char *key, const char *text)
{
	struct err e = ERR_INIT;

	if (policy_set(p, key, text, &e) < 0)
		fail_msg("%s = %s: %s", key, text, e.msg);
}

static void refuse(const char *key, const char *text, const char *want)
{
	AUTO(policy_fini) struct policy p;
	struct err e = ERR_INIT;

	policy_init(&p);
	assert_int_equal(policy_set(&p, key, text, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_string_equal(e.msg, want);
	/* nothing was taken of it */
	assert_int_equal(p.place_count, 0);
	assert_int_equal(p.counts.disks[TIER_DAILY], 90);
	assert_int_equal(p.warn_s[TIER_DAILY], 28 * 3600);
}

/* A bare number is in the unit below: minutes for hourly, hours for daily. */
static void test_ages(void **state)
{
	AUTO(policy_fini) struct policy p;

	(void)state;
	policy_init(&p);
	set(&p, "frequently_warn", "90");
	set(&p, "hourly_warn", "2880");
	set(&p, "daily_warn", "48");
	set(&p, "weekly_warn", "9");
	set(&p, "monthly_warn", "5");
	set(&p, "yearly_warn", "2");
	assert_int_equal(p.warn_s[TIER_FREQUENTLY], 90);
	assert_int_equal(p.warn_s[TIER_HOURLY], 2880 * 60);
	assert_int_equal(p.warn_s[TIER_DAILY], 48 * 3600);
	assert_int_equal(p.warn_s[TIER_WEEKLY], 9 * 86400);
	assert_int_equal(p.warn_s[TIER_MONTHLY], 35 * 86400);
	assert_int_equal(p.warn_s[TIER_YEARLY], 62 * 86400);
	set(&p, "daily_crit", "90s");
	assert_int_equal(p.crit_s[TIER_DAILY], 90);
	set(&p, "daily_crit", "2W");
	assert_int_equal(p.crit_s[TIER_DAILY], 14 * 86400);
	set(&p, "daily_crit", "1y");
	assert_int_equal(p.crit_s[TIER_DAILY], 365 * 86400);
	set(&p, "script_timeout", "-1");
	assert_int_equal(p.script_timeout_s, 0);
	set(&p, "script_timeout", "10m");
	assert_int_equal(p.script_timeout_s, 600);
}

static void test_yes_and_no(void **state)
{
	static const char *const yes[] = { "1", "true", "Yes", "YES", "on" };
	static const char *const no[] = { "0", "False", "no", "OFF", "" };
	AUTO(policy_fini) struct policy p;

	(void)state;
	policy_init(&p);
	for (size_t i = 0; i < 5; i++) {
		set(&p, "monitor_dont_warn", yes[i]);
		assert_true(p.monitor_dont_warn);
		set(&p, "monitor_dont_warn", no[i]);
		assert_false(p.monitor_dont_warn);
	}
}

static void test_wrong_values(void **state)
{
	(void)state;
	refuse("daily", "-1", "'-1' is not a number from 0 to 100000");
	refuse("daily", "", "'' is not a number from 0 to 100000");
	refuse("daily", "3 days", "'3 days' is not a number from 0 to 100000");
	refuse("daily", "100001", "'100001' is not a number from 0 to 100000");
	refuse("main.daily", "x", "'x' is not a number from 0 to 100000");
	refuse("hourly_min", "60", "'60' is not a number from 0 to 59");
	refuse("monthly_mday", "0", "'0' is not a number from 1 to 31");
	refuse("frequent_period", "0", "'0' is not a number from 1 to 60");
	refuse("daily_warn", "5x",
	       "'5x' is not an age such as 90m, 28h, 32d, 5w or 1y");
	refuse("daily_warn", "-5h",
	       "'-5h' is not an age such as 90m, 28h, 32d, 5w or 1y");
	refuse("daily_warn", "99999999999999999y",
	       "'99999999999999999y' is not an age such as 90m, 28h, 32d, 5w "
	       "or 1y");
	refuse("script_timeout", "8d",
	       "'8d' is not a number of seconds, or such as 10m; at most 7d");
	refuse("autosnap", "maybe", "'maybe' is neither yes nor no");
	refuse("retention", "borg", "'borg' is none of: calendar, sanoid");
	refuse("xyzzy", "1", "unknown key");
}

static void test_counts(void **state)
{
	AUTO(policy_fini) struct policy p;
	struct tier_counts n;

	(void)state;
	policy_init(&p);
	set(&p, "daily", "30");
	policy_counts(&p, "local", &n);
	assert_int_equal(n.disks[TIER_DAILY], 30);
	/* RAM as long as the disks */
	assert_true(n.ram[TIER_DAILY] == POLICY_UNSAID);
	assert_true(n.ram[TIER_HOURLY] == POLICY_UNSAID);
	set(&p, "main.daily", "90");
	set(&p, "off-site.ram_daily", "2");
	policy_counts(&p, "local", &n);
	assert_int_equal(n.disks[TIER_DAILY], 30);
	policy_counts(&p, "main", &n);
	assert_int_equal(n.disks[TIER_DAILY], 90);
	assert_int_equal(n.disks[TIER_HOURLY], 48);
	assert_true(n.ram[TIER_HOURLY] == POLICY_UNSAID);
	/* said for one tier, it is said for all */
	policy_counts(&p, "off-site", &n);
	assert_int_equal(n.ram[TIER_DAILY], 2);
	assert_int_equal(n.ram[TIER_HOURLY], 0);
	set(&p, "off-site.ram_daily", "");
	policy_counts(&p, "off-site", &n);
	assert_true(n.ram[TIER_HOURLY] == POLICY_UNSAID);
	set(&p, "ram_hourly", "4");
	policy_counts(&p, "main", &n);
	assert_int_equal(n.ram[TIER_HOURLY], 4);
	assert_int_equal(n.ram[TIER_DAILY], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_built_in),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_yes_and_no),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
