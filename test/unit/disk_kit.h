/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_UNIT_DISK_KIT_H
#define VMKEEP_TEST_UNIT_DISK_KIT_H

/*
 * What tests of disks share: a folder, images, patterns.
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
#include "base/num.h"
#include "base/proc.h"
#include "disk/disk.h"

#define MIB (1u << 20)

static char dir[64];
static struct err e;

static inline char *at(const char *name)
{
	return path_join(dir, name);
}

static inline int run(const char *const *argv)
{
	struct proc_run r = { .argv = argv, .deadline_ms = 60000 };

	return proc_run(&r, NULL, &e);
}

#define RUN(...)                                                               \
	do {                                                                   \
		const char *argv_[] = { __VA_ARGS__, NULL };                   \
		if (run(argv_) < 0)                                            \
			fail_msg("%s: %s", argv_[0], e.msg);                   \
	} while (0)

#define OK(call)                                                               \
	do {                                                                   \
		if ((call) < 0)                                                \
			fail_msg("%s: %s", #call, e.msg);                      \
	} while (0)

/* Bytes that tell where they are. */
static inline void pattern(uint8_t *to, size_t size, uint64_t offset,
			   uint64_t seed)
{
	for (size_t i = 0; i < size; i++) {
		uint64_t x = (offset + i) / 8 * 0x9e3779b97f4a7c15u + seed;

		to[i] = (uint8_t)((x ^ x >> 29) >> (offset + i) % 8 * 8);
	}
}

static inline struct disk *open_as(const char *path, const char *format,
				   bool rw, unsigned connections)
{
	struct disk_image image = { .path = path,
				    .format = format,
				    .writable = rw,
				    .connections = connections,
				    .socket_dir = dir };

	return disk_open_image(&image, &e);
}

static inline struct disk *open_ok(const char *path, const char *format,
				   bool rw, unsigned connections)
{
	struct disk *d = open_as(path, format, rw, connections);

	if (d == NULL)
		fail_msg("open '%s': %s", path, e.msg);
	return d;
}

static inline void put(struct disk *d, uint64_t offset, size_t size,
		       uint64_t seed)
{
	autofree uint8_t *b = mem_alloc(size);

	pattern(b, size, offset, seed);
	OK(disk_write(d, 0, offset, size, b, &e));
}

static inline void expect(struct disk *d, unsigned c, uint64_t offset,
			  size_t size, uint64_t seed)
{
	autofree uint8_t *is = mem_alloc(size);
	autofree uint8_t *should = mem_alloc(size);

	pattern(should, size, offset, seed);
	OK(disk_read(d, c, offset, size, is, &e));
	assert_true(memcmp(is, should, size) == 0);
}

static inline void expect_zero(struct disk *d, uint64_t offset, size_t size)
{
	autofree uint8_t *is = mem_alloc(size);

	OK(disk_read(d, 0, offset, size, is, &e));
	assert_true(bytes_zero(is, size));
}

/* All extents of a disk: how many bytes may be data. */
static inline uint64_t data_bytes(struct disk *d)
{
	uint64_t sum = 0;

	for (uint64_t o = 0, size; o < disk_size(d); o += size) {
		bool data;

		OK(disk_extent(d, o, &size, &data, &e));
		assert_true(size > 0 && size <= disk_size(d) - o);
		sum += data ? size : 0;
	}
	return sum;
}

/* Every test begins with no error. */
static inline int fresh(void **state)
{
	(void)state;
	err_clear(&e);
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/vmkeep-disk-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static inline int teardown(void **state)
{
	const char *argv[] = { "rm", "-rf", "--", dir, NULL };

	(void)state;
	return run(argv);
}

#define T(fn) cmocka_unit_test_setup(fn, fresh)

#endif
