/* SPDX-License-Identifier: Apache-2.0 */

/* Where the disks of a point go. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "job/describe.h"
#include "job/target.h"

static struct err e;
static char dir[] = "/tmp/vmkeep-target-XXXXXX";

struct fixture {
	struct set set;
	struct point *point;
	struct targets t;
};

static void add_disk(struct point *p, const char *name, const char *format)
{
	struct image *i = point_add_image(p);

	i->kind = IMAGE_DISK;
	i->name = mem_strdup(name);
	attrs_set(&i->attrs, ATTR_FORMAT, format);
}

static struct fixture two_disks(const char *name)
{
	struct fixture f = { .point = NULL };

	f.point = set_add_point(&f.set);
	f.point->name = mem_strdup(name);
	add_disk(f.point, "vda", "qcow2");
	add_disk(f.point, "vdb", "raw");
	return f;
}

static void fixture_fini(struct fixture *f)
{
	targets_fini(&f->t);
	set_fini(&f->set);
}

static int plan(struct fixture *f, const char *to, char **disks, size_t count)
{
	const struct job_restore asked = { .to = to,
					   .disks = disks,
					   .disk_count = count };

	err_clear(&e);
	return targets_plan(&asked, f->point, &f->t, &e);
}

static void into_a_folder(void **state)
{
	AUTO(fixture_fini) struct fixture f = two_disks("../we\nb1");

	(void)state;
	assert_int_equal(plan(&f, dir, NULL, 0), 0);
	assert_int_equal(f.t.count, 2);
	assert_true(f.t.whole);
	autofree char *first = mem_fmt("%s/_._we_b1-vda.qcow2", dir);

	assert_string_equal(f.t.items[0].path, first);
	assert_string_equal(f.t.items[1].format, "raw");
}

static void a_name_is_cut_between_characters(void **state)
{
	char name[256] = "x";
	AUTO(fixture_fini) struct fixture f = { .point = NULL };

	(void)state;
	for (size_t i = 1; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xbc", 3);
	f = two_disks(name);
	assert_int_equal(plan(&f, dir, NULL, 0), 0);
	assert_int_equal(strlen(f.t.stem), 179);
}

static void an_images_name_leads_nowhere_else(void **state)
{
	AUTO(fixture_fini) struct fixture f = two_disks("web1");

	(void)state;
	add_disk(f.point, "../../etc/x", "raw");
	assert_int_equal(plan(&f, dir, NULL, 0), 0);
	assert_non_null(strstr(f.t.items[2].path, "/web1-"));
	assert_null(strchr(f.t.items[2].path + strlen(dir) + 1, '/'));
}

static void two_disks_need_two_places(void **state)
{
	AUTO(fixture_fini) struct fixture f = two_disks("web1");
	char a[] = "vda=/nowhere/a";
	char b[] = "vdb=/nowhere/a";
	char *same[] = { a, b };

	(void)state;
	assert_int_equal(plan(&f, NULL, same, 2), -1);
	assert_int_equal(e.code, ERR_USAGE);
}

static void what_is_there_stays(void **state)
{
	AUTO(fixture_fini) struct fixture f = two_disks("web1");
	autofree char *path = mem_fmt("%s/there", dir);
	autofree char *pair = mem_fmt("vdb=%s", path);
	char *disks[] = { pair };

	(void)state;
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(plan(&f, dir, disks, 1), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	unlink(path);
}

static void make_file(const char *path, const char *head)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, head, 4), 4);
	close(fd);
}

static int plan_in_place(struct fixture *f, char *pair)
{
	char *disks[] = { pair };
	const struct job_restore asked = {
		.to = dir, .disks = disks, .disk_count = 1, .in_place = true
	};

	err_clear(&e);
	return targets_plan(&asked, f->point, &f->t, &e);
}

/* vda is qcow2, vdb raw. */
static void in_place_a_file_is_what_it_was(void **state)
{
	static const struct {
		const char *disk;
		const char *head;
		int result;
	} cases[] = {
		{ "vda", "QFI\xfb", 0 },
		{ "vda", "raw?", -1 },
		{ "vdb", "raw!", 0 },
		{ "vdb", "QFI\xfb", -1 },
	};
	autofree char *path = mem_fmt("%s/there", dir);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(fixture_fini) struct fixture f = two_disks("web1");
		autofree char *pair = mem_fmt("%s=%s", cases[i].disk, path);

		make_file(path, cases[i].head);
		assert_int_equal(plan_in_place(&f, pair), cases[i].result);
		if (cases[i].result < 0)
			assert_int_equal(e.code, ERR_REFUSED);
		else
			assert_true(f.t.items[i >= 2].there);
	}
	unlink(path);
}

/* An old file of a restore that failed is not removed. */
static void undoing_spares_old_files(void **state)
{
	AUTO(fixture_fini) struct fixture f = two_disks("web1");
	autofree char *path = mem_fmt("%s/there", dir);
	autofree char *pair = mem_fmt("vdb=%s", path);

	(void)state;
	make_file(path, "raw!");
	assert_int_equal(plan_in_place(&f, pair), 0);
	targets_undo(&f.t);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

/* A VM that writes to a raw file holds QEMU's lock for that. */
static void a_file_in_use_is_left_alone(void **state)
{
	struct flock lock = { .l_type = F_RDLCK,
			      .l_whence = SEEK_SET,
			      .l_start = 101,
			      .l_len = 1 };
	autofree char *path = mem_fmt("%s/there", dir);

	(void)state;
	err_clear(&e);
	make_file(path, "raw!");
	int vm = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(vm, F_OFD_SETLK, &lock), 0);
	assert_int_equal(target_open_raw(path, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	close(vm);
	err_clear(&e);
	int fd = target_open_raw(path, &e);

	assert_true(fd >= 0);
	close(fd);
	make_file(path, "QFI\xfb");
	assert_int_equal(target_open_raw(path, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	unlink(path);
}

static void some_disks_are_not_the_whole(void **state)
{
	AUTO(fixture_fini) struct fixture f = two_disks("web1");
	char b[] = "vdb=/nowhere/b";
	char c[] = "vdc=/nowhere/c";
	char *one[] = { b };
	AUTO(fixture_fini) struct fixture g = two_disks("web1");
	char *none[] = { c };

	(void)state;
	assert_int_equal(plan(&f, NULL, one, 1), 0);
	assert_false(f.t.whole);
	assert_int_equal(f.t.count, 1);
	assert_string_equal(f.t.folder, "/nowhere");
	assert_int_equal(plan(&g, NULL, none, 1), -1);
	assert_int_equal(e.code, ERR_USAGE);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(into_a_folder),
		cmocka_unit_test(a_name_is_cut_between_characters),
		cmocka_unit_test(an_images_name_leads_nowhere_else),
		cmocka_unit_test(two_disks_need_two_places),
		cmocka_unit_test(what_is_there_stays),
		cmocka_unit_test(in_place_a_file_is_what_it_was),
		cmocka_unit_test(undoing_spares_old_files),
		cmocka_unit_test(a_file_in_use_is_left_alone),
		cmocka_unit_test(some_disks_are_not_the_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
