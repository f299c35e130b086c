/* SPDX-License-Identifier: Apache-2.0 */

/* What the kernel and the tools of storage print, and what becomes of it. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "snap/traits_parse.h"

static void options(void **state)
{
	(void)state;
	assert_true(traits_has_option("rw,nodatacow,subvol=/x", "nodatacow"));
	assert_true(traits_has_option("nodatacow", "nodatacow"));
	assert_false(traits_has_option("rw,nodatacows", "nodatacow"));
	assert_false(traits_has_option("rw,xnodatacow", "nodatacow"));
	assert_false(traits_has_option("", "nodatacow"));
	assert_false(traits_has_option(NULL, "nodatacow"));
}

/* A dataset, a zvol, an LV, what is mounted from another LV. */
static struct traits four(void)
{
	struct traits t = { .volumes = mem_zalloc(4, sizeof(*t.volumes)),
			    .volume_count = 4 };

	for (size_t i = 0; i < 4; i++)
		t.volumes[i].pool = TRAITS_NONE;
	t.volumes[0].kind = TRAITS_DATASET;
	t.volumes[0].name = mem_strdup("tank/vm");
	t.volumes[0].fs = mem_strdup("zfs");
	t.volumes[1].kind = TRAITS_ZVOL;
	t.volumes[1].name = mem_strdup("tank/my vol");
	t.volumes[2].name = mem_strdup("/dev/dm-4");
	t.volumes[2].major = 254;
	t.volumes[2].minor = 4;
	t.volumes[3].name = mem_strdup("/srv");
	t.volumes[3].fs = mem_strdup("ext4");
	t.volumes[3].major = 254;
	t.volumes[3].minor = 5;
	return t;
}

static void zfs_properties(void **state)
{
	struct traits t = four();

	(void)state;
	traits_parse_zfs("tank/vm\trecordsize\t131072\n"
			 "tank/vm\tvolblocksize\t-\n"
			 "tank/vm\trefreservation\t0\n"
			 "tank/vm\tcompression\tlz4\n"
			 "tank/vm\tsync\tdisabled\n"
			 "tank/vm\tdirect\tstandard\n"
			 "tank/my vol\trecordsize\t-\n"
			 "tank/my vol\tvolblocksize\t8192\n"
			 "tank/my vol\tvolsize\t1073741824\n"
			 "tank/my vol\trefreservation\t1107820544\n"
			 "tank/my vol\treferenced\t57344\n"
			 "tank/my vol\tcompression\toff\n"
			 "tank/my vol\tsync\tstandard\n"
			 "tank/my vol\tdirect\t-\n"
			 "/srv\trecordsize\t1\n"
			 "tank/vm\trecordsize\n"
			 "tank/vm\trecordsize\t1\tlocal\n"
			 "other\trecordsize\t1\n"
			 "tank/vm",
			 &t);
	assert_int_equal(t.volumes[0].block, 131072);
	assert_true(t.volumes[0].compressed && t.volumes[0].sync_off &&
		    t.volumes[0].direct);
	assert_int_equal(t.volumes[1].block, 8192);
	assert_int_equal(t.volumes[1].volsize, 1073741824);
	assert_int_equal(t.volumes[1].reservation, 1107820544);
	assert_int_equal(t.volumes[1].referenced, 57344);
	assert_false(t.volumes[1].compressed || t.volumes[1].sync_off ||
		     t.volumes[1].direct);
	assert_int_equal(t.volumes[3].block, 0);
	traits_fini(&t);
}

static void zpools(void **state)
{
	struct traits t = { .files = NULL };

	(void)state;
	assert_int_equal(traits_pool_of(&t, true, "tank"), 0);
	assert_int_equal(traits_pool_of(&t, true, "ssd"), 1);
	assert_int_equal(traits_pool_of(&t, false, "tank"), 2);
	assert_int_equal(traits_pool_of(&t, true, "tank"), 0);
	traits_parse_zpools("tank\t1000\t810\t81\tDEGRADED\t12\n"
			    "ssd\t1000\t10\t1\tONLINE\t0\n"
			    "other\t1\t1\t1\tONLINE\t9\n"
			    "tank\t5\n",
			    &t);
	assert_int_equal(t.pools[0].size, 1000);
	assert_int_equal(t.pools[0].used, 810);
	assert_int_equal(t.pools[0].data, 81);
	assert_string_equal(t.pools[0].health, "DEGRADED");
	assert_int_equal(t.pools[0].ashift, 12);
	assert_int_equal(t.pools[1].ashift, 0);
	assert_null(t.pools[2].health);
	traits_fini(&t);
	assert_int_equal(traits_parse_zdb("a\n  ashift: 12\n ashift: 9\n"), 9);
	assert_int_equal(traits_parse_zdb("ashift: 0\nashift: 99\nashift: x"),
			 0);
	assert_int_equal(traits_parse_zdb(""), 0);
}

/* As lvs of LVM 2.03.16 prints it. */
static void lvs(void **state)
{
	struct traits t = four();

	(void)state;
	traits_parse_lvs(
		"  vg\tpool\t254\t3\tthin,pool\t\t1073741824\t83.51\t12.00\t"
		"queue\t5368709120\n"
		"  vg\tweb\t254\t4\tthin,sparse\tpool\t2147483648\t40.00\t\t\t"
		"5368709120\n"
		"  vg\tdb\t254\t6\tthin,sparse\tpool\t1073741824\t10.00\t\t\t"
		"5368709120\n"
		"  vg\tsrv\t254\t5\tlinear\t\t4194304\t\t\t\t5368709120\n"
		"  vg\toff\t-1\t-1\tlinear\t\t4194304\t\t\t\t5368709120\n"
		"  torn\n",
		&t);
	assert_string_equal(t.volumes[2].name, "vg/web");
	assert_int_equal(t.volumes[2].kind, TRAITS_THIN);
	assert_int_equal(t.volumes[2].pool, 0);
	assert_string_equal(t.volumes[3].name, "/srv");
	assert_int_equal(t.volumes[3].kind, TRAITS_PLAIN);
	assert_int_equal(t.volumes[3].pool, TRAITS_NONE);
	assert_int_equal(t.pool_count, 1);
	assert_string_equal(t.pools[0].name, "vg/pool");
	assert_int_equal(t.pools[0].data, 83);
	assert_int_equal(t.pools[0].metadata, 12);
	assert_int_equal(t.pools[0].vg_free, 5368709120);
	assert_int_equal(t.pools[0].promised, 3221225472);
	assert_false(t.pools[0].errors_when_full || t.pools[0].zfs);
	traits_fini(&t);
	assert_int_equal(
		traits_parse_autoextend("thin_pool_autoextend_threshold=100\n"),
		100);
	assert_int_equal(traits_parse_autoextend("x=999"), 0);
	assert_int_equal(traits_parse_autoextend("none"), 0);
}

static void thick_lv(void **state)
{
	struct traits t = four();

	(void)state;
	traits_parse_lvs("  vg\tweb\t254\t4\tlinear\t\t4194304\t\t\t\t0\n", &t);
	assert_string_equal(t.volumes[2].name, "vg/web");
	assert_int_equal(t.volumes[2].kind, TRAITS_THICK);
	assert_int_equal(t.pool_count, 0);
	traits_fini(&t);
}

/* A folder and a file in it are on one volume, what is not there on none. */
static void real_files(void **state)
{
	char dir[] = "/tmp/traits.XXXXXX";
	const char *paths[3];
	struct traits t;

	(void)state;
	assert_non_null(mkdtemp(dir));
	autofree char *file = mem_fmt("%s/file", dir);
	autofree char *none = mem_fmt("%s/none", dir);
	int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	paths[0] = dir;
	paths[1] = file;
	paths[2] = none;
	traits_read(paths, 3, &t);
	assert_int_equal(t.volume_count, 1);
	assert_int_equal(t.files[0].volume, 0);
	assert_int_equal(t.files[1].volume, 0);
	assert_int_equal(t.files[2].volume, TRAITS_NONE);
	assert_non_null(t.volumes[0].fs);
	assert_true(t.volumes[0].size >= t.volumes[0].free);
	assert_true(t.volumes[0].size > 0);
	traits_fini(&t);
	unlink(file);
	rmdir(dir);
}

static void cow_and_disks(void **state)
{
	struct traits t = four();
	struct traits_file f = { .volume = 0 };
	char a[] = "sda", b[] = "sdb";
	char *one[] = { a }, *two[] = { b, a }, *other[] = { b };
	struct traits_volume x = { .disks = one, .disk_count = 1 };
	struct traits_volume y = { .disks = two, .disk_count = 2 };
	struct traits_volume z = { .disks = other, .disk_count = 1 };

	(void)state;
	assert_true(traits_cow(&f, &t.volumes[0]));
	assert_true(traits_cow(&f, &t.volumes[1]));
	assert_false(traits_cow(&f, &t.volumes[2]));
	assert_false(traits_cow(&f, &t.volumes[3]));
	free(t.volumes[3].fs);
	t.volumes[3].fs = mem_strdup("btrfs");
	assert_true(traits_cow(&f, &t.volumes[3]));
	f.nocow = true;
	assert_false(traits_cow(&f, &t.volumes[3]));
	traits_fini(&t);
	assert_true(traits_same_disk(&x, &y));
	assert_true(traits_same_disk(&y, &z));
	assert_false(traits_same_disk(&x, &z));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(zfs_properties),
		cmocka_unit_test(zpools),
		cmocka_unit_test(lvs),
		cmocka_unit_test(thick_lv),
		cmocka_unit_test(real_files),
		cmocka_unit_test(cow_and_disks),
	};

	return cmocka_run_group_tests_name("snap/traits", tests, NULL, NULL);
}
