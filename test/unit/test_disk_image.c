/* SPDX-License-Identifier: Apache-2.0 */

/* Disks through a real qemu-nbd. */

#include "disk_kit.h"

#include <pthread.h>

#include "disk/extents.h"

static void raw_write_read(void **state)
{
	autofree char *path = at("a.raw");
	struct disk *d;

	(void)state;
	OK(disk_create(path, "raw", 8 * MIB, &e));
	d = open_ok(path, "raw", true, 1);
	assert_int_equal(disk_size(d), 8 * MIB);
	assert_int_equal(disk_connections(d), 1);
	assert_true(disk_helper(d) > 0);
	put(d, 0, 3 * MIB, 1);
	put(d, 5 * MIB + 13, 777, 1);
	OK(disk_flush(d, &e));
	disk_close(d);

	d = open_ok(path, "raw", false, 2);
	assert_int_equal(disk_connections(d), 2);
	expect(d, 0, 0, 3 * MIB, 1);
	expect(d, 1, 12345, 67891, 1);
	expect(d, 0, 5 * MIB + 13, 777, 1);
	expect_zero(d, 4 * MIB, MIB);
	disk_close(d);
}

static void created_as_said(void **state)
{
	autofree char *raw = at("new.raw");
	autofree char *qcow2 = at("new,odd=name:x.qcow2");
	struct stat st;
	struct disk *d;

	(void)state;
	OK(disk_create(raw, "raw", 64 * MIB + 1, &e));
	assert_int_equal(stat(raw, &st), 0);
	assert_int_equal(st.st_size, 64 * MIB + 1);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_blocks * 512 < MIB);

	OK(disk_create(qcow2, "qcow2", 64 * MIB, &e));
	assert_int_equal(stat(qcow2, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	d = open_ok(qcow2, "qcow2", false, 1);
	assert_int_equal(disk_size(d), 64 * MIB);
	assert_int_equal(data_bytes(d), 0);
	disk_close(d);

	assert_int_equal(disk_create(raw, "raw", MIB, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(disk_create("x", "vmdk", MIB, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
}

/* QEMU rounds lengths up to 512; what is beyond the true end stays away. */
static void odd_sizes(void **state)
{
	static const uint64_t sizes[] = { 1, 511, 513, 4097, MIB + 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		autofree char *name = mem_fmt("odd%zu", i);
		autofree char *path = at(name);
		uint64_t n = sizes[i];
		struct stat st;
		uint8_t byte;

		OK(disk_create(path, "raw", n, &e));
		struct disk *d = open_ok(path, "raw", true, 1);
		assert_int_equal(disk_size(d), n);
		put(d, 0, n, 3);
		expect(d, 0, 0, n, 3);
		assert_int_equal(disk_read(d, 0, n, 1, &byte, &e), -1);
		assert_int_equal(disk_write(d, 0, n, 1, &byte, &e), -1);
		assert_true(data_bytes(d) == n);
		OK(disk_zero(d, 0, 0, n, &e));
		expect_zero(d, 0, n);
		OK(disk_flush(d, &e));
		disk_close(d);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, n);
	}
}

static void empty_image(void **state)
{
	autofree char *path = at("empty");

	(void)state;
	OK(disk_create(path, "raw", 0, &e));
	struct disk *d = open_ok(path, "raw", false, 1);
	assert_int_equal(disk_size(d), 0);
	disk_close(d);
}

static void holes_are_not_data(void **state)
{
	static const char *const formats[] = { "raw", "qcow2" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		autofree char *name = mem_fmt("holes.%s", formats[i]);
		autofree char *path = at(name);
		uint64_t size;
		bool data;

		OK(disk_create(path, formats[i], 3ull << 30, &e));
		struct disk *d = open_ok(path, formats[i], true, 1);
		put(d, 2ull << 30, MIB, 5);
		put(d, (3ull << 30) - 65536, 65536, 5);
		OK(disk_flush(d, &e));
		disk_close(d);

		d = open_ok(path, formats[i], false, 1);
		assert_int_equal(data_bytes(d), MIB + 65536);
		/* Backwards, and in the middle of what is remembered. */
		OK(disk_extent(d, (2ull << 30) + 4096, &size, &data, &e));
		assert_true(data);
		assert_int_equal(size, MIB - 4096);
		OK(disk_extent(d, 5, &size, &data, &e));
		assert_false(data);
		disk_close(d);
	}
}

static void zero_deallocates(void **state)
{
	static const char *const formats[] = { "raw", "qcow2" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		autofree char *name = mem_fmt("zero.%s", formats[i]);
		autofree char *path = at(name);
		struct stat st;

		OK(disk_create(path, formats[i], 32 * MIB, &e));
		struct disk *d = open_ok(path, formats[i], true, 1);
		put(d, 0, 32 * MIB, 5);
		OK(disk_zero(d, 0, 2 * MIB, 28 * MIB, &e));
		OK(disk_flush(d, &e));
		expect(d, 0, 0, 2 * MIB, 5);
		expect_zero(d, 2 * MIB, 28 * MIB);
		expect(d, 0, 30 * MIB, 2 * MIB, 5);
		assert_int_equal(data_bytes(d), 4 * MIB);
		disk_close(d);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_blocks * 512 < 8 * MIB);
	}
}

static void backing_chain(void **state)
{
	autofree char *base = at("base.raw");
	autofree char *mid = at("mid.qcow2");
	autofree char *top = at("top.qcow2");

	(void)state;
	OK(disk_create(base, "raw", 16 * MIB, &e));
	RUN("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base,
	    mid);
	RUN("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
	    "mid.qcow2", top);
	struct disk *d = open_ok(base, "raw", true, 1);
	put(d, 0, MIB, 1);
	disk_close(d);
	d = open_ok(mid, "qcow2", true, 1);
	put(d, 4 * MIB, MIB, 2);
	disk_close(d);
	d = open_ok(top, "qcow2", true, 1);
	put(d, 8 * MIB, MIB, 3);
	OK(disk_zero(d, 0, 0, 65536, &e));
	disk_close(d);

	d = open_ok(top, "qcow2", false, 1);
	assert_int_equal(disk_size(d), 16 * MIB);
	expect_zero(d, 0, 65536);
	expect(d, 0, 65536, MIB - 65536, 1);
	expect(d, 0, 4 * MIB, MIB, 2);
	expect(d, 0, 8 * MIB, MIB, 3);
	assert_int_equal(data_bytes(d), 3 * MIB - 65536);
	disk_close(d);
}

static void compressed_qcow2(void **state)
{
	autofree char *from = at("from.raw");
	autofree char *path = at("compressed.qcow2");

	(void)state;
	OK(disk_create(from, "raw", 16 * MIB, &e));
	struct disk *d = open_ok(from, "raw", true, 1);
	put(d, MIB, 5 * MIB, 9);
	disk_close(d);
	RUN("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", from,
	    path);
	d = open_ok(path, "qcow2", false, 1);
	expect_zero(d, 0, MIB);
	expect(d, 0, MIB, 5 * MIB, 9);
	expect_zero(d, 6 * MIB, 10 * MIB);
	disk_close(d);
}

struct reading {
	pthread_t thread;
	struct disk *disk;
	unsigned connection;
	bool right;
};

static void *read_all(void *arg)
{
	struct reading *r = arg;
	autofree uint8_t *is = mem_alloc(MIB);
	autofree uint8_t *should = mem_alloc(MIB);
	struct err mine = ERR_INIT;

	r->right = true;
	for (uint64_t o = 0; o < disk_size(r->disk); o += MIB) {
		uint64_t n = num_min(MIB, disk_size(r->disk) - o);

		pattern(should, n, o, 4);
		if (disk_read(r->disk, r->connection, o, n, is, &mine) < 0 ||
		    memcmp(is, should, n) != 0)
			r->right = false;
	}
	return NULL;
}

static void four_threads(void **state)
{
	autofree char *path = at("threads.qcow2");
	struct reading r[4];

	(void)state;
	OK(disk_create(path, "qcow2", 33 * MIB, &e));
	struct disk *d = open_ok(path, "qcow2", true, 1);
	put(d, 0, 33 * MIB, 4);
	disk_close(d);

	d = open_ok(path, "qcow2", false, 4);
	assert_int_equal(disk_connections(d), 4);
	for (unsigned i = 0; i < 4; i++) {
		r[i] = (struct reading){ .disk = d, .connection = i };
		pthread_create(&r[i].thread, NULL, read_all, &r[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		assert_true(r[i].right);
	}
	disk_close(d);
}

static void export_of_another(void **state)
{
	autofree char *path = at("export.qcow2");
	autofree char *sock = at("sock");
	autofree char *option = mem_fmt("--socket=%s", sock);

	(void)state;
	OK(disk_create(path, "qcow2", 4 * MIB, &e));
	struct disk *d = open_ok(path, "qcow2", true, 1);
	put(d, MIB, MIB, 6);
	disk_close(d);
	assert_null(disk_open_export(sock, "vda", 2, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);

	const char *argv[] = {
		"qemu-nbd", option, "--read-only",    "--shared=4",
		"-x",       "vda",  "--format=qcow2", "--persistent",
		path,       NULL
	};
	struct proc_start start = { .argv = argv, .in = -1, .out = -1 };

	struct proc *p = proc_start(&start, &e);
	assert_non_null(p);
	d = NULL;
	for (int i = 0; i < 6000 && d == NULL; i++) {
		usleep(10000);
		err_clear(&e);
		d = disk_open_export(sock, "vda", 3, &e);
	}
	if (d == NULL)
		fail_msg("%s", e.msg);
	assert_int_equal(disk_connections(d), 3);
	assert_int_equal(disk_helper(d), 0);
	expect(d, 2, MIB, MIB, 6);
	assert_int_equal(data_bytes(d), MIB);
	disk_close(d);
	assert_null(disk_open_export(sock, "vdb", 1, &e));
	assert_non_null(strstr(e.msg, "vdb"));
	proc_free(p);
}

static void extents_remember(void **state)
{
	struct extents x = { .start = 0 };
	uint64_t end;
	bool data;

	(void)state;
	assert_false(extents_find(&x, 0, &end, &data));
	extents_restart(&x, 100);
	extents_add(&x, 10, true);
	extents_add(&x, 10, true);
	extents_add(&x, 5, false);
	extents_add(&x, UINT64_MAX, true);
	extents_add(&x, 5, false);
	assert_false(extents_find(&x, 99, &end, &data));
	assert_true(extents_find(&x, 124, &end, &data));
	assert_false(data);
	assert_int_equal(end, 125);
	assert_true(extents_find(&x, 100, &end, &data));
	assert_true(data);
	assert_int_equal(end, 120);
	assert_false(extents_find(&x, 125, &end, &data));
	extents_restart(&x, 0);
	assert_false(extents_find(&x, 100, &end, &data));
	extents_fini(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(extents_remember),  T(raw_write_read),
		T(created_as_said),   T(odd_sizes),
		T(empty_image),       T(holes_are_not_data),
		T(zero_deallocates),  T(backing_chain),
		T(compressed_qcow2),  T(four_threads),
		T(export_of_another),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
