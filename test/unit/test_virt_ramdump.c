/* SPDX-License-Identifier: Apache-2.0 */

/* RAM dumps taken apart and put together again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/ramdump.h"

#define RAM_PAGES 40u
#define ROM_PAGES 3u
#define PAGES     (RAM_PAGES + ROM_PAGES)
#define SECTION   2

/* ---- a dump as libvirt and QEMU write it ------------------------------ */

static void put_be(struct buf *b, uint64_t v, size_t size)
{
	for (size_t i = size; i > 0; i--)
		wr_u8(b, (uint8_t)(v >> 8 * (i - 1)));
}

static void put_name(struct buf *b, const char *name)
{
	wr_u8(b, (uint8_t)strlen(name));
	wr_bytes(b, name, strlen(name));
}

static void put_footer(struct buf *b)
{
	wr_u8(b, 0x7e);
	put_be(b, SECTION, 4);
}

static void put_head(struct buf *b)
{
	static const char xml[] = "<domain type='qemu'/>";
	uint32_t words[19] = { 2, sizeof(xml), 1, 0 };

	wr_bytes(b, "LibvirtQemudSave", 16);
	wr_bytes(b, words, sizeof(words));
	wr_bytes(b, xml, sizeof(xml));
	put_be(b, 0x5145564d, 4);
	put_be(b, 3, 4);
	wr_u8(b, 7); /* configuration */
	put_be(b, 7, 4);
	wr_bytes(b, "pc-test", 7);
	wr_u8(b, 1); /* START */
	put_be(b, SECTION, 4);
	put_name(b, "ram");
	put_be(b, 0, 4);
	put_be(b, 4, 4);
	put_be(b, (uint64_t)PAGES * 4096 | 4, 8);
	put_name(b, "pc.ram");
	put_be(b, (uint64_t)RAM_PAGES * 4096, 8);
	put_name(b, "pc.rom");
	put_be(b, (uint64_t)ROM_PAGES * 4096, 8);
	put_be(b, 16, 8);
	put_footer(b);
}

static void put_page(struct buf *b, const char *name, uint64_t page,
		     uint8_t fill)
{
	uint64_t word = page * 4096 | (fill == 0 ? 2 : 8);

	put_be(b, word | (name == NULL ? 32 : 0), 8);
	if (name != NULL)
		put_name(b, name);
	for (size_t i = 0; i < (fill == 0 ? 1 : 4096); i++)
		wr_u8(b, (uint8_t)(fill == 0 ? 0 : fill + i % 7));
}

static void put_section(struct buf *b, uint8_t type)
{
	wr_u8(b, type);
	put_be(b, SECTION, 4);
}

static void end_section(struct buf *b)
{
	put_be(b, 16, 8);
	put_footer(b);
}

/* Pages in two parts; some are sent again, some become zero. */
static void put_dump(struct buf *b)
{
	put_head(b);
	put_section(b, 2);
	for (unsigned i = 0; i < RAM_PAGES; i++)
		put_page(b, i == 0 ? "pc.ram" : NULL, i, (uint8_t)(i % 5));
	end_section(b);
	put_section(b, 2); /* goes on in the block of the part before */
	put_page(b, NULL, 7, 100);
	put_page(b, NULL, 8, 0);
	end_section(b);
	put_section(b, 3);
	put_page(b, "pc.rom", 1, 200);
	put_page(b, "pc.ram", 9, 101);
	end_section(b);
	wr_bytes(b, "the devices' state, and the end", 32);
}

static uint8_t expected_fill(unsigned page)
{
	switch (page) {
	case 7:
		return 100;
	case 8:
		return 0;
	case 9:
		return 101;
	case RAM_PAGES + 1:
		return 200;
	default:
		return page < RAM_PAGES ? (uint8_t)(page % 5) : 0;
	}
}

static int file_of(const struct buf *b, size_t size)
{
	struct err e = ERR_INIT;
	int fd = memfd_create("dump", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, b->p, size, &e), 0);
	return fd;
}

static void check_pages(const struct ramdump *d)
{
	autofree uint8_t *pages = mem_alloc(PAGES * 4096);
	struct err e = ERR_INIT;

	assert_int_equal(d->layout.pages, PAGES);
	assert_int_equal(ramdump_read(d, 0, PAGES * 4096, pages, &e), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t fill = expected_fill(i);

		for (size_t k = 0; k < 4096; k++)
			assert_int_equal(pages[i * 4096 + k],
					 fill == 0 ? 0 : fill + k % 7);
	}
}

/* ---- tests ----------------------------------------------------------- */

static void test_apart(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(ramdump_fini) struct ramdump d = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	put_dump(&b);
	autofd int fd = file_of(&b, b.len);

	assert_int_equal(ramdump_open(fd, &d, &e), 1);
	assert_int_equal(d.layout.block_count, 2);
	assert_string_equal(d.layout.blocks[1].name, "pc.rom");
	assert_int_equal(d.layout.tail.len, 32);
	check_pages(&d);
}

static int together(const struct ramdump *d, const struct ramdump_layout *l)
{
	autofree uint8_t *pages = mem_alloc(PAGES * 4096);
	struct err e = ERR_INIT;
	int fd = memfd_create("again", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ramdump_read(d, 0, PAGES * 4096, pages, &e), 0);
	assert_int_equal(ramdump_start(l, fd, &e), 0);
	/* in two pieces, the second one beginning inside a block */
	assert_int_equal(ramdump_pages(l, fd, 0, pages, 10 * 4096, &e), 0);
	assert_int_equal(ramdump_pages(l, fd, 10 * 4096, pages + 10 * 4096,
				       (PAGES - 10) * 4096, &e),
			 0);
	assert_int_equal(ramdump_end(l, fd, &e), 0);
	return fd;
}

static void test_together(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf encoded = BUF_INIT;
	AUTO(ramdump_fini) struct ramdump d = { 0 };
	AUTO(ramdump_fini) struct ramdump again = { 0 };
	AUTO(ramdump_layout_fini) struct ramdump_layout l = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	put_dump(&b);
	autofd int fd = file_of(&b, b.len);

	assert_int_equal(ramdump_open(fd, &d, &e), 1);
	ramdump_layout_encode(&d.layout, &encoded);
	assert_int_equal(ramdump_layout_decode(encoded.p, encoded.len, &l, &e),
			 0);
	autofd int fd2 = together(&d, &l);

	assert_int_equal(ramdump_open(fd2, &again, &e), 1);
	check_pages(&again);
	assert_int_equal(again.layout.head.len, d.layout.head.len);
	assert_memory_equal(again.layout.head.p, d.layout.head.p,
			    d.layout.head.len);
	assert_memory_equal(again.layout.tail.p, d.layout.tail.p,
			    d.layout.tail.len);
}

/* A dump that is cut anywhere before its devices is not understood. */
static void test_truncated(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	put_dump(&b);
	for (size_t n = 0; n < b.len - 32; n += n < 400 ? 1 : 997) {
		AUTO(ramdump_fini) struct ramdump d = { 0 };
		autofd int fd = file_of(&b, n);

		assert_int_equal(ramdump_open(fd, &d, &e), 0);
		assert_int_not_equal(e.code, ERR_NONE);
		err_clear(&e);
	}
}

/* Any flipped bit: understood or not, but in bounds and without a crash. */
static void test_flipped(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	put_dump(&b);
	for (size_t n = 0; n < b.len; n += n < 400 ? 1 : 211) {
		AUTO(ramdump_fini) struct ramdump d = { 0 };
		struct err e = ERR_INIT;

		b.p[n] ^= (uint8_t)(1u << n % 8);
		autofd int fd = file_of(&b, b.len);
		int got = ramdump_open(fd, &d, &e);

		assert_true(got == 0 || got == 1);
		b.p[n] ^= (uint8_t)(1u << n % 8);
	}
}

static void test_compressed(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(ramdump_fini) struct ramdump d = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	put_dump(&b);
	b.p[28] = 2;
	autofd int fd = file_of(&b, b.len);

	assert_int_equal(ramdump_open(fd, &d, &e), 0);
	assert_non_null(strstr(e.msg, "compressed"));
}

static void test_bad_layout(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf encoded = BUF_INIT;
	AUTO(ramdump_fini) struct ramdump d = { 0 };
	struct ramdump_layout l;
	struct err e = ERR_INIT;

	(void)state;
	put_dump(&b);
	autofd int fd = file_of(&b, b.len);

	assert_int_equal(ramdump_open(fd, &d, &e), 1);
	ramdump_layout_encode(&d.layout, &encoded);
	for (size_t n = 0; n < encoded.len; n++)
		assert_int_equal(ramdump_layout_decode(encoded.p, n, &l, &e),
				 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_bad_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
