/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/resolve.h"

static void add(struct policies *c, const char *file, const char *text)
{
	AUTO(ini_fini) struct ini ini;
	struct err e = ERR_INIT;

	if (ini_parse(file, text, &ini, &e) < 0)
		fail_msg("%s", e.msg);
	policies_add(c, file, &ini);
}

static void read_policies(struct policies *c, const char *text)
{
	*c = (struct policies){ .count = 0 };
	add(c, "f", text);
	policies_finish(c);
}

/* Nothing wrong with it. */
static void good(struct policies *c, const char *text)
{
	struct err e = ERR_INIT;

	read_policies(c, text);
	if (policies_check(c, &e) < 0)
		fail_msg("%s", e.msg);
	if (c->warnings.count > 0)
		fail_msg("warning: %s", c->warnings.items[0]);
}

static void problem(const char *text, const char *want)
{
	AUTO(policies_fini) struct policies c;
	struct err e = ERR_INIT;

	read_policies(&c, text);
	assert_int_equal(policies_check(&c, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_string_equal(e.msg, want);
}

static void warning(const char *text, const char *want)
{
	AUTO(policies_fini) struct policies c;
	struct err e = ERR_INIT;

	read_policies(&c, text);
	assert_int_equal(policies_check(&c, &e), 0);
	assert_int_equal(c.warnings.count, 1);
	assert_string_equal(c.warnings.items[0], want);
}

/* What key is for the domain on the datasets ("a,b" or ""); NULL: that no
 * section is for it. */
static void expect_on(const struct policies *c, const char *name,
		      const char *datasets, const char *key, const char *want)
{
	static const struct opt list = { .kind = OPT_LIST };
	AUTO(resolved_fini) struct resolved r = { .count = 0 };
	struct opt_list on = { .count = 0 };
	struct err e = ERR_INIT;

	assert_int_equal(opt_set(&list, &on, datasets, &e), 0);

	const struct policy_section *s = resolve_domain(c, name, &on, &r);

	opt_clear(&list, &on);
	if (want == NULL) {
		assert_null(s);
		return;
	}
	assert_non_null(s);
	assert_string_equal(resolved_value(&r, key)->text, want);
}

static void expect(const struct policies *c, const char *name, const char *key,
		   const char *want)
{
	expect_on(c, name, "", key, want);
}

/* The same of a dataset. */
static void expect_dataset(const struct policies *c, const char *name,
			   const char *key, const char *want)
{
	AUTO(resolved_fini) struct resolved r = { .count = 0 };
	const struct policy_section *s = resolve_dataset(c, name, &r);

	if (want == NULL) {
		assert_null(s);
		return;
	}
	assert_non_null(s);
	assert_string_equal(resolved_value(&r, key)->text, want);
}

/* ---- sections ---- */

static void test_templates(void **state)
{
	AUTO(policies_fini) struct policies c;

	(void)state;
	good(&c, "[web1]\n"
		 "use_template = a, b\n"
		 "daily = 4\n"
		 "[template_b]\n"
		 "hourly = 2\n"
		 "daily = 2\n"
		 "[template_a]\n"
		 "hourly = 1\n"
		 "monthly = 1\n"
		 "[template_default]\n"
		 "monthly = 7\n"
		 "yearly = 7\n"
		 "[web2]\n"
		 "use_template = default\n");
	expect(&c, "web1", "monthly", "1"); /* a over default */
	expect(&c, "web1", "hourly", "2");  /* b over a */
	expect(&c, "web1", "daily", "4");   /* its own over b */
	expect(&c, "web1", "yearly", "7");
	expect(&c, "web1", "weekly", "0");
	expect(&c, "web2", "yearly", "7");
	expect(&c, "web3", NULL, NULL);
}

static void test_globs(void **state)
{
	AUTO(policies_fini) struct policies c;

	(void)state;
	/* the order in the file means nothing */
	good(&c, "[web1]\n"
		 "yearly = 1\n"
		 "[web*]\n"
		 "daily = 2\n"
		 "yearly = 2\n"
		 "[*]\n"
		 "daily = 3\n"
		 "hourly = 3\n"
		 "[w?b2]\n"
		 "monthly = 4\n"
		 "[w[ef]b2]\n"
		 "monthly = 5\n"
		 "[odd]\n"
		 "domain = we*rd [1]\n"
		 "hourly = 6\n");
	expect(&c, "web1", "yearly", "1");
	expect(&c, "web1", "daily", "2");
	expect(&c, "web1", "hourly", "3");
	expect(&c, "web2", "monthly", "5"); /* as many letters, later */
	expect(&c, "db", "daily", "3");
	expect(&c, "we*rd [1]", "hourly", "6");
	/* a star in 'domain' is a star */
	expect(&c, "weeird [1]", "hourly", "3");
	/* the title is no name any more */
	expect(&c, "odd", "hourly", "3");
}

static void test_origin(void **state)
{
	AUTO(policies_fini) struct policies c;
	AUTO(resolved_fini) struct resolved r = { .count = 0 };
	const struct opt_list none = { .count = 0 };

	(void)state;
	good(&c, "[web1]\nuse_template = a\nmain.daily = 3\n"
		 "[template_a]\n\nhourly = 1\n"
		 "[repository:main]\nurl = /r\n");
	assert_non_null(resolve_domain(&c, "web1", &none, &r));

	const struct resolved_value *v = resolved_value(&r, "hourly");

	assert_string_equal(v->said->file, "f");
	assert_int_equal(v->said->line, 6);
	assert_string_equal(v->why->title, "template_a");
	assert_null(resolved_value(&r, "daily")->said);
	v = resolved_value(&r, "main.daily");
	assert_int_equal(v->said->line, 3);
	assert_int_equal(r.policy.places[0].counts.disks[TIER_DAILY], 3);
}

static void test_files(void **state)
{
	AUTO(policies_fini) struct policies c = { .count = 0 };
	struct err e = ERR_INIT;

	(void)state;
	add(&c, "f", "[web1]\ndaily = 1\nhourly = 1\n");
	add(&c, "g", "[web1]\ndaily = 2\n[web2]\n[vmkeep]\nx = y\n");
	policies_finish(&c);
	assert_int_equal(policies_check(&c, &e), 0);
	assert_int_equal(c.warnings.count, 0);
	expect(&c, "web1", "daily", "2");
	expect(&c, "web1", "hourly", "1");
	/* a section with nothing in it is one */
	expect(&c, "web2", "daily", "90");
	expect(&c, "vmkeep", NULL, NULL);
}

static void test_groups(void **state)
{
	AUTO(policies_fini) struct policies c;
	struct err e = ERR_INIT;

	(void)state;
	good(&c, "[group:shop]\n"
		 "members = db1 web1\n"
		 "daily = 3\n"
		 "[group:names]\n"
		 "members = group 0, web2\n"
		 "[*]\n"
		 "daily = 4\n");
	expect(&c, "db1", "daily", "3");
	/* its name alone is no schedule */
	expect(&c, "web2", "daily", "4");
	const struct policy_section *s = policies_group(&c, "names", &e);

	assert_non_null(s);
	assert_int_equal(s->members.count, 2);
	assert_string_equal(s->members.items[0], "group 0");
	assert_null(policies_group(&c, "shpo", &e));
	assert_string_equal(
		e.msg, "no group 'shpo' in the settings, did you mean 'shop'?");
	assert_int_equal(e.code, ERR_USAGE);
}

static void test_no_group(void **state)
{
	AUTO(policies_fini) struct policies c;
	struct err e = ERR_INIT;

	(void)state;
	read_policies(&c, "");
	assert_null(policies_group(&c, "a", &e));
	assert_string_equal(e.msg, "no group 'a' in the settings: [group:NAME] "
				   "with members = ... makes one");
	policies_fini(&c);
	read_policies(&c, "[group:a]\nmembers = ,\n");
	assert_null(policies_group(&c, "a", &e));
	assert_string_equal(e.msg, "f:1: group 'a' has no members");
}

static void test_datasets(void **state)
{
	AUTO(policies_fini) struct policies c;

	(void)state;
	/* a child before its parent, which sanoid would lose */
	good(&c, "[tank/vm/web1]\n"
		 "daily = 1\n"
		 "[tank/vm]\n"
		 "recursive = yes\n"
		 "process_children_only = yes\n"
		 "daily = 2\n"
		 "hourly = 2\n"
		 "[tank/vm/old]\n"
		 "skip_children = yes\n"
		 "[tank/vm/old/but]\n"
		 "hourly = 4\n"
		 "[pool]\n"
		 "hourly = 5\n"
		 "[deep]\n"
		 "recursive = zfs\n"
		 "yearly = 6\n"
		 "[other]\n"
		 "path = x/y\n"
		 "hourly = 7\n");
	expect_dataset(&c, "tank", NULL, NULL);
	expect_dataset(&c, "tank/vm", NULL, NULL);
	expect_dataset(&c, "tank/vmx", NULL, NULL);
	expect_dataset(&c, "tank/vm/web1", "daily", "1");
	expect_dataset(&c, "tank/vm/web1", "hourly", "2");
	expect_dataset(&c, "tank/vm/web1/disk", "daily", "2");
	expect_dataset(&c, "tank/vm/old", "hourly", "2");
	expect_dataset(&c, "tank/vm/old/x", NULL, NULL);
	expect_dataset(&c, "tank/vm/old/but", "hourly", "4");
	expect_dataset(&c, "tank/vm/old/but", "daily", "90");
	expect_dataset(&c, "pool", "hourly", "5");
	expect_dataset(&c, "pool/x", NULL, NULL);
	expect_dataset(&c, "deep/a/b", "yearly", "6");
	expect_dataset(&c, "x/y", "hourly", "7");
	expect_dataset(&c, "other", NULL, NULL);
	assert_true(policies_has_datasets(&c));
}

static void test_domains_on_datasets(void **state)
{
	AUTO(policies_fini) struct policies c;

	(void)state;
	good(&c, "[tank/vm]\n"
		 "recursive = yes\n"
		 "daily = 1\n"
		 "hourly = 1\n"
		 "yearly = 1\n"
		 "[web*]\n"
		 "daily = 2\n"
		 "yearly = 2\n"
		 "[web1]\n"
		 "yearly = 3\n"
		 "[fast]\n"
		 "recursive = yes\n"
		 "daily = 4\n"
		 "[group:shop]\n"
		 "members = db1\n"
		 "daily = 5\n");
	expect_on(&c, "web1", "tank/vm/web1", "hourly", "1");
	expect_on(&c, "web1", "tank/vm/web1", "daily", "2");
	expect_on(&c, "web1", "tank/vm/web1", "yearly", "3");
	expect_on(&c, "x", "tank/vm", "daily", "1");
	expect_on(&c, "x", "tank", NULL, NULL);
	/* the first disk's that is meant */
	expect_on(&c, "x", "fast/x,tank/vm", "daily", "4");
	expect_on(&c, "x", "slow/x,tank/vm", "daily", "1");
	/* a group is one, whatever its disks lie on */
	expect_on(&c, "db1", "tank/vm", "daily", "5");
	expect_on(&c, "db1", "tank/vm", "yearly", "0");
}

/* ---- what makes no sense ---- */

static void test_unknown_keys(void **state)
{
	(void)state;
	problem("[web1]\n\nhourley = 3\n",
		"f:3: unknown key 'hourley' in [web1], did you mean 'hourly'?");
	problem("[web1]\nxyzzy = 3\n", "f:2: unknown key 'xyzzy' in [web1]");
	problem("[web1]\nmain.daly = 3\n",
		"f:2: unknown key 'main.daly' in [web1], did you mean "
		"'main.daily'?");
	problem("[web1]\nmembers = 3\n",
		"f:2: unknown key 'members' in [web1]");
	problem("[web1]\nuse-tempalte = a\n",
		"f:2: unknown key 'use_tempalte' in [web1], did you mean "
		"'use_template'?");
	problem("[group:a]\nmembers = a\nrecursive = yes\n",
		"f:3: unknown key 'recursive' in [group:a]");
	problem("[template_a]\npath = x\n",
		"f:2: unknown key 'path' in [template_a]");
	problem("[repository:a]\nurl = /r\nkeyfile = x\n",
		"f:3: unknown key 'keyfile' in [repository:a], did you mean "
		"'key_file'?");
	problem("[repository:a]\nurl = /r\nhourly = 1\n",
		"f:3: unknown key 'hourly' in [repository:a]");
	problem("[grup:a]\n", "f:1: unknown kind of section [grup:a], did you "
			      "mean [group:a]?");
	problem("[group:]\nmembers = a\n", "f:1: [group:] has no name");
}

static void test_wrong_entries(void **state)
{
	(void)state;
	problem("[web1]\nhourly = many\n",
		"f:2: hourly: 'many' is not a number from 0 to 100000");
	problem("[web1]\nrecursive = all\n",
		"f:2: recursive: 'all' is none of: yes, no, zfs");
	problem("[web1]\nskip_children = x\n",
		"f:2: skip_children: 'x' is neither yes nor no");
	problem("[web1]\ndomain = a\npath = b/c\n",
		"f:3: path: a section has either 'domain' or 'path'");
	problem("[repository:a]\nurl =\n", "f:2: url: is empty");
	problem("[tank/*]\n", "f:1: [tank/*]: a dataset is named in full, with "
			      "'recursive = yes' for all below it");
	problem("[web*]\nrecursive = yes\n",
		"f:1: [web*]: a dataset is named in full, with 'recursive = "
		"yes' for all below it");
	problem("[a]\nhourly = x\ndaily = y\n",
		"f:2: hourly: 'x' is not a number from 0 to 100000 (and 1 "
		"more: see 'vmkeep config check')");
}

static void test_names(void **state)
{
	(void)state;
	problem("[a]\nuse_template = prod\n[template_production]\n",
		"f:2: use_template: there is no [template_prod], did you mean "
		"'production'?");
	problem("[a]\nkeep = local, mian\n[repository:main]\nurl = /r\n",
		"f:2: keep: there is no place 'mian', did you mean 'main'? "
		"(places are local, repository, and each [repository:NAME])");
	problem("[a]\nmian.daily = 2\n",
		"f:2: mian.daily: there is no place 'mian' (places are local, "
		"repository, and each [repository:NAME])");
	problem("[a]\nkeep =\n", "f:2: keep: names no place");
	problem("[repository:main]\n", "f:1: [repository:main] has no 'url'");
	problem("[repository:local]\nurl = /r\n",
		"f:1: 'local' is a place already");
	problem("[replica:a]\n", "f:1: [replica:a] has no 'target'");
	problem("[group:a]\ndaily = 2\n", "f:1: [group:a] has no 'members'");
	problem("[group:a]\nmembers = x\ndaily = 2\n"
		"[group:b]\nmembers = y, x\ndaily = 2\n",
		"f:4: 'x' is in [group:a] already, and can have one schedule "
		"only");
}

static void test_dates(void **state)
{
	AUTO(policies_fini) struct policies c;

	(void)state;
	good(&c, "[a]\nyearly_mon = 2\nyearly_mday = 29\nmonthly_mday = 31\n");
	problem("[a]\nyearly_mon = 2\nyearly_mday = 30\n",
		"f:3: impossible date: month 2 has no day 30 ([a])");
	problem("[a]\nuse_template = t\nyearly_mon = 4\n"
		"[template_t]\nyearly_mday = 31\n",
		"f:5: impossible date: month 4 has no day 31 ([a])");
	/* the year's own month comes from elsewhere */
	problem("[template_default]\nyearly_mon = 6\n[a]\nyearly_mday = 31\n",
		"f:4: impossible date: month 6 has no day 31 ([a])");
}

static void test_warnings(void **state)
{
	AUTO(policies_fini) struct policies c;

	(void)state;
	warning("[a]\ndaily = 1\ndaily = 2\n",
		"f:3: 'daily' was said in line 2 already, and that counts");
	read_policies(&c, "[a]\ndaily = 1\n[a]\ndaily = 2\n");
	expect(&c, "a", "daily", "1");
	warning("[template_a]\nuse_template = b\n",
		"f:2: 'use_template' means nothing in a template");
	warning("[a]\nhourly = 1\n[group:g]\nmembers = a\ndaily = 1\n",
		"f:1: 'a' is taken as [group:g] says; [a] counts for nothing");
}

/* What sanoid.defaults.conf has with nothing behind '='. */
static void test_sanoid_defaults(void **state)
{
	AUTO(policies_fini) struct policies c;

	(void)state;
	good(&c, "[version]\nversion = 2\n\n[template_default]\n"
		 "path =\nrecursive =\nuse_template =\n"
		 "process_children_only =\nskip_children =\n"
		 "pre_snapshot_script =\nno_inconsistent_snapshot =\n"
		 "[tank/a]\nuse_template =\nrecursive =\npath =\n");
	expect_dataset(&c, "tank/a", "hourly", "48");
	expect_dataset(&c, "tank/a/b", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_no_group),
		cmocka_unit_test(test_datasets),
		cmocka_unit_test(test_domains_on_datasets),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_wrong_entries),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_sanoid_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
