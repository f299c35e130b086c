/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/cut.h"
#include "repo/node.h"
#include "repo/obj.h"
#include "repo_kit.h"

/* The test vectors of FORMAT.md, which test/sample makes with code of its
 * own. */

static struct buf paper;

static void numbers(uint8_t from, uint8_t to[32])
{
	for (unsigned i = 0; i < 32; i++)
		to[i] = (uint8_t)(from + i);
}

/* The bytes of the vector. */
static void vector(const char *name, struct buf *out)
{
	autofree char *line = mem_fmt("\n    %-10s = ", name);
	const char *at = strstr((const char *)paper.p, line);

	assert_non_null(at);
	at += strlen(line);
	size_t n = strcspn(at, "\n");
	autofree char *hex = mem_fmt("%.*s", (int)n, at);

	buf_clear(out);
	assert_true(hex_decode(hex, buf_room(out, n / 2), n / 2));
	out->len += n / 2;
}

static void must_be(const char *name, const void *got, size_t size)
{
	AUTO(buf_fini) struct buf want = BUF_INIT;

	vector(name, &want);
	assert_int_equal(want.len, size);
	assert_memory_equal(want.p, got, size);
}

static struct hasher *the_hasher(void)
{
	uint8_t k_id[32], k_cut[32];
	struct err e = ERR_INIT;

	numbers(0, k_id);
	numbers(32, k_cut);
	return hasher_new(k_id, k_cut, &e);
}

static void test_chunk(void **state)
{
	AUTO(buf_fini) struct buf pages = BUF_INIT;
	struct hasher *h = the_hasher();
	struct hash leaves[2], id;
	uint32_t cuts[2];

	(void)state;
	for (unsigned i = 0; i < PAGE_SIZE_BYTES; i++)
		wr_u8(&pages, (uint8_t)(i % 251));
	memset(buf_room(&pages, PAGE_SIZE_BYTES), 0xff, PAGE_SIZE_BYTES);
	hasher_pages(h, pages.p, 2, leaves);
	hasher_cuts(h, leaves, 2, cuts);
	cut_chunk_id(h, leaves, 2, &id);
	uint8_t cut[4] = { (uint8_t)cuts[0], (uint8_t)(cuts[0] >> 8),
			   (uint8_t)(cuts[0] >> 16), (uint8_t)(cuts[0] >> 24) };

	must_be("leaf", leaves[0].b, HASH_SIZE);
	must_be("cut", cut, sizeof(cut));
	must_be("chunk", id.b, HASH_SIZE);
	hasher_free(h);
}

static void test_nodes(void **state)
{
	AUTO(buf_fini) struct buf chunk = BUF_INIT;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	autofree struct extent *x = mem_zalloc(1, sizeof(*x));
	autofree struct inner *n = mem_zalloc(1, sizeof(*n));
	struct hasher *h = the_hasher();
	struct hash id;

	(void)state;
	vector("chunk", &chunk);
	x->count = 3;
	x->runs[0] = (struct run){ .pages = 1, .hole = true };
	x->runs[1].pages = 2;
	memcpy(x->runs[1].id.b, chunk.p, HASH_SIZE);
	x->runs[2] = (struct run){ .pages = 1021, .hole = true };
	extent_encode(x, &b);
	must_be("extent", b.p, b.len);
	cut_node_id(h, b.p, b.len, &id);
	must_be("extent_id", id.b, HASH_SIZE);
	n->level = 1;
	n->present[3] = true;
	n->child[3] = id;
	buf_clear(&b);
	inner_encode(n, &b);
	must_be("inner", b.p, b.len);
	cut_node_id(h, b.p, b.len, &id);
	must_be("inner_id", id.b, HASH_SIZE);
	hasher_free(h);
}

static void test_object(void **state)
{
	AUTO(buf_fini) struct buf raw = BUF_INIT;
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct err e = ERR_INIT;
	struct keyring *k = keys_secret_alloc(sizeof(*k), &e);

	(void)state;
	assert_non_null(k);
	memset(k, 0, sizeof(*k));
	k->has_meta = true;
	numbers(64, k->meta_key);
	vector("object", &raw);
	if (obj_open(k, "notes/damage/abababababababababababababababab",
		     SIGN_NONE, raw.p, raw.len, &body, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(body.len, 8);
	assert_memory_equal(body.p, "any body", 8);
	keys_secret_free(k);
}

static int setup(void **state)
{
	const char *data = getenv("VMKEEP_TEST_DATA");
	struct err e = ERR_INIT;

	(void)state;
	if (data == NULL || keys_init(&e) < 0)
		return -1;
	autofree char *path = path_join(data, "../../FORMAT.md");

	if (file_load(path, 1u << 20, &paper, &e) < 0)
		return -1;
	wr_u8(&paper, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&paper);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunk),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_object),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
