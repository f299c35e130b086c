/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/shelf.h"
#include "repo_kit.h"

/* ---- filters --------------------------------------------------------- */

static void check_filter(uint32_t n)
{
	autofree uint64_t *keys = mem_zalloc(n + 1, sizeof(*keys));
	autofree uint8_t *bytes = mem_zalloc(filter_size(n) + 1, 1);
	uint32_t seed, passed = 0;

	for (uint32_t i = 0; i < n; i++)
		keys[i] = kit_mix(i + 1);
	bytes[filter_size(n)] = 0x77;
	assert_true(filter_build(keys, n, bytes, &seed));
	assert_int_equal(bytes[filter_size(n)], 0x77);

	struct filter f = filter_of(bytes, n, seed);

	for (uint32_t i = 0; i < n; i++)
		assert_true(filter_has(&f, keys[i]));
	for (uint32_t i = 0; i < 100000; i++)
		passed += filter_has(&f, kit_mix(n + i + 1));
	/* 1 in 256 are 391; an empty set has none */
	if (n == 0)
		assert_int_equal(passed, 0);
	else
		assert_in_range(passed, 280, 520);
	if (n >= 100000)
		assert_true(filter_size(n) * 8 < n * UINT64_C(10));
}

static void test_filter(void **state)
{
	static const uint32_t sizes[] = { 0,  1,   2,    3,     5,
					  17, 255, 1000, 30000, 200000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_filter(sizes[i]);
}

/* Keys that are the same make none; it ends all the same. */
static void test_filter_none(void **state)
{
	uint64_t keys[1000];
	uint8_t *bytes = mem_zalloc(filter_size(1000), 1);
	uint32_t seed;

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		keys[i] = i / 2;
	assert_false(filter_build(keys, 1000, bytes, &seed));
	memset(keys, 0, sizeof(keys));
	assert_false(filter_build(keys, 1000, bytes, &seed));
	assert_false(filter_build(keys, FILTER_MAX_KEYS + 1, bytes, &seed));
	free(bytes);
}

/* ---- pages ----------------------------------------------------------- */

static const struct hash key = { { 1, 2, 3 } };

static int temp_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void write_pages(struct pages_writer *w)
{
	uint8_t big[3 * PAGES_CONTENT];
	struct err e = ERR_INIT;

	memset(big, 'b', sizeof(big));
	pages_add(w, "one", 3);
	pages_add(w, big, PAGES_CONTENT); /* does not fit any more */
	assert_int_equal(pages_next(w), 2);
	assert_int_equal(pages_next(w), 2);
	pages_stream(w, "x", 1);
	pages_stream(w, big, sizeof(big));
	assert_int_equal(pages_finish(w, &e), 0);
	assert_int_equal(w->pages, 6);
}

static void read_pages(const struct pages *p)
{
	uint8_t big[1 + 3 * PAGES_CONTENT];
	struct page_room room;
	struct err e = ERR_INIT;

	assert_memory_equal(pages_get(p, 0, &room, &e), "one\0", 4);
	assert_int_equal(pages_get(p, 1, &room, &e)[PAGES_CONTENT - 1], 'b');
	assert_int_equal(pages_load(p, 2, big, sizeof(big), &e), 0);
	assert_int_equal(big[0], 'x');
	assert_int_equal(big[3 * PAGES_CONTENT], 'b');
	assert_null(pages_get(p, 6, &room, &e));
	assert_int_equal(pages_load(p, 5, big, sizeof(big), &e), -1);
}

static void test_pages(void **state)
{
	struct pages_writer w;

	(void)state;
	pages_writer_init(&w, -1, &key);
	write_pages(&w);
	struct pages held = { .fd = -1, .held = w.out, .count = 6 };

	read_pages(&held);
	pages_fini(&held);
	int fd = temp_file();

	pages_writer_init(&w, fd, &key);
	write_pages(&w);
	pages_writer_fini(&w);
	struct pages p = { .fd = fd, .key = key, .count = 6 };

	read_pages(&p);
	assert_int_equal(pages_hold(&p, &(struct err)ERR_INIT), 0);
	assert_int_equal(p.fd, -1);
	read_pages(&p);
	pages_fini(&p);
}

/* Every bit of a page, its number and the key are under the sum; an end that
 * is missing is a failure. */
static void test_pages_damage(void **state)
{
	struct pages_writer w;
	struct page_room room;
	struct err e = ERR_INIT;
	int fd = temp_file();
	uint8_t page[PAGES_SIZE];

	(void)state;
	pages_writer_init(&w, fd, &key);
	write_pages(&w);
	pages_writer_fini(&w);
	struct pages p = { .fd = fd, .key = key, .count = 6 };

	assert_int_equal(pread(fd, page, sizeof(page), PAGES_SIZE),
			 sizeof(page));
	for (size_t at = 0; at < PAGES_SIZE; at += at < 2000 ? 97 : 1) {
		page[at] ^= 0x40;
		assert_int_equal(pwrite(fd, page, sizeof(page), PAGES_SIZE),
				 sizeof(page));
		assert_null(pages_get(&p, 1, &room, &e));
		assert_int_equal(e.code, ERR_INTEGRITY);
		page[at] ^= 0x40;
	}
	assert_int_equal(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	assert_null(pages_get(&p, 0, &room, &e)); /* another page's */
	p.key.b[31] ^= 1;
	assert_null(pages_get(&p, 2, &room, &e));
	p.key.b[31] ^= 1;
	assert_non_null(pages_get(&p, 2, &room, &e));
	assert_int_equal(ftruncate(fd, 3 * PAGES_SIZE - 1), 0);
	assert_null(pages_get(&p, 2, &room, &e));
	pages_fini(&p);
}

/* ---- shelves --------------------------------------------------------- */

/* How prefixes are spread: evenly, as ids are, or as no search likes it. */
enum spread { EVEN, FEW, STEEP, LOW_BITS, SPREADS };

static void make_prefix(enum spread spread, uint64_t i, uint8_t out[16])
{
	uint64_t a = kit_mix(i + 1);
	uint64_t b = kit_mix(a);

	if (spread == FEW)
		a %= 7;
	else if (spread == STEEP)
		a >>= a % 64;
	else if (spread == LOW_BITS)
		a = 42;
	for (size_t k = 0; k < 8; k++) {
		out[k] = (uint8_t)(a >> (56 - 8 * k));
		out[8 + k] = (uint8_t)(b >> 8 * k);
	}
	if (spread == FEW)
		memset(out + 8, 0, 8);
}

#define PACKS 250

/* Every third entry is a node. */
static void make_segment(enum spread spread, size_t n, struct buf *out)
{
	char one[] = "idx/one-0", other[] = "idx/other-1";
	char *const leans[2] = { one, other };
	autofree struct segment_pack *packs = mem_zalloc(PACKS, sizeof(*packs));
	autofree struct segment_entry_new *entries =
		mem_zalloc(n, sizeof(*entries));
	struct segment_new s = { .generation = 7,
				 .packs = packs,
				 .pack_count = PACKS,
				 .leans = leans,
				 .lean_count = 2,
				 .entries = entries,
				 .entry_count = n };

	for (uint32_t i = 0; i < PACKS; i++)
		packs[i] = (struct segment_pack){
			.class = i % 3 == 1 ? BLOB_NODE : BLOB_DATA,
			.blobs = i,
		};
	for (size_t i = 0; i < n; i++) {
		make_prefix(spread, i, entries[i].prefix);
		entries[i].pack = (uint32_t)(i % 240);
		entries[i].blob = (uint32_t)(i % PACK_MAX_BLOBS);
		entries[i].slot = (uint8_t)(i % 200);
	}
	segment_encode(&s, out);
}

static void write_shelf(const struct segment *s, struct shelf *sh)
{
	struct pages_writer w;
	struct err e = ERR_INIT;

	pages_writer_init(&w, -1, &key);
	if (shelf_write(&w, s, &e) < 0)
		fail_msg("%s", e.msg);
	struct pages p = { .fd = -1, .held = w.out, .count = w.pages };

	if (shelf_open(&p, sh, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(shelf_load_filters(sh, &sh->nodes, &e), 0);
	assert_int_equal(shelf_load_filters(sh, &sh->chunks, &e), 0);
}

static void check_seek(const struct segment *s, struct shelf *sh,
		       const struct hash *id)
{
	for (int k = 0; k < 2; k++) {
		enum blob_class class = k == 0 ? BLOB_NODE : BLOB_DATA;
		struct shelf_cursor c;
		uint64_t entry;
		struct err e = ERR_INIT;

		c.shelf = sh;
		c.content = NULL;
		assert_int_equal(
			shelf_seek(&c, shelf_part(sh, class), id, &entry, &e),
			0);
		assert_int_equal(entry, segment_find(s, class, id));
		if (segment_entry(s, entry, id, &(struct place){ .slot = 0 }) &&
		    (entry < s->nodes) == (class == BLOB_NODE))
			assert_true(shelf_may_have(shelf_part(sh, class),
						   shelf_key(id->b)));
	}
}

/* What the segment says, the shelf says. */
static void check_shelf(enum spread spread, size_t n)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment s;
	struct shelf sh;
	struct shelf_cursor c;
	struct err e = ERR_INIT;

	make_segment(spread, n, &b);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
	write_shelf(&s, &sh);
	assert_int_equal(sh.generation, 7);
	assert_int_equal(sh.lean_count, 2);
	assert_string_equal(sh.leans[1], "idx/other-1");
	assert_int_equal(sh.nodes.count, s.nodes);
	assert_int_equal(sh.chunks.count, s.chunks);
	c.shelf = &sh;
	c.content = NULL;
	for (uint64_t i = 0; i < n; i++) {
		struct segment_entry_new a, z;

		assert_true(segment_raw(&s, i, &a));
		assert_int_equal(shelf_entry(&c, i, &z, &e), 0);
		assert_memory_equal(a.prefix, z.prefix, 16);
		assert_int_equal(a.pack, z.pack);
		assert_int_equal(a.blob, z.blob);
		assert_int_equal(a.slot, z.slot);
	}
	for (uint32_t i = 0; i < PACKS; i++) {
		struct segment_pack p;

		assert_int_equal(shelf_pack(&c, i, &p, &e), 0);
		assert_int_equal(p.blobs, i);
	}
	struct segment_entry_new none;
	struct segment_pack no_pack;

	assert_int_equal(shelf_entry(&c, n, &none, &e), -1);
	assert_int_equal(shelf_pack(&c, PACKS, &no_pack, &e), -1);
	for (uint64_t i = 0; i < 2 * n + 10; i++) {
		struct hash id = { { 0 } };

		make_prefix(spread, i, id.b);
		check_seek(&s, &sh, &id);
	}
	struct hash low = { { 0 } }, high;

	memset(high.b, 0xff, HASH_SIZE);
	check_seek(&s, &sh, &low);
	check_seek(&s, &sh, &high);
	shelf_fini(&sh);
}

static void test_shelf(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 170, 511, 4000 };

	(void)state;
	for (int spread = 0; spread < SPREADS; spread++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			check_shelf((enum spread)spread, sizes[k]);
}

/* More entries than one filter takes. */
static void test_shelf_large(void **state)
{
	const size_t n = 3 * (SHELF_FILTER_KEYS + 1000) / 2;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment s;
	struct shelf sh;
	struct err e = ERR_INIT;
	uint32_t passed = 0;

	(void)state;
	make_segment(EVEN, n, &b);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
	write_shelf(&s, &sh);
	assert_int_equal(sh.nodes.filter_count, 1);
	assert_int_equal(sh.chunks.filter_count, 2);
	for (uint64_t i = 0; i < n; i++) {
		struct hash id = { { 0 } };

		make_prefix(EVEN, i, id.b);
		assert_true(shelf_may_have(i % 3 == 1 ? &sh.nodes : &sh.chunks,
					   shelf_key(id.b)));
		if (i % 101 == 0)
			check_seek(&s, &sh, &id);
		make_prefix(EVEN, n + i, id.b);
		passed += shelf_may_have(&sh.chunks, shelf_key(id.b));
	}
	assert_true(passed < n / 200);
	shelf_fini(&sh);
}

/* Segments that no encoder would have written. */
static void test_shelf_refuses(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment s;
	struct pages_writer w;
	struct err e = ERR_INIT;

	(void)state;
	make_segment(EVEN, 1000, &b);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
	b.p[s.entries_at + 100 * SEGMENT_ENTRY] ^= 0xff;
	pages_writer_init(&w, -1, &key);
	assert_int_equal(shelf_write(&w, &s, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	pages_writer_fini(&w);
	b.p[s.entries_at + 100 * SEGMENT_ENTRY] ^= 0xff;
	b.p[SEGMENT_HEAD + 3 * SEGMENT_PACK + ID_SIZE] = 'x'; /* its class */
	err_clear(&e);
	pages_writer_init(&w, -1, &key);
	assert_int_equal(shelf_write(&w, &s, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	pages_writer_fini(&w);
}

/* Pages that nobody wrote so, and whose sums are right all the same. */
static void test_shelf_forged(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct segment s;
	struct pages_writer w;
	struct err e = ERR_INIT;

	(void)state;
	make_segment(EVEN, 1000, &b);
	assert_int_equal(segment_parse(b.p, b.len, &s, &e), 0);
	pages_writer_init(&w, -1, &key);
	assert_int_equal(shelf_write(&w, &s, &e), 0);
	for (uint64_t i = 0; i < 5000; i++) {
		struct buf copy = BUF_INIT;
		struct shelf sh;
		size_t from = i % 2 == 0 ? 0 : w.out.len - PAGES_SIZE;

		wr_bytes(&copy, w.out.p, w.out.len);
		from += kit_mix(i) % (i % 2 == 0 ? w.out.len : 120);
		copy.p[from] ^= (uint8_t)(1u << kit_mix(i + 9) % 8);
		struct pages p = { .fd = -1, .held = copy, .count = w.pages };

		if (shelf_open(&p, &sh, &e) < 0)
			continue;
		struct hash id = { { 0 } };
		struct shelf_cursor c;
		uint64_t entry;

		c.shelf = &sh;
		c.content = NULL;
		make_prefix(EVEN, i, id.b);
		if (shelf_load_filters(&sh, &sh.chunks, &e) == 0)
			shelf_may_have(&sh.chunks, shelf_key(id.b));
		if (shelf_seek(&c, &sh.chunks, &id, &entry, &e) == 0)
			assert_true(entry <= sh.chunks.first + sh.chunks.count);
		shelf_fini(&sh);
	}
	for (uint64_t n = 0; n < w.pages; n++) {
		struct buf copy = BUF_INIT;
		struct shelf sh;

		wr_bytes(&copy, w.out.p, n * PAGES_SIZE);
		struct pages p = { .fd = -1, .held = copy, .count = n };

		assert_int_equal(shelf_open(&p, &sh, &e), -1);
	}
	pages_writer_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_none),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_pages_damage),
		cmocka_unit_test(test_shelf),
		cmocka_unit_test(test_shelf_large),
		cmocka_unit_test(test_shelf_refuses),
		cmocka_unit_test(test_shelf_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
