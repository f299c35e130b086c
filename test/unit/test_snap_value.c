/* SPDX-License-Identifier: Apache-2.0 */

/* What comes from outside: journals, mountinfo, the output of programs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "snap/lvm.h"
#include "snap/where.h"
#include "snap/zfs.h"

static struct err e;

static struct buf text(const char *s)
{
	struct buf b = BUF_INIT;

	wr_bytes(&b, s, strlen(s));
	return b;
}

static void kinds_there_and_back(void **state)
{
	enum snap_kind kind;

	(void)state;
	for (int i = SNAP_ZFS; i <= SNAP_REFLINK; i++) {
		assert_true(snap_kind_parse(snap_kind_name((enum snap_kind)i),
					    &kind));
		assert_int_equal(kind, i);
	}
	assert_false(snap_kind_parse("lvm", &kind));
	assert_false(snap_kind_parse("", &kind));
}

static void names_are_told(void **state)
{
	char name[SNAP_NAME_MAX];

	(void)state;
	snap_name(INT64_C(1795844127228034352), "1f2e3d4c-aaaa", name);
	assert_string_equal(name, "vmkeep_20261128T053527Z_1f2e3d4c");
	assert_true(snap_name_valid(name));
	assert_true(snap_name_valid("vmkeep_20261128T053527Z_1f2e3d4c_12"));
	static const char *const bad[] = {
		"",
		"vmkeep_",
		"autosnap_2026-11-28_05:35:27_hourly",
		"vmkeep_20261128T053527Z_1f2e3d4",
		"vmkeep_20261128T053527Z_1f2e3d4c_",
		"vmkeep_20261128T053527Z_1f2e3d4c_1/../x",
		"vmkeep_20261128T053527Z_1f2e3d4c/..",
		"vmkeep_20261128T053527Z_1F2E3D4C",
		"vmkeep_20261128T053527Z_1f2e3d4c_123456",
		"vmkeep_2026-128T053527Z_1f2e3d4c",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(snap_name_valid(bad[i]));
}

static void sets_are_told(void **state)
{
	(void)state;
	assert_true(snap_set_valid("1f2e3d4c"));
	assert_true(snap_set_valid("1f2e3d4c-0000-1111-2222-333344445555"));
	assert_false(snap_set_valid("1f2e3d4"));
	assert_false(snap_set_valid("1f2e-d4c"));
	assert_false(snap_set_valid("1f2e3d4c x"));
	assert_false(snap_set_valid("1F2E3D4C"));
	assert_false(snap_set_valid(
		"00000000111111112222222233333333444444445555555566666666777777"
		"778"));
}

static struct snap sample(void)
{
	static char volume[] = "tank/vm disks/a-1";
	static char name[] = "vmkeep_20261128T053527Z_1f2e3d4c";
	static char guid[] = "12345678901234567890";
	static char set[] = "1f2e3d4c-0000";
	static char fs[] = "";

	return (struct snap){ .kind = SNAP_ZVOL,
			      .volume = volume,
			      .name = name,
			      .guid = guid,
			      .set = set,
			      .fs = fs,
			      .begin_ns = 5,
			      .end_ns = INT64_MAX };
}

static void snaps_there_and_back(void **state)
{
	AUTO(snaps_fini) struct snaps got = { .items = NULL };
	struct snap s = sample();
	struct snap_fields f;
	char word[] = "snap_taken";

	(void)state;
	snap_to_fields(&s, &f);

	struct journal_record r = { word, f.f };

	assert_int_equal(snap_from_record(&r, &got, &e), 0);
	assert_int_equal(got.count, 1);
	assert_int_equal(got.items[0].kind, s.kind);
	assert_string_equal(got.items[0].volume, s.volume);
	assert_string_equal(got.items[0].name, s.name);
	assert_string_equal(got.items[0].guid, s.guid);
	assert_string_equal(got.items[0].set, s.set);
	assert_string_equal(got.items[0].fs, s.fs);
	assert_true(got.items[0].begin_ns == 5);
	assert_true(got.items[0].end_ns == INT64_MAX);
}

/* Nothing of a record may become an option, a path or a pattern. */
static void records_are_guilty(void **state)
{
	static const struct {
		const char *key, *value;
	} bad[] = {
		{ "kind", "ext4" },
		{ "kind", "lvm-thin" }, /* not VG/LV */
		{ "volume", "" },
		{ "volume", "-r" },
		{ "volume", "tank/a@b" },
		{ "volume", "tank/a,b" },
		{ "volume", "tank/a\nb" },
		{ "name", "autosnap_1" },
		{ "name", "vmkeep_20261128T053527Z_1f2e3d4c%x" },
		{ "guid", "1 2" },
		{ "guid", "-1" },
		{ "set", "x" },
		{ "fs", "ext4 -o" },
		{ "begin", "-5" },
		{ "begin", "" },
		{ "end", "9223372036854775808" },
	};
	char word[] = "snap_taken";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		AUTO(snaps_fini) struct snaps got = { .items = NULL };
		struct snap s = sample();
		struct snap_fields f;

		snap_to_fields(&s, &f);
		for (size_t k = 0; f.f[k].key; k++) {
			if (strcmp(f.f[k].key, bad[i].key) == 0)
				f.f[k].value = bad[i].value;
		}
		struct journal_record r = { word, f.f };
		assert_int_equal(snap_from_record(&r, &got, &e), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		assert_int_equal(got.count, 0);
	}
}

static void records_lack_nothing(void **state)
{
	char word[] = "snap_taken";

	(void)state;
	for (size_t lack = 0; lack < 8; lack++) {
		AUTO(snaps_fini) struct snaps got = { .items = NULL };
		struct snap s = sample();
		struct snap_fields f;

		snap_to_fields(&s, &f);
		for (size_t k = lack; k < 8; k++)
			f.f[k] = f.f[k + 1];
		struct journal_record r = { word, f.f };
		assert_int_equal(snap_from_record(&r, &got, &e), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
	}
}

static void mounts_are_told(void **state)
{
	static const char info[] =
		"22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
		"36 22 0:31 / /tank/vm\\040x rw shared:5 master:2 - zfs "
		"tank/vm\\040x rw,xattr\n"
		"torn\n"
		"37 22 0:32 /@home /h\\134 rw - btrfs /dev/sdb rw\n";
	static const char *const bad[] = {
		"",
		"36",
		"36 1 2:3 / /x rw",
		"36 1 2:3 / /x rw - zfs",
		"36 1 2:3 root /x rw - zfs tank rw\n",
	};

	(void)state;
	{
		AUTO(where_fini) struct where w = { .mount_id = 36 };
		assert_true(where_parse(info, &w));
		assert_string_equal(w.fs, "zfs");
		assert_string_equal(w.source, "tank/vm x");
		assert_string_equal(w.mount, "/tank/vm x");
		assert_string_equal(w.inside, "/");
	}
	{
		AUTO(where_fini) struct where w = { .mount_id = 37 };
		assert_true(where_parse(info, &w));
		assert_string_equal(w.mount, "/h\\");
		assert_string_equal(w.inside, "/@home");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		AUTO(where_fini) struct where w = { .mount_id = 36 };
		assert_false(where_parse(bad[i], &w));
	}
}

static void tables_are_told(void **state)
{
	AUTO(buf_fini) struct buf b = text("a\tb\n  c\t\n\t\n");
	AUTO(table_fini) struct table t = TABLE_INIT;

	(void)state;
	assert_int_equal(table_parse(&b, '\t', 2, "x", &t, &e), 0);
	assert_int_equal(t.rows, 3);
	assert_string_equal(table_get(&t, 0, 1), "b");
	assert_string_equal(table_get(&t, 1, 0), "c");
	assert_string_equal(table_get(&t, 1, 1), "");
	assert_string_equal(table_get(&t, 2, 0), "");
}

static void tables_are_guilty(void **state)
{
	static const char *const bad[] = { "a\n", "a\tb\tc\n", "a\tb",
					   "a\tb\nc\n", "\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		AUTO(buf_fini) struct buf b = text(bad[i]);
		AUTO(table_fini) struct table t = TABLE_INIT;

		assert_int_equal(table_parse(&b, '\t', 2, "x", &t, &e), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		assert_null(t.text);
	}
	AUTO(buf_fini) struct buf b = text("a\tb\n");
	AUTO(table_fini) struct table t = TABLE_INIT;
	b.p[0] = 0;
	assert_int_equal(table_parse(&b, '\t', 2, "x", &t, &e), -1);
	AUTO(buf_fini) struct buf none = BUF_INIT;
	assert_int_equal(table_parse(&none, '\t', 2, "x", &t, &e), 0);
	assert_int_equal(t.rows, 0);
}

#define THIN                                                                     \
	"  vg|thin|aaaaaa-bbbb|base|pool|vmkeep,vmkeep.set.1f2e3d4c|1073741824|" \
	"4194304|12.34||thin,sparse|-1|1|253|7\n"
#define POOL                                                                   \
	"  vg|pool|u-2||||2147483648|4194304|94.99|7.50|thin,pool|-1|0|253|4\n"
#define FULL                                                                   \
	"  vg|s|u-3|base||vmkeep|4194304|4194304|100.00||linear|1|0|253|5\n"
#define OFF "  vg2|off|u-4||||4194304|0|||linear|-1|-1|-1|-1\n"

static void lvs_are_told(void **state)
{
	AUTO(buf_fini) struct buf b = text(THIN POOL FULL OFF);
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };
	const struct lv *lv;

	(void)state;
	assert_int_equal(lvm_parse(&b, &l, &e), 0);
	assert_int_equal(l.count, 4);
	lv = lvm_find(&l, "vg/thin");
	assert_non_null(lv);
	assert_true(lv->thin && !lv->pool_lv && lv->open && !lv->invalid);
	assert_int_equal(lv->data_percent, 12);
	assert_int_equal(lv->meta_percent, -1);
	assert_int_equal(lv->minor, 7);
	assert_ptr_equal(lvm_pool(&l, lv), lvm_find(&l, "vg/pool"));
	assert_true(lv_tagged(lv, "vmkeep"));
	assert_true(lv_tagged(lv, "vmkeep.set.1f2e3d4c"));
	assert_false(lv_tagged(lv, "vmkeep.set.1f2e3d4"));
	assert_ptr_equal(lvm_by_uuid(&l, "aaaaaabbbb"), lv);
	assert_null(lvm_by_uuid(&l, "aaaaaabbb"));
	assert_true(lvm_find(&l, "vg/s")->invalid);
	assert_true(lvm_find(&l, "vg/pool")->pool_lv);
	assert_int_equal(lvm_find(&l, "vg2/off")->minor, -1);
	assert_int_equal(lvm_find(&l, "vg2/off")->data_percent, -1);
	assert_null(lvm_find(&l, "v/g"));
	assert_null(lvm_find(&l, "vg"));
	assert_true(lvm_has_vg(&l, "vg2/x"));
	assert_false(lvm_has_vg(&l, "vg3/x"));
}

static void lvs_are_guilty(void **state)
{
	static const char *const bad[] = {
		"|a|u|||||1|1|||linear|0|0|1|1\n",
		"vg|a|u||||x|1|||linear|0|0|1|1\n",
		"vg|a|u||||1|1.5|||linear|0|0|1|1\n",
		"vg|a|u||||1|1|101||linear|0|0|1|1\n",
		"vg|a|u||||1|1|-2||linear|0|0|1|1\n",
		"vg|a|u||||1|1|1x||linear|0|0|1|1\n",
		"vg|a|u||||1|1|||linear|0|0|1|x\n",
		"vg|a|u||||1|1|||linear|0|0|1|99999999999\n",
		"vg|a|u||||1|1|||linear|0|0|1\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		AUTO(buf_fini) struct buf b = text(bad[i]);
		AUTO(lvm_fini) struct lvm l = { .lvs = NULL };

		assert_int_equal(lvm_parse(&b, &l, &e), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
	}
}

static void properties_are_told(void **state)
{
	AUTO(buf_fini)
	struct buf b = text("t/a@x\tguid\t77\t-\nt/a@x\torg.vmkeep:set\tq\tin"
			    "herited from t\nt/a@x\tuserrefs\t0\tlocal\n");
	AUTO(table_fini) struct table t = TABLE_INIT;
	bool local = true;

	(void)state;
	assert_int_equal(table_parse(&b, '\t', 4, "x", &t, &e), 0);
	assert_string_equal(zfs_value(&t, "t/a@x", "guid", NULL), "77");
	assert_string_equal(zfs_value(&t, "t/a@x", SNAP_PROP, &local), "q");
	assert_false(local);
	zfs_value(&t, "t/a@x", "userrefs", &local);
	assert_true(local);
	assert_null(zfs_value(&t, "t/a", "guid", NULL));
	assert_null(zfs_value(&t, "t/a@x", "name", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_there_and_back),
		cmocka_unit_test(names_are_told),
		cmocka_unit_test(sets_are_told),
		cmocka_unit_test(snaps_there_and_back),
		cmocka_unit_test(records_are_guilty),
		cmocka_unit_test(records_lack_nothing),
		cmocka_unit_test(mounts_are_told),
		cmocka_unit_test(tables_are_told),
		cmocka_unit_test(tables_are_guilty),
		cmocka_unit_test(lvs_are_told),
		cmocka_unit_test(lvs_are_guilty),
		cmocka_unit_test(properties_are_told),
	};

	return cmocka_run_group_tests_name("snap_value", tests, NULL, NULL);
}
