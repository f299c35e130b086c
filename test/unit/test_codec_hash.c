/* SPDX-License-Identifier: Apache-2.0 */

/* Against FIPS 180-4 and FIPS 197 examples and RFC 4231. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/hash.h"

static void assert_hash(const struct hash *h, const char *hex)
{
	char text[2 * HASH_SIZE + 1];

	hex_encode(h->b, HASH_SIZE, text);
	assert_string_equal(text, hex);
}

static const struct {
	const char *text;
	size_t times;
	const char *hex;
} sha256_vectors[] = {
	{ "", 1,
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", 1,
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "aaaaaaaaaa", 100000,
	  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};
#define SHA256_VECTORS (sizeof(sha256_vectors) / sizeof(sha256_vectors[0]))

static void test_sha256_in_pieces(void **state)
{
	struct sha256 *s = sha256_new();
	struct hash h;

	(void)state;
	for (size_t i = 0; i < SHA256_VECTORS; i++) {
		const char *text = sha256_vectors[i].text;

		for (size_t n = 0; n < sha256_vectors[i].times; n++)
			sha256_add(s, text, strlen(text));
		sha256_end(s, &h);
		assert_hash(&h, sha256_vectors[i].hex);
	}
	sha256_free(s);
	sha256_free(NULL);
}

static void test_sha256_at_once(void **state)
{
	struct hash h;

	(void)state;
	for (size_t i = 0; i < SHA256_VECTORS; i++) {
		if (sha256_vectors[i].times > 1)
			continue;
		hash_sha256(sha256_vectors[i].text,
			    strlen(sha256_vectors[i].text), &h);
		assert_hash(&h, sha256_vectors[i].hex);
	}
}

static void test_hash_equal(void **state)
{
	struct hash a = { .b = { 1, 2, 3 } };
	struct hash b = a;

	(void)state;
	assert_true(hash_equal(&a, &b));
	b.b[HASH_SIZE - 1] ^= 1;
	assert_false(hash_equal(&a, &b));
}

/* RFC 4231; its keys are shorter than 32 bytes, and HMAC fills up with zeroes
 * as we do. */
static const struct {
	const char *key;
	const char *data;
	const char *hex;
} hmac_vectors[] = {
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b000000000000000000000000",
	  "4869205468657265",
	  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "4a65666500000000000000000000000000000000000000000000000000000000",
	  "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000000000000000000",
	  "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddddddddddddddddddddddddddddddd",
	  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "0102030405060708090a0b0c0d0e0f1011121314151617181900000000000000",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
	  "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
};
#define HMAC_VECTORS (sizeof(hmac_vectors) / sizeof(hmac_vectors[0]))

static void test_hmac(void **state)
{
	uint8_t key[32];
	uint8_t data[64];
	struct hash h;

	(void)state;
	for (size_t i = 0; i < HMAC_VECTORS; i++) {
		size_t n = strlen(hmac_vectors[i].data) / 2;

		assert_true(hex_decode(hmac_vectors[i].key, key, 32));
		assert_true(hex_decode(hmac_vectors[i].data, data, n));
		hash_hmac(key, data, n, &h);
		assert_hash(&h, hmac_vectors[i].hex);
	}
}

/* However the bytes are divided into head and body. */
static void test_id(void **state)
{
	uint8_t key[32];
	uint8_t data[64];
	struct err e = ERR_INIT;
	struct hash h;

	(void)state;
	for (size_t i = 0; i < HMAC_VECTORS; i++) {
		size_t n = strlen(hmac_vectors[i].data) / 2;

		assert_true(hex_decode(hmac_vectors[i].key, key, 32));
		assert_true(hex_decode(hmac_vectors[i].data, data, n));

		struct hasher *hasher = hasher_new(key, key, &e);

		assert_non_null(hasher);
		for (size_t head = 0; head <= n; head++) {
			hasher_id(hasher, data, head, data + head, n - head,
				  &h);
			assert_hash(&h, hmac_vectors[i].hex);
		}
		hasher_free(hasher);
	}
	hasher_free(NULL);
}

/* FIPS 197, C.3: AES-256 of 00112233... under 000102... is 8ea2b7ca... */
static void test_cut_vector(void **state)
{
	uint8_t key[32];
	struct hash leaf = { .b = { 0 } };
	struct err e = ERR_INIT;
	uint32_t cut = 0;

	(void)state;
	for (uint8_t i = 0; i < 32; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 16; i++)
		leaf.b[i] = (uint8_t)(i * 0x11);

	struct hasher *h = hasher_new(key, key, &e);

	assert_non_null(h);
	hasher_cuts(h, &leaf, 1, &cut);
	assert_int_equal(cut, 0xcab7a28e);
	hasher_free(h);
}

/* Many at once are the same as one after the other. */
static void test_cuts_of_many(void **state)
{
	enum { MANY = 2500 };
	uint8_t key[32] = { 7 };
	struct err e = ERR_INIT;
	struct hasher *h = hasher_new(key, key, &e);
	struct hash *leaves = mem_zalloc(MANY, sizeof(*leaves));
	uint32_t *cuts = mem_zalloc(MANY, sizeof(*cuts));

	(void)state;
	assert_non_null(h);
	for (uint32_t i = 0; i < MANY; i++)
		hash_sha256(&i, sizeof(i), &leaves[i]);
	hasher_cuts(h, leaves, MANY, cuts);
	for (size_t i = 0; i < MANY; i++) {
		uint32_t cut;

		hasher_cuts(h, &leaves[i], 1, &cut);
		assert_int_equal(cut, cuts[i]);
	}
	hasher_cuts(h, leaves, 0, NULL);
	free(cuts);
	free(leaves);
	hasher_free(h);
}

/* Every number of pages: pages hashed side by side are no other pages. */
static void test_pages(void **state)
{
	enum { PAGES = 9 };
	uint8_t key[32] = { 0 };
	struct err e = ERR_INIT;
	struct hasher *h = hasher_new(key, key, &e);
	uint8_t *pages = mem_alloc(PAGES * PAGE_SIZE_BYTES);
	struct hash leaves[PAGES];
	struct hash one;

	(void)state;
	assert_non_null(h);
	for (size_t i = 0; i < PAGES * PAGE_SIZE_BYTES; i++)
		pages[i] = (uint8_t)(i * i >> 7);
	for (size_t n = 0; n <= PAGES; n++) {
		memset(leaves, 0, sizeof(leaves));
		hasher_pages(h, pages, n, leaves);
		for (size_t i = 0; i < n; i++) {
			hash_sha256(pages + i * PAGE_SIZE_BYTES,
				    PAGE_SIZE_BYTES, &one);
			assert_true(hash_equal(&one, &leaves[i]));
		}
		assert_true(n == PAGES || bytes_zero(&leaves[n], HASH_SIZE));
	}
	memset(pages, 'a', PAGE_SIZE_BYTES);
	hasher_pages(h, pages, 1, leaves);
	assert_hash(&leaves[0], "c93eee2d0db02f10acc7460d9576e122"
				"dcf8cd53c4bf8dfcae1b3e74ebcfff5a");
	free(pages);
	hasher_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_equal),
		cmocka_unit_test(test_sha256_at_once),
		cmocka_unit_test(test_sha256_in_pieces),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_cut_vector),
		cmocka_unit_test(test_cuts_of_many),
		cmocka_unit_test(test_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
