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
		cmocka_unit_test(some_disks_are_not_the_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
