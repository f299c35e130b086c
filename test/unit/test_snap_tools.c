/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What goes wrong with zfs and LVM: programs of those names on PATH
 * (../snap/fake) that do as told.  That the real ones understand us is tested
 * in the storage lab.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "snap/snap.h"

#define SET "1f2e3d4c-0000"

static char dir[64];
static struct err e;
static bool was_made;

static char *at(const char *name)
{
	return path_join(dir, name);
}

static void put(const char *name, const char *text)
{
	autofree char *path = at(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static char *get(const char *name)
{
	autofree char *path = at(name);
	AUTO(buf_fini) struct buf b = BUF_INIT;

	if (file_load(path, 1 << 20, &b, &e) < 0)
		fail_msg("%s", e.msg);
	wr_u8(&b, 0);
	return mem_strdup((const char *)b.p);
}

static bool there(const char *name)
{
	autofree char *path = at(name);

	return file_exists(path);
}

static void trouble(size_t call, const char *what)
{
	autofree char *text = mem_fmt("%zu %s\n", call, what);

	put("calls", "0\n");
	put("log", "");
	put("trouble", text);
}

/* Anything of ours there? */
static bool ours(const char *folder)
{
	autofree char *path = at(folder);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	const char *argv[] = { "ls", path, NULL };
	struct proc_run r = { .argv = argv };

	assert_int_equal(proc_run(&r, &b, &e), 0);
	wr_u8(&b, 0);
	return strstr((const char *)b.p, "_1f2e3d4c") != NULL;
}

static int fresh(void **state)
{
	const char *argv[] = { "rm", "-rf", dir, NULL };
	struct proc_run r = { .argv = argv };
	const char *const folders[] = { "", "d", "lv" };

	(void)state;
	proc_run(&r, NULL, &e);
	for (size_t i = 0; i < 3; i++) {
		autofree char *path = at(folders[i]);

		assert_int_equal(mkdir(path, 0700), 0);
	}
	put("available", "99999999999\n");
	put("d/tank", "");
	put("d/tank%a", "");
	put("d/tank%b", "");
	put("d/tank%a@autosnap_1", "");
	put("d/tank%a@vmkeep_20200101T000000Z_00000000", "");
	put("lv/vg%thin", "|pool||5.00||thin,sparse|-1|0|1\n");
	put("lv/vg%pool", "|||50.00|5.00|thin,pool|-1|0|2\n");
	put("lv/vg%thick", "||||||-1|0|3\n");
	trouble(0, "");
	err_clear(&e);
	return 0;
}

static struct snap_volume volume(enum snap_kind kind, const char *name)
{
	struct snap_volume v = { .kind = kind,
				 .name = mem_strdup(name),
				 .id = mem_strdup("1"),
				 .group = mem_strdup(name),
				 .fs = mem_strdup(""),
				 .size = 1 << 30 };

	v.group[strcspn(v.group, "/")] = '\0';
	return v;
}

static struct snap_plan plan_of(enum snap_kind kind)
{
	bool zfs = kind == SNAP_ZFS;
	struct snap_plan p = {
		.volumes = mem_zalloc(2, sizeof(struct snap_volume)),
		.volume_count = 2,
	};

	p.volumes[0] = volume(kind, zfs ? "tank/a" : "vg/thin");
	p.volumes[1] = zfs ? volume(kind, "tank/b")
			   : volume(SNAP_LVM_THICK, "vg/thick");
	return p;
}

static void made(void *ctx)
{
	(void)ctx;
	was_made = true;
}

DEFINE_AUTO(journal_free, struct journal *);

static struct journal *journal(void)
{
	autofree char *path = at("J");
	struct journal *j;

	unlink(path);
	j = journal_new(path, &e);
	assert_non_null(j);
	return j;
}

/* As after a death: from the journal alone. */
static int recover(struct journal *j)
{
	autofree char *path = at("J");
	struct journal_record *records;
	struct snap_how how = { .journal = j, .deadline_ms = 5000 };
	struct snap_recover r = { .how = &how };
	size_t count;
	int rc;

	assert_int_equal(journal_read(path, &records, &count, &e), 0);
	rc = snap_recover(records, count, &r, &e);
	journal_records_free(records, count);
	return rc;
}

static void takes_and_drops(enum snap_kind kind, const char *folder)
{
	AUTO(snap_plan_fini) struct snap_plan plan = plan_of(kind);
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	AUTO(journal_free_at) struct journal *j = journal();
	struct snap_how how = { .journal = j, .made = made };

	was_made = false;
	assert_int_equal(snap_take(&plan, SET, &how, &snaps, &e), 0);
	assert_true(was_made);
	assert_int_equal(snaps.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(snaps.items[i].volume,
				    plan.volumes[i].name);
		assert_true(snaps.items[i].guid[0] != '\0');
		assert_true(snaps.items[i].begin_ns > 0);
		assert_true(snaps.items[i].end_ns >= snaps.items[i].begin_ns);
	}
	assert_true(ours(folder));
	assert_int_equal(snap_check(snaps.items, 2, &e), 0);
	assert_int_equal(snap_drop(snaps.items, 2, &how, &e), 0);
	assert_int_equal(snap_drop(snaps.items, 2, &how, &e), 0);
	assert_int_equal(recover(j), 0);
}

static void zfs_takes_and_drops(void **state)
{
	(void)state;
	takes_and_drops(SNAP_ZFS, "d");
	autofree char *log = get("log");
	/* Both in one command. */
	assert_non_null(strstr(log, "zfs snapshot -o org.vmkeep:set=" SET
				    " tank/a@vmkeep_"));
	const char *one = strstr(log, "zfs snapshot");
	assert_null(strstr(one + 1, "zfs snapshot"));
	assert_false(ours("d"));
	assert_true(there("d/tank%a@autosnap_1"));
	assert_true(there("d/tank%a@vmkeep_20200101T000000Z_00000000"));
}

static void lvm_takes_and_drops(void **state)
{
	(void)state;
	takes_and_drops(SNAP_LVM_THIN, "lv");
	assert_false(ours("lv"));
}

/* Call 1, 2, 3 ... goes wrong, until all goes well: nothing of ours is left
 * by the call itself or by recovery. */
static void every_call(enum snap_kind kind, const char *folder,
		       const char *what, unsigned deadline_ms)
{
	size_t calls = 0;

	for (size_t n = 1;; n++) {
		AUTO(snap_plan_fini) struct snap_plan plan = plan_of(kind);
		AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
		struct snap_how how = { .deadline_ms = deadline_ms };

		fresh(NULL);
		AUTO(journal_free_at) struct journal *j = journal();
		how.journal = j;
		trouble(n, what);
		int rc = snap_take(&plan, SET, &how, &snaps, &e);
		autofree char *count = get("calls");
		calls = strtoul(count, NULL, 10);
		trouble(0, "");
		if (rc == 0) {
			assert_true(calls < n);
			assert_true(n > 2);
			return;
		}
		assert_true(e.msg[0] != '\0');
		assert_int_equal(snaps.count, 0);
		if (recover(j) < 0)
			fail_msg("%zu %s: %s", n, what, e.msg);
		autofree char *log = get("log");
		if (ours(folder))
			fail_msg("%zu %s leaves: %s", n, what, log);
	}
}

static void zfs_every_call_fails(void **state)
{
	(void)state;
	every_call(SNAP_ZFS, "d", "fail", 5000);
}

static void zfs_every_call_talks_nonsense(void **state)
{
	(void)state;
	every_call(SNAP_ZFS, "d", "garbage", 5000);
}

static void lvm_every_call_fails(void **state)
{
	(void)state;
	every_call(SNAP_LVM_THIN, "lv", "fail", 5000);
}

static void lvm_every_call_talks_nonsense(void **state)
{
	(void)state;
	every_call(SNAP_LVM_THIN, "lv", "garbage", 5000);
}

/* One that hangs is given up at the deadline. */
static void a_hang_ends(void **state)
{
	AUTO(snap_plan_fini) struct snap_plan plan = plan_of(SNAP_ZFS);
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	struct snap_how how = { .deadline_ms = 300 };

	(void)state;
	trouble(1, "hang");
	was_made = false;
	how.made = made;
	assert_int_equal(snap_take(&plan, SET, &how, &snaps, &e), -1);
	assert_non_null(strstr(e.msg, "longer than"));
	assert_false(was_made);
}

static void no_program_is_no_storage(void **state)
{
	AUTO(snap_plan_fini) struct snap_plan plan = plan_of(SNAP_ZFS);
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	struct snap_how how = { .deadline_ms = 5000 };
	struct snap one = { .kind = SNAP_ZFS,
			    .volume = (char[]){ "tank/a" },
			    .name = (char[]){ "vmkeep_20260101T000000Z_"
					      "1f2e3d4c" },
			    .guid = (char[]){ "1" },
			    .set = (char[]){ SET },
			    .fs = (char[]){ "" } };
	autofree char *path = mem_strdup(getenv("PATH"));

	(void)state;
	setenv("PATH", "/nowhere", 1);
	int listed = snap_list(NULL, &snaps, &e);
	int took = snap_take(&plan, SET, &how, &snaps, &e);
	int code = (int)e.code;
	/* It is not gone: it cannot be seen. */
	int dropped = snap_drop(&one, 1, &how, &e);
	setenv("PATH", path, 1);
	assert_int_equal(listed, 0);
	assert_int_equal(snaps.count, 0);
	assert_int_equal(took, -1);
	assert_int_equal(code, ERR_REFUSED);
	assert_int_equal(dropped, -1);
}

/* What another has made under our name, or has touched, stays. */
static void not_ours_stays(void **state)
{
	AUTO(snap_plan_fini) struct snap_plan plan = plan_of(SNAP_ZFS);
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	struct snap_how how = { .deadline_ms = 5000 };
	autofree char *file = NULL;

	(void)state;
	assert_int_equal(snap_take(&plan, SET, &how, &snaps, &e), 0);
	file = mem_fmt("d/tank%%a@%s", snaps.items[0].name);

	put(file, "org.vmkeep:set=" SET "\nguid=5\n");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	put(file, "org.vmkeep:set=22222222\n");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	put(file, "");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	put(file, "org.vmkeep:set=" SET "\nuserrefs=1\n");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_non_null(strstr(e.msg, "keep me"));
	put(file, "org.vmkeep:set=" SET "\nclones=tank/mine\n");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_non_null(strstr(e.msg, "tank/mine"));
	assert_true(there(file));
	put(file, "org.vmkeep:set=" SET "\n");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), 0);
	assert_false(there(file));
}

static void full_is_told(void **state)
{
	AUTO(snap_plan_fini) struct snap_plan zfs = plan_of(SNAP_ZFS);
	AUTO(snap_plan_fini) struct snap_plan lvm = plan_of(SNAP_LVM_THIN);
	struct snap_how how = { .deadline_ms = 5000 };

	(void)state;
	assert_int_equal(snap_ready(&lvm, &how, &e), 0);
	put("lv/vg%pool", "|||90.01|5.00|thin,pool|-1|0|2\n");
	assert_int_equal(snap_ready(&lvm, &how, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	put("lv/vg%pool", "|||50.00|91.00|thin,pool|-1|0|2\n");
	assert_int_equal(snap_ready(&lvm, &how, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	put("lv/vg%pool", "|||50.00|5.00|thin,pool|-1|0|2\n");
	put("available", "1000000\n");
	assert_int_equal(snap_ready(&lvm, &how, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_int_equal(snap_ready(&zfs, &how, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	put("available", "many\n");
	assert_int_equal(snap_ready(&zfs, &how, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

static void overflow_is_told(void **state)
{
	AUTO(snap_plan_fini) struct snap_plan plan = plan_of(SNAP_LVM_THIN);
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	struct snap_how how = { .deadline_ms = 5000 };
	autofree char *file = NULL;
	autofree char *state_text = NULL;
	const char *tags = "vmkeep,vmkeep.set." SET;

	(void)state;
	assert_int_equal(snap_take(&plan, SET, &how, &snaps, &e), 0);
	file = mem_fmt("lv/vg%%%s", snaps.items[1].name);
	assert_int_equal(snap_check(snaps.items, 2, &e), 0);

	state_text = mem_fmt("thick||%s|80.00||linear|0|0|3\n", tags);
	put(file, state_text);
	assert_int_equal(snap_check(snaps.items, 2, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	free(state_text);
	state_text = mem_fmt("thick||%s|||linear|1|0|3\n", tags);
	put(file, state_text);
	assert_int_equal(snap_check(snaps.items, 2, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_null(snap_view_open(&snaps.items[1], &how, &e));
	assert_int_equal(e.code, ERR_NO_SPACE);
	put("lv/vg%pool", "|||95.00|5.00|thin,pool|-1|0|2\n");
	assert_int_equal(snap_check(snaps.items, 1, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_int_equal(snap_drop(snaps.items, 2, &how, &e), 0);
}

/* An LV that is open, or has a snapshot of somebody's, or is another. */
static void lv_not_ours_stays(void **state)
{
	AUTO(snap_plan_fini) struct snap_plan plan = plan_of(SNAP_LVM_THIN);
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	struct snap_how how = { .deadline_ms = 5000 };
	autofree char *file = NULL;
	autofree char *child = NULL;

	(void)state;
	assert_int_equal(snap_take(&plan, SET, &how, &snaps, &e), 0);
	file = mem_fmt("lv/vg%%%s", snaps.items[0].name);

	put(file, "thin|pool||1.00||thin,sparse|-1|0|7\n");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	put(file,
	    "thin|pool|vmkeep,vmkeep.set." SET "|1.00||thin,sparse|-1|1|7\n");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	put(file,
	    "thin|pool|vmkeep,vmkeep.set." SET "|1.00||thin,sparse|-1|0|7\n");
	child = mem_fmt("%s||||1.00|linear|0|0|9\n", snaps.items[0].name);
	put("lv/vg%mine", child);
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_non_null(strstr(e.msg, "mine"));
	assert_true(there(file));
	free(snaps.items[0].guid);
	snaps.items[0].guid = mem_strdup("other");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	/* The VG is not there: that is not "gone". */
	free(snaps.items[0].volume);
	snaps.items[0].volume = mem_strdup("away/thin");
	assert_int_equal(snap_drop(snaps.items, 1, &how, &e), -1);
}

static void lists_ours(void **state)
{
	AUTO(snap_plan_fini) struct snap_plan zfs = plan_of(SNAP_ZFS);
	AUTO(snap_plan_fini) struct snap_plan lvm = plan_of(SNAP_LVM_THIN);
	AUTO(snaps_fini) struct snaps a = { .items = NULL };
	AUTO(snaps_fini) struct snaps b = { .items = NULL };
	AUTO(snaps_fini) struct snaps all = { .items = NULL };
	struct snap_how how = { .deadline_ms = 5000 };

	(void)state;
	assert_int_equal(snap_take(&zfs, SET, &how, &a, &e), 0);
	assert_int_equal(snap_take(&lvm, SET, &how, &b, &e), 0);
	assert_int_equal(snap_list(NULL, &all, &e), 0);
	assert_int_equal(all.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(all.items[i].set, SET);
	assert_string_equal(all.items[0].guid, a.items[0].guid);
}

static int group_setup(void **state)
{
	const char *data = getenv("VMKEEP_TEST_DATA");
	autofree char *path = NULL;
	autofree char *fakes = NULL;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/vmkeep-snap-%d", getpid());
	fakes = mem_fmt("%s/../snap", data ? data : "test/data");
	autofree char *whole = realpath(fakes, NULL);
	assert_non_null(whole);
	free(fakes);
	fakes = mem_fmt("%s/fake", whole);
	path = mem_fmt("%s:%s", fakes, getenv("PATH"));
	setenv("PATH", path, 1);
	setenv("FAKE", dir, 1);
	return 0;
}

static int group_teardown(void **state)
{
	const char *argv[] = { "rm", "-rf", dir, NULL };
	struct proc_run r = { .argv = argv };

	(void)state;
	return proc_run(&r, NULL, &e);
}

#define TEST(fn) cmocka_unit_test_setup(fn, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(zfs_takes_and_drops),  TEST(lvm_takes_and_drops),
		TEST(zfs_every_call_fails), TEST(zfs_every_call_talks_nonsense),
		TEST(lvm_every_call_fails), TEST(lvm_every_call_talks_nonsense),
		TEST(a_hang_ends),          TEST(no_program_is_no_storage),
		TEST(not_ours_stays),       TEST(full_is_told),
		TEST(overflow_is_told),     TEST(lv_not_ours_stays),
		TEST(lists_ours),
	};

	return cmocka_run_group_tests_name("snap_tools", tests, group_setup,
					   group_teardown);
}
