/* SPDX-License-Identifier: Apache-2.0 */

/* Pieces in any order, with and without gaps, more than are gathered, more
 * than go into one call, of odd sizes: all are where they belong. */

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
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/batch.h"

#define PAGE   4096u
#define PIECES (3u * BATCH_MAX + 7)
#define SIZE   ((size_t)PIECES * 2 * PAGE)

static struct err e;

/* ---- a device whose blocks are larger than pages --------------------------
 */

static size_t block; /* what O_DIRECT takes multiples of; 0: as it is */
static unsigned refusals;

ssize_t __real_pwrite64(int fd, const void *p, size_t size, off_t at);
ssize_t __real_pwritev64(int fd, const struct iovec *v, int count, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t size, off_t at);
ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int count, off_t at);

static bool is_refused(int fd, size_t size, off_t at)
{
	if (block == 0 || (fcntl(fd, F_GETFL) & O_DIRECT) == 0 ||
	    (size % block == 0 && (size_t)at % block == 0))
		return false;
	refusals++;
	errno = EINVAL;
	return true;
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t size, off_t at)
{
	return is_refused(fd, size, at) ? -1 : __real_pwrite64(fd, p, size, at);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int count, off_t at)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += v[i].iov_len;
	return is_refused(fd, size, at) ? -1
					: __real_pwritev64(fd, v, count, at);
}

/* ---- files ----------------------------------------------------------------
 */

/* Past the page cache, and in memory. */
static const char *const places[] = { "/var/tmp", "/dev/shm" };

static int file_in(const char *dir)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/vmkeep-batch-XXXXXX", dir);
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* A number below n, always the same ones. */
static uint32_t next(uint32_t *state, uint32_t n)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % n;
}

static void shuffled(uint32_t *order, uint32_t seed)
{
	for (uint32_t i = 0; i < PIECES; i++)
		order[i] = i;
	for (uint32_t i = PIECES - 1; i > 0; i--) {
		uint32_t k = next(&seed, i + 1);
		uint32_t was = order[i];

		order[i] = order[k];
		order[k] = was;
	}
}

/* Piece i begins at page 2i and has two pages, so that it touches the next
 * one, one page, or a page and 100 bytes. */
static size_t size_of(uint32_t i)
{
	static const size_t sizes[] = { 2 * PAGE, 2 * PAGE, 2 * PAGE,
					2 * PAGE, PAGE,     PAGE + 100 };

	/* the first thousand are 8 MiB without a gap */
	return i < 1000 ? 2 * PAGE : sizes[i % 6];
}

static void in_any_order(void)
{
	autofree uint8_t *data = mem_try_pages(SIZE);
	autofree uint8_t *should = mem_zalloc(1, SIZE);
	autofree uint8_t *is = mem_alloc(SIZE);
	uint32_t order[PIECES];

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i / PAGE * 31 + i);
	for (uint32_t run = 0; run < 8; run++) {
		autofd int fd = file_in(places[run % 2]);
		AUTO(outlet_free_at) struct outlet *o = outlet_file(fd);
		struct batch b = { .outlet = o };
		uint64_t bytes = 0;

		memset(should, 0, SIZE);
		assert_int_equal(ftruncate(fd, (off_t)SIZE), 0);
		shuffled(order, run);
		for (uint32_t i = 0; i < PIECES; i++) {
			size_t at = (size_t)order[i] * 2 * PAGE;
			size_t size = size_of(order[i]);

			memcpy(should + at, data + at, size);
			bytes += size;
			assert_int_equal(batch_add(&b, at, data + at, size, &e),
					 0);
		}
		assert_int_equal(batch_write(&b, &e), 0);
		assert_int_equal(b.written, bytes);
		assert_int_equal(batch_write(&b, &e), 0); /* nothing more */
		assert_int_equal(b.written, bytes);
		assert_int_equal(fd_pread_full(fd, is, SIZE, 0, &e), 0);
		assert_memory_equal(is, should, SIZE);
	}
}

static void any_order(void **state)
{
	(void)state;
	in_any_order();
}

/* The first rows it takes, others not: those go through the page cache. */
static void larger_blocks(void **state)
{
	(void)state;
	block = 64u << 10;
	in_any_order();
	block = 0;
	assert_true(refusals > 0);
}

/* It fails when the batch is full, and at the end; what is told as written is
 * not more than what is there. */
static void a_full_disk(void **state)
{
	autofree uint8_t *data = mem_try_pages(SIZE);
	struct rlimit old;

	(void)state;
	memset(data, 7, SIZE);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	const struct rlimit little = { .rlim_cur = (size_t)100 * PAGE,
				       .rlim_max = old.rlim_max };

	for (size_t k = 0; k < 2; k++) {
		autofd int fd = file_in(places[k]);
		AUTO(outlet_free_at) struct outlet *o = outlet_file(fd);
		struct batch b = { .outlet = o };
		int ok = 0;
		uint32_t i = 0;

		assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
		for (; i < PIECES && ok == 0; i++)
			ok = batch_add(&b, (uint64_t)i * 2 * PAGE, data,
				       2 * PAGE, &e);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_int_equal(ok, -1);
		assert_int_equal(i, BATCH_MAX + 1);
		assert_int_equal(e.sys, EFBIG);
		assert_non_null(strstr(e.msg, "cannot write at "));
		assert_true(b.written <= (uint64_t)100 * PAGE);
		err_clear(&e);
	}
}

/* Calls of write() and its like by this process. */
static uint64_t writes_so_far(void)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	assert_int_equal(file_load("/proc/self/io", 4096, &b, &e), 0);
	wr_zero(&b, 1);
	const char *at = strstr((const char *)b.p, "syscw: ");

	assert_non_null(at);
	return strtoull(at + 7, NULL, 10);
}

/* Pieces of memory that are neighbours on the target: one call where all are
 * whole pages, and right where they are not, or go into memory. */
static void neighbours_are_one_write(void **state)
{
	static const size_t sizes[2][3] = { { 8192, 4096, 12288 },
					    { 8192, 100, 12288 } };
	autofree uint8_t *pages = mem_try_pages(3 * 16384);
	autofree uint8_t *is = mem_alloc(16384);

	(void)state;
	for (size_t i = 0; i < (size_t)3 * 16384; i++)
		pages[i] = (uint8_t)(i * 7 + i / 16384);
	for (size_t k = 0; k < 4; k++) {
		autofd int fd = file_in(places[k / 2]);
		AUTO(outlet_free_at) struct outlet *o = outlet_file(fd);
		const size_t *size = sizes[k % 2];
		struct iovec iov[3];
		uint64_t at = (4u << 20);

		for (size_t i = 0; i < 3; i++)
			iov[i] = (struct iovec){ pages + i * 16384, size[i] };
		/* the first one finds out whether O_DIRECT is taken */
		assert_int_equal(outlet_write(o, 0, 0, 4096, pages, &e), 0);
		uint64_t before = writes_so_far();

		assert_int_equal(outlet_writev(o, 0, at, iov, 3, &e), 0);
		if (k == 0)
			assert_int_equal(writes_so_far() - before, 1);
		for (size_t i = 0; i < 3; at += size[i++]) {
			assert_int_equal(fd_pread_full(fd, is, size[i], at, &e),
					 0);
			assert_memory_equal(is, pages + i * 16384, size[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_are_one_write),
		cmocka_unit_test(any_order),
		cmocka_unit_test(larger_blocks),
		cmocka_unit_test(a_full_disk),
	};

	return cmocka_run_group_tests_name("job/batch", tests, NULL, NULL);
}
