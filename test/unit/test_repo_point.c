/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/point.h"

static void make_point(struct set *s, unsigned i)
{
	static const char *const names[] = { "web1", "with space/and\"quotes'",
					     "\xc3\xa4\xe2\x82\xac", "" };
	struct point *p = set_add_point(s);

	memset(p->id.b, (int)i, ID_SIZE);
	p->name = mem_strdup(names[i % 4]);
	p->time_ns = i == 0 ? INT64_MIN : (int64_t)i * 1000000007;
	attrs_setf(&p->attrs, "level", "%s", i % 2 ? "ram" : "crash");
	for (unsigned k = 0; k < i; k++) {
		struct image *m = point_add_image(p);

		m->kind = (enum image_kind)(IMAGE_DISK + k % 7);
		m->name = mem_fmt("vd%c", 'a' + k);
		m->root.size = k == 0 ? 0 : IMAGE_MAX_SIZE - k;
		m->root.depth = (uint8_t)(k % (TREE_MAX_DEPTH + 1));
		m->root.hole = k % 2;
		memset(m->root.top.b, (int)k, HASH_SIZE);
		attrs_set(&m->attrs, "format", "qcow2");
	}
}

static void make_set(struct set *s, unsigned points)
{
	memset(s, 0, sizeof(*s));
	memset(s->session.b, 0x77, ID_SIZE);
	s->generation = 3;
	s->time_ns = 1700000000000000000;
	s->host = mem_strdup("host");
	s->program = mem_strdup("vmkeep 0");
	s->segments = mem_zalloc(2, sizeof(*s->segments));
	s->segments[s->segment_count++] = mem_strdup("idx/a-0");
	s->segments[s->segment_count++] = mem_strdup("idx/a-1");
	attrs_set(&s->attrs, "bytes.new", "17");
	for (unsigned i = 0; i < points; i++)
		make_point(s, i);
}

/* Whatever decodes encodes to the same bytes. */
static bool decodes(const void *p, size_t size)
{
	AUTO(buf_fini) struct buf again = BUF_INIT;
	struct err e = ERR_INIT;
	struct set s;

	if (set_decode(p, size, &s, &e) < 0) {
		assert_int_equal(e.code, ERR_INTEGRITY);
		return false;
	}
	assert_int_equal(set_encode(&s, &again, &e), 0);
	assert_int_equal(again.len, size);
	assert_memory_equal(again.p, p, size);
	set_fini(&s);
	return true;
}

static void test_round_trip(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		AUTO(set_fini) struct set s;
		AUTO(buf_fini) struct buf b = BUF_INIT;
		struct err e = ERR_INIT;

		make_set(&s, n);
		assert_int_equal(set_encode(&s, &b, &e), 0);
		assert_true(decodes(b.p, b.len));
	}
}

static void test_fields(void **state)
{
	AUTO(set_fini) struct set s;
	AUTO(set_fini) struct set t = { 0 };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	make_set(&s, 3);
	assert_int_equal(set_encode(&s, &b, &e), 0);
	assert_int_equal(set_decode(b.p, b.len, &t, &e), 0);
	assert_int_equal(t.generation, 3);
	assert_string_equal(t.host, "host");
	assert_string_equal(t.segments[1], "idx/a-1");
	assert_string_equal(attrs_get(&t.attrs, "bytes.new"), "17");
	assert_null(attrs_get(&t.attrs, "bytes.old"));
	assert_int_equal(t.points[0].time_ns, INT64_MIN);
	assert_string_equal(t.points[2].name, s.points[2].name);
	const struct image *m = point_image(&t.points[2], "vdb");

	assert_non_null(m);
	assert_int_equal(m->kind, IMAGE_RAM);
	assert_int_equal(m->root.size, IMAGE_MAX_SIZE - 1);
	assert_string_equal(attrs_get(&m->attrs, "format"), "qcow2");
	assert_null(point_image(&t.points[2], "vdz"));
}

static void test_damaged(void **state)
{
	AUTO(set_fini) struct set s;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	make_set(&s, 4);
	assert_int_equal(set_encode(&s, &b, &e), 0);
	for (size_t n = 0; n < b.len; n++)
		assert_false(decodes(b.p, n));
	for (size_t at = 0; at < b.len; at++) {
		for (unsigned v = 1; v < 256; v = v * 2 + 1) {
			b.p[at] ^= (uint8_t)v;
			decodes(b.p, b.len);
			b.p[at] ^= (uint8_t)v;
		}
	}
	wr_u8(&b, 0);
	assert_false(decodes(b.p, b.len));
}

/* What we would refuse to read is not written. */
static void test_limits(void **state)
{
	AUTO(set_fini) struct set s;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	make_set(&s, 1);
	free(s.points[0].name);
	s.points[0].name = mem_zalloc(70001, 1);
	memset(s.points[0].name, 'x', 70000);
	wr_u8(&b, 9);
	assert_int_equal(set_encode(&s, &b, &e), -1);
	assert_int_equal(b.len, 1);
	s.points[0].name[4096] = '\0';
	assert_int_equal(set_encode(&s, &b, &e), 0);
	assert_true(decodes(b.p + 1, b.len - 1));
	autofree char *long_value = mem_zalloc(60002, 1);

	memset(long_value, 'y', 60001);
	attrs_set(&s.points[0].attrs, "v", long_value);
	assert_int_equal(set_encode(&s, &b, &e), -1);
}

static void test_attrs(void **state)
{
	AUTO(attrs_fini) struct attrs a = { NULL, 0 };

	(void)state;
	attrs_set(&a, "b", "1");
	attrs_set(&a, "a", "2");
	attrs_set(&a, "c", "3");
	attrs_setf(&a, "b", "%d", 4);
	assert_int_equal(a.count, 3);
	assert_string_equal(a.items[0].key, "a");
	assert_string_equal(a.items[2].key, "c");
	assert_string_equal(attrs_get(&a, "b"), "4");
	assert_null(attrs_get(&a, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attrs),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
