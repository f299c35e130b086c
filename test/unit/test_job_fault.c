/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Points held on this host where call 1, 2, 3 ... goes wrong, until all goes
 * well: a set is there whole or not at all, and what is left goes with the
 * next sweep, or with recovery.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "fail.h"
#include "job/describe.h"
#include "job/local.h"
#include "job/revert.h"
#include "job/revert_journal.h"
#include "job/snapuse.h"

#define VOLUME "tank/a"
#define NAME   "vmkeep_20261120T163005Z_1f2e3d4c"
#define SET_ID "1f2e3d4c00000000000000000000beef"

struct place {
	char root[64];
	char *local, *state, *fake, *ram;
	struct job job;
	struct err e;
};

static void shell(const char *format, const char *path)
{
	autofree char *command = mem_fmt("%s '%s'", format, path);

	assert_int_equal(system(command), 0);
}

static void put(const struct place *p, const char *name, const char *text)
{
	autofree char *path = path_join(p->fake, name);
	struct err e = ERR_INIT;

	assert_int_equal(file_save(path, 0600, text, strlen(text), &e), 0);
}

/* The dataset and its one snapshot of ours, as ../snap/fake/zfs has them. */
static void fresh(struct place *p)
{
	autofree char *datasets = path_join(p->fake, "d");

	shell("rm -rf", p->root);
	assert_int_equal(dir_make(datasets, 0700, &p->e), 0);
	put(p, "calls", "0\n");
	put(p, "log", "");
	put(p, "trouble", "0\n");
	put(p, "d/tank", "");
	put(p, "d/tank%a", "");
	put(p, "d/tank%a@" NAME, "org.vmkeep:set=" SET_ID "\n");
	assert_int_equal(file_save(p->ram, 0600, "RAM", 3, &p->e), 0);
	err_clear(&p->e);
}

static int set_up(void **state)
{
	struct place *p = mem_zalloc(1, sizeof(*p));

	strcpy(p->root, "/tmp/vmkeep-fault-XXXXXX");
	assert_non_null(mkdtemp(p->root));
	p->local = path_join(p->root, "local");
	p->state = path_join(p->root, "state");
	p->fake = path_join(p->root, "fake");
	p->ram = path_join(p->root, "dump");
	p->job = (struct job){
		.state_dir = p->state,
		.local_dir = p->local,
		.talk = &talk_none,
	};
	setenv("FAKE", p->fake, 1);
	fresh(p);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	shell("rm -rf", p->root);
	free(p->local);
	free(p->state);
	free(p->fake);
	free(p->ram);
	free(p);
	return 0;
}

static bool exists(const char *dir, const char *name)
{
	autofree char *path = path_join(dir, name);

	return file_exists(path);
}

static size_t entries(const char *dir)
{
	autofree char *command =
		mem_fmt("find '%s' -mindepth 1 2>&- | wc -l", dir);
	FILE *f = popen(command, "re");
	size_t n = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu", &n), 1);
	pclose(f);
	return n;
}

/* ---- making ----------------------------------------------------------------
 */

static void add_disk(struct point *to)
{
	const struct snap snap = {
		.kind = SNAP_ZFS,
		.volume = (char[]){ VOLUME },
		.name = (char[]){ NAME },
		.guid = (char[]){ "" },
		.set = (char[]){ SET_ID },
		.fs = (char[]){ "" },
		.begin_ns = 1,
		.end_ns = 2,
	};

	local_add_disk(to, &(struct local_disk){
				   .target = "vda",
				   .format = "qcow2",
				   .source = "/srv/vm/a.qcow2",
				   .size = 1 << 20,
				   .snap = &snap,
				   .inside = "a.qcow2",
			   });
}

static int add_point(struct place *p, struct local_new *l, struct set *set,
		     uint8_t id)
{
	struct point *to = set_add_point(set);
	AUTO(buf_fini) struct buf xml = BUF_INIT;

	to->name = mem_fmt("web%u", id);
	memset(to->id.b, id, ID_SIZE);
	to->time_ns = id;
	add_disk(to);
	wr_bytes(&xml, "<domain/>", 9);
	if (local_add_bytes(l, to, IMAGE_XML, IMAGE_LIVE_XML, &xml, &p->e) < 0)
		return -1;
	return local_add_file(l, to, IMAGE_STREAM, IMAGE_MEMORY, p->ram, &p->e);
}

/* Two points; *committed: it is there, whatever was said. */
static int make(struct place *p, bool *committed)
{
	AUTO(set_fini) struct set set = { 0 };
	AUTO(local_free_at)
	struct local_new *l = local_begin(p->local, &p->e);
	int ok = -1;

	*committed = false;
	if (l == NULL)
		return -1;
	if (add_point(p, l, &set, 1) == 0 && add_point(p, l, &set, 2) == 0)
		ok = local_commit(l, &set, &p->e);
	*committed = local_committed(l);
	return ok;
}

static void load(struct place *p, struct catalog *c)
{
	memset(c, 0, sizeof(*c));
	assert_int_equal(local_load(p->local, c, &p->e), 0);
	assert_int_equal(c->damaged_count, 0);
}

static void whole(struct place *p, const struct set *set,
		  const struct point *point)
{
	static const char *const names[] = { IMAGE_LIVE_XML, IMAGE_MEMORY };

	for (size_t i = 0; i < 2; i++) {
		autofree char *file =
			local_file(p->local, set, point_image(point, names[i]));
		AUTO(buf_fini) struct buf b = BUF_INIT;

		assert_int_equal(file_load(file, 100, &b, &p->e), 0);
		assert_int_equal(b.len, i == 0 ? 9 : 3);
	}
}

static void all_whole(struct place *p, const struct catalog *c)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].point_count; k++)
			whole(p, &c->sets[i], &c->sets[i].points[k]);
}

/* One that says what, and of which file. */
static void clear(const struct place *p, unsigned n)
{
	if (p->e.code == ERR_NONE || strchr(p->e.msg, '\'') == NULL)
		fail_msg("call %u: '%s'", n, p->e.msg);
}

static void making(void **state)
{
	struct place *p = *state;
	bool came = true;

	for (unsigned n = 1; came; n++) {
		AUTO(catalog_fini) struct catalog c;
		bool committed;

		fresh(p);
		fail_at(n, ENOSPC);
		int ok = make(p, &committed);

		came = fail_came();
		fail_at(0, 0);
		if (ok < 0)
			clear(p, n);
		assert_true(ok < 0 || committed);
		assert_true(came || ok == 0);
		local_sweep(p->local);
		load(p, &c);
		assert_int_equal(c.count, committed);
		all_whole(p, &c);
		/* the place's lock; of a set its folder, record and files */
		if (entries(p->local) > (committed ? 7 : 1))
			fail_msg("call %u leaves something", n);
	}
}

/* ---- letting go ------------------------------------------------------------
 */

static int forget(struct place *p, uint8_t id)
{
	AUTO(catalog_fini) struct catalog c;
	struct catalog_hit hit = { .set = NULL };

	load(p, &c);
	for (size_t i = 0; i < c.count; i++)
		for (size_t k = 0; k < c.sets[i].point_count; k++)
			if (c.sets[i].points[k].id.b[0] == id)
				hit = (struct catalog_hit){
					&c.sets[i], &c.sets[i].points[k]
				};
	if (hit.set == NULL)
		return 0;
	return local_forget(&p->job, hit.set, hit.point, false, &p->e);
}

static void heard(void *ctx, const char *id, const char *text, int failed)
{
	(void)id;
	if (failed)
		fail_msg("%s", text);
	(*(size_t *)ctx)++;
}

static void recover(struct place *p)
{
	size_t count = 0;
	const struct snap_use_recover r = {
		.job = &p->job,
		.ctx = &count,
		.note = heard,
	};

	assert_int_equal(snap_use_recover(&r, &p->e), 0);
	assert_int_equal(entries(p->state), 0);
}

static bool snapped(const struct place *p)
{
	return exists(p->fake, "d/tank%a@" NAME);
}

/* The first of two keeps the snapshot, the last takes it along. */
static void forgetting(void **state)
{
	struct place *p = *state;
	bool came = true;

	for (unsigned n = 1; came; n++) {
		AUTO(catalog_fini) struct catalog c;
		bool committed;

		fresh(p);
		assert_int_equal(make(p, &committed), 0);
		assert_int_equal(forget(p, 1), 0);
		assert_true(snapped(p));

		AUTO(catalog_fini) struct catalog now;

		load(p, &now);
		fail_at(n, EIO);
		int ok = local_forget(&p->job, &now.sets[0],
				      &now.sets[0].points[0], false, &p->e);

		came = fail_came();
		fail_at(0, 0);
		if (ok < 0)
			clear(p, n);
		assert_true(came || ok == 0);
		recover(p);
		load(p, &c);
		/* there with its snapshot, or gone with it */
		assert_true(c.count == 0 || ok < 0);
		assert_int_equal(c.count, snapped(p));
		all_whole(p, &c);
		assert_int_equal(forget(p, 2), 0);
		assert_false(snapped(p));
		local_sweep(p->local);
		assert_int_equal(entries(p->local), 1);
		assert_int_equal(entries(p->state), 0);
	}
}

/* A program that fails leaves it to recovery. */
static void storage_fails(void **state)
{
	struct place *p = *state;

	for (unsigned n = 1; n < 4; n++) {
		AUTO(catalog_fini) struct catalog c;
		autofree char *trouble = mem_fmt("%u fail\n", n);
		bool committed;

		fresh(p);
		assert_int_equal(make(p, &committed), 0);
		assert_int_equal(forget(p, 1), 0);
		put(p, "calls", "0\n");
		put(p, "trouble", trouble);
		(void)!forget(p, 2);
		put(p, "trouble", "0\n");
		load(p, &c);
		assert_int_equal(c.count, 0);
		recover(p);
		assert_false(snapped(p));
	}
}

/* ---- what a revert leaves --------------------------------------------------
 */

#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

static int begin_and_end(struct place *p)
{
	struct domain_info d = { .name = (char[]){ "web1" }, .uuid = UUID };
	struct result_revert what = { .point = (char[]){ SET_ID } };
	struct revert_journal *r =
		revert_journal_begin(&p->job, &d, &what, &p->e);

	if (r == NULL)
		return -1;
	assert_int_equal(revert_pending(&p->job, UUID, &p->e), -1);
	assert_int_equal(p->e.code, ERR_BUSY);
	err_clear(&p->e);
	int ok = revert_journal_end(r, &p->e);

	revert_journal_free(r);
	return ok;
}

/* Nothing was begun, or all is done: nobody is told that a revert was cut
 * short. */
static void reverting(void **state)
{
	struct place *p = *state;
	bool came = true;

	for (unsigned n = 1; came; n++) {
		fresh(p);
		assert_int_equal(dir_make(p->state, 0700, &p->e), 0);
		fail_at(n, ENOSPC);
		int ok = begin_and_end(p);

		came = fail_came();
		fail_at(0, 0);
		if (ok < 0)
			clear(p, n);
		assert_true(came || ok == 0);
		if (revert_pending(&p->job, UUID, &p->e) < 0) {
			/* only where it could not be removed */
			assert_true(ok < 0);
			assert_int_equal(begin_and_end(p), 0);
		}
		assert_int_equal(entries(p->state), 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(making),
		TEST(forgetting),
		TEST(storage_fails),
		TEST(reverting),
	};
	const char *data = getenv("VMKEEP_TEST_DATA");
	autofree char *fakes =
		mem_fmt("%s/../snap/fake", data ? data : "test/data");
	autofree char *whole = realpath(fakes, NULL);
	autofree char *path = mem_fmt("%s:%s", whole, getenv("PATH"));

	setenv("PATH", path, 1);
	return cmocka_run_group_tests_name("job_fault", tests, NULL, NULL);
}
