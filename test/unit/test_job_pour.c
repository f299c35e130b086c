/* SPDX-License-Identifier: Apache-2.0 */

/* From an image to a target: every byte, holes, old content, failures. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "job/pour.h"
#include "repo_kit.h"

#define MIB (1u << 20)

static struct kit kit;
static struct store *mem;
static struct err e;
static const struct job quiet = { .talk = &talk_none };

/* Whole; of an odd size; so many chunks that windows are several; nothing. */
static const struct fake images[] = {
	{ .size = 24u * MIB, .seed = 1, .every = 2, .zero_percent = 20 },
	{ .size = 9u * MIB + 4096 + 700, .seed = 2 },
	{ .size = 72u * MIB, .seed = 3, .zero_percent = 50 },
	{ .size = 3u * EXTENT_SIZE, .seed = 4, .zero_percent = 100 },
};
#define IMAGES (sizeof(images) / sizeof(images[0]))

static struct kit_backup backup = { .images = images, .count = IMAGES };

static const struct image_root *root_of(size_t i)
{
	return &backup.set.points[i].images[0].root;
}

/* ---- targets --------------------------------------------------------- */

struct file {
	int fd;
	char path[96];
};

static void file_fini(struct file *f)
{
	close(f->fd);
	unlink(f->path);
}

static struct file file_in(const char *dir)
{
	struct file f;

	snprintf(f.path, sizeof(f.path), "%s/vmkeep-pour-XXXXXX", dir);
	f.fd = mkostemp(f.path, O_CLOEXEC);
	assert_true(f.fd >= 0);
	return f;
}

/* What the image is, beginning at an extent. */
static void extent_of(const struct fake *f, uint64_t number, uint8_t *to)
{
	memset(to, 0, EXTENT_SIZE);
	fake_extent(f, number, to);
}

static void same(int fd, const struct fake *f)
{
	autofree uint8_t *is = mem_alloc(EXTENT_SIZE);
	autofree uint8_t *should = mem_alloc(EXTENT_SIZE);

	for (uint64_t at = 0; at < f->size; at += EXTENT_SIZE) {
		size_t n = num_min(EXTENT_SIZE, f->size - at);

		extent_of(f, at / EXTENT_SIZE, should);
		assert_int_equal(fd_pread_full(fd, is, n, at, &e), 0);
		assert_memory_equal(is, should, n);
	}
}

/* The whole image is there already. */
static void fill(int fd, const struct fake *f)
{
	autofree uint8_t *b = mem_alloc(EXTENT_SIZE);

	for (uint64_t at = 0; at < f->size; at += EXTENT_SIZE) {
		extent_of(f, at / EXTENT_SIZE, b);
		assert_int_equal(
			fd_pwrite_full(fd, b,
				       num_min(EXTENT_SIZE, f->size - at), at,
				       &e),
			0);
	}
}

static void scribble(int fd, uint64_t offset, size_t size)
{
	autofree uint8_t *b = mem_alloc(size);

	memset(b, 0xa5, size);
	assert_int_equal(fd_pwrite_full(fd, b, size, offset, &e), 0);
}

static off_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

static uint64_t allocated(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* ---- pouring --------------------------------------------------------- */

struct how {
	struct repo *repo;
	bool fresh;
	bool in_place;
	uint64_t written;
};

static int pour_image(struct how *h, size_t i, int fd)
{
	struct repo *r = h->repo != NULL ? h->repo : kit_open(&kit, mem);
	const struct pour p = {
		.job = &quiet,
		.repo = r,
		.set = &backup.set,
		.root = root_of(i),
		.what = "test",
		.fresh = h->fresh,
		.in_place = h->in_place,
		.written = &h->written,
	};
	int ok;

	h->written = 0;
	err_clear(&e);
	ok = pour_file(&p, fd, &e);
	if (h->repo == NULL)
		repo_close(r);
	return ok;
}

/* Past the page cache, and in memory. */
static const char *const places[] = { "/var/tmp", "/dev/shm" };

static void a_new_file(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < IMAGES; i++) {
			AUTO(file_fini) struct file f = file_in(places[k]);
			struct how h = { .fresh = true };

			assert_int_equal(pour_image(&h, i, f.fd), 0);
			assert_int_equal(size_of(f.fd), images[i].size);
			same(f.fd, &images[i]);
			assert_true(h.written <= images[i].size);
		}
	}
}

static void holes_stay_holes(void **state)
{
	AUTO(file_fini) struct file f = file_in(places[0]);
	struct how h = { .fresh = true };

	(void)state;
	assert_int_equal(pour_image(&h, 0, f.fd), 0);
	/* three of six extents, four fifths of their pages */
	assert_in_range(h.written, 8u * MIB, 11u * MIB);
	assert_true(allocated(f.fd) <= h.written + 64 * 1024);
	assert_int_equal(pour_image(&h, 3, f.fd), 0);
	assert_int_equal(h.written, 0);
}

/* What is there is overwritten, also with zeroes, but not what is behind. */
static void over_old_bytes(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < IMAGES; i++) {
			AUTO(file_fini) struct file f = file_in(places[k]);
			struct how h = { .fresh = false };

			scribble(f.fd, 0, images[i].size + 5000);
			assert_int_equal(pour_image(&h, i, f.fd), 0);
			same(f.fd, &images[i]);
			assert_int_equal(size_of(f.fd), images[i].size + 5000);
		}
	}
}

static void in_place_over_anything(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < IMAGES; i++) {
			/* larger, smaller, empty */
			size_t sizes[] = { images[i].size + 123457,
					   images[i].size / 2 + 1, 0 };

			for (size_t s = 0; s < 3; s++) {
				AUTO(file_fini)
				struct file f = file_in(places[k]);
				struct how h = { .in_place = true };

				scribble(f.fd, 0, sizes[s]);
				assert_int_equal(pour_image(&h, i, f.fd), 0);
				assert_int_equal(size_of(f.fd), images[i].size);
				same(f.fd, &images[i]);
			}
		}
	}
}

static void in_place_nothing_to_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < IMAGES; i++) {
		AUTO(file_fini) struct file f = file_in(places[0]);
		struct how h = { .in_place = true };

		fill(f.fd, &images[i]);
		assert_int_equal(pour_image(&h, i, f.fd), 0);
		assert_int_equal(h.written, 0);
		same(f.fd, &images[i]);
	}
}

/* A few pages differ: they are written, and nothing else is, nor even read:
 * all packs but those of the pages may be gone. */
static void in_place_only_what_differs(void **state)
{
	AUTO(file_fini) struct file f = file_in(places[0]);
	struct how h = { .in_place = true };

	(void)state;
	fill(f.fd, &images[1]);
	scribble(f.fd, 5 * 4096, 4096);
	scribble(f.fd, 900 * 4096 + 17, 4096);
	scribble(f.fd, images[1].size - 3, 3);
	assert_int_equal(pour_image(&h, 1, f.fd), 0);
	assert_int_equal(h.written, 3 * 4096 + 700);
	same(f.fd, &images[1]);
}

/* Into holes nothing is written, but data in them goes. */
static void in_place_makes_holes(void **state)
{
	AUTO(file_fini) struct file f = file_in(places[0]);
	struct how h = { .in_place = true };

	(void)state;
	scribble(f.fd, 0, 2 * EXTENT_SIZE);
	assert_int_equal(pour_image(&h, 3, f.fd), 0);
	assert_int_equal(h.written, 0);
	assert_true(allocated(f.fd) <= 64u * 1024);
	same(f.fd, &images[3]);
}

/* Unchanged chunks are not fetched: without any data pack it works. */
static void in_place_needs_no_pack(void **state)
{
	AUTO(file_fini) struct file f = file_in(places[0]);
	struct store *copy = kit_clone(mem);
	AUTO(kit_names_fini) struct kit_names packs = { 0 };
	struct how h = { .in_place = true };

	(void)state;
	kit_list(copy, "data/", &packs);
	for (size_t i = 0; i < packs.count; i++)
		assert_int_equal(store_del(copy, packs.names[i], &e), 0);
	h.repo = kit_open(&kit, copy);
	fill(f.fd, &images[0]);
	assert_int_equal(pour_image(&h, 0, f.fd), 0);
	scribble(f.fd, 4096, 4096);
	assert_int_equal(pour_image(&h, 0, f.fd), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	repo_close(h.repo);
	store_close(copy);
}

/* ---- in order -------------------------------------------------------- */

struct order {
	uint64_t next;
	const struct fake *f;
	uint8_t *should;
};

static int in_order(void *ctx, uint64_t offset, const uint8_t *data,
		    size_t size, struct err *why)
{
	struct order *o = ctx;

	(void)why;
	assert_int_equal(offset, o->next);
	extent_of(o->f, offset / EXTENT_SIZE, o->should);
	assert_memory_equal(data, o->should, size);
	o->next += size;
	return 0;
}

static void a_stream_is_in_order(void **state)
{
	autofree uint8_t *should = mem_alloc(EXTENT_SIZE);

	(void)state;
	for (size_t i = 0; i < IMAGES; i++) {
		struct order o = { .f = &images[i], .should = should };
		AUTO(repo_close_at) struct repo *r = kit_open(&kit, mem);
		const struct pour p = {
			.job = &quiet,
			.repo = r,
			.set = &backup.set,
			.root = root_of(i),
			.what = "test",
		};

		assert_int_equal(pour_ordered(&p, in_order, &o, &e), 0);
		assert_int_equal(o.next, images[i].size);
	}
}

/* ---- failures -------------------------------------------------------- */

/* The store fails from call N on, N = 1, 2, 3...: an error that says what,
 * until it passes, and then all is right. */
static void the_store_fails(void **state)
{
	int ok = -1;

	(void)state;
	for (uint64_t n = 1; ok < 0; n++) {
		AUTO(file_fini) struct file f = file_in(places[1]);
		struct how h = { .fresh = true };
		const struct store_fault_plan plan = { .fail_at = n,
						       .kind = FAULT_DEAD };

		h.repo = kit_try_open(
			&kit, store_fault_new(store_mem_share(mem), &plan),
			NULL, &e);
		if (h.repo != NULL)
			ok = pour_image(&h, 1, f.fd);
		if (ok < 0)
			assert_int_not_equal(e.msg[0], '\0');
		else
			same(f.fd, &images[1]);
		repo_close(h.repo);
		assert_true(n < 10000);
	}
}

/* A wrong bit in what the store gives is never written. */
static void the_store_lies(void **state)
{
	(void)state;
	for (uint64_t n = 1; n < 60; n++) {
		AUTO(file_fini) struct file f = file_in(places[1]);
		struct how h = { .fresh = true };
		const struct store_fault_plan plan = { .fail_at = n,
						       .kind = FAULT_FLIP };

		err_clear(&e);
		h.repo = kit_try_open(
			&kit, store_fault_new(store_mem_share(mem), &plan),
			NULL, &e);
		if (h.repo == NULL)
			continue;
		if (pour_image(&h, 1, f.fd) == 0)
			same(f.fd, &images[1]);
		repo_close(h.repo);
	}
}

static void full_at(bool in_place, uint64_t bytes)
{
	AUTO(file_fini) struct file f = file_in(places[0]);
	struct how h = { .in_place = in_place };
	struct rlimit old;

	assert_int_equal(ftruncate(f.fd, (off_t)images[1].size), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	const struct rlimit little = { .rlim_cur = bytes,
				       .rlim_max = old.rlim_max };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	int ok = pour_image(&h, 1, f.fd);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(ok, -1);
	assert_int_equal(e.sys, EFBIG);
	assert_non_null(strstr(e.msg, "cannot write at "));
}

/* At the first write, at the last one, and in the middle of others, of which a
 * part is written. */
static void the_target_is_full(void **state)
{
	(void)state;
	for (uint64_t at = 0; at < images[1].size; at += 769 * 4096) {
		full_at(false, at);
		full_at(true, at);
	}
	full_at(false, images[1].size - 1);
	full_at(true, images[1].size - 1);
}

static void the_user_stops_it(void **state)
{
	_Atomic bool cancel = true;
	const struct job stopped = { .talk = &talk_none, .cancel = &cancel };
	AUTO(file_fini) struct file f = file_in(places[0]);
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, mem);
	const struct pour p = {
		.job = &stopped,
		.repo = r,
		.set = &backup.set,
		.root = root_of(0),
		.what = "test",
		.fresh = true,
	};

	(void)state;
	err_clear(&e);
	assert_int_equal(pour_file(&p, f.fd, &e), -1);
	assert_int_equal(e.code, ERR_STOPPED);
}

/* ---- through qemu-nbd ------------------------------------------------ */

static void into_qcow2(void **state)
{
	struct disk_image open = { .format = "qcow2",
				   .writable = true,
				   .connections = POUR_CONNECTIONS,
				   .socket_dir = kit.dir };
	AUTO(repo_close_at) struct repo *r = kit_open(&kit, mem);
	uint64_t written = 0;
	struct pour p = {
		.job = &quiet,
		.repo = r,
		.set = &backup.set,
		.root = root_of(0),
		.what = "test",
		.fresh = true,
		.written = &written,
	};
	autofree char *path = path_join(kit.dir, "t.qcow2");
	autofree uint8_t *is = mem_alloc(EXTENT_SIZE);
	autofree uint8_t *should = mem_alloc(EXTENT_SIZE);

	(void)state;
	open.path = path;
	err_clear(&e);
	if (disk_create(path, "qcow2", images[0].size, &e) < 0)
		fail_msg("%s", e.msg);
	AUTO(disk_close_at) struct disk *d = disk_open_image(&open, &e);

	if (d == NULL)
		fail_msg("%s", e.msg);
	assert_int_equal(pour_disk(&p, d, &e), 0);
	assert_true(written > 0);
	memset(is, 0x5a, EXTENT_SIZE);
	assert_int_equal(disk_write(d, 0, EXTENT_SIZE - 8192, 3 * 8192, is, &e),
			 0);
	p.fresh = false;
	p.in_place = true;
	written = 0;
	assert_int_equal(pour_disk(&p, d, &e), 0);
	assert_in_range(written, 1, 2 * 8192);
	for (uint64_t i = 0; i < images[0].size / EXTENT_SIZE; i++) {
		extent_of(&images[0], i, should);
		assert_int_equal(
			disk_read(d, 0, i * EXTENT_SIZE, EXTENT_SIZE, is, &e),
			0);
		assert_memory_equal(is, should, EXTENT_SIZE);
	}
	written = 0;
	assert_int_equal(pour_disk(&p, d, &e), 0);
	assert_int_equal(written, 0);
	p.root = root_of(2);
	assert_int_equal(pour_disk(&p, d, &e), -1);
	assert_non_null(strstr(e.msg, "nothing was written"));
}

static int setup(void **state)
{
	(void)state;
	kit_init(&kit);
	mem = kit_create_mem(&kit);
	struct repo *r = kit_open(&kit, mem);
	int ok = kit_backup(r, &backup, &e);

	repo_close(r);
	return ok;
}

static int teardown(void **state)
{
	(void)state;
	set_fini(&backup.set);
	store_close(mem);
	kit_fini(&kit);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_file),
		cmocka_unit_test(holes_stay_holes),
		cmocka_unit_test(over_old_bytes),
		cmocka_unit_test(in_place_over_anything),
		cmocka_unit_test(in_place_nothing_to_do),
		cmocka_unit_test(in_place_only_what_differs),
		cmocka_unit_test(in_place_makes_holes),
		cmocka_unit_test(in_place_needs_no_pack),
		cmocka_unit_test(a_stream_is_in_order),
		cmocka_unit_test(the_store_fails),
		cmocka_unit_test(the_store_lies),
		cmocka_unit_test(the_target_is_full),
		cmocka_unit_test(the_user_stops_it),
		cmocka_unit_test(into_qcow2),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
