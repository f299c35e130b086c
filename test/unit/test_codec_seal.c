/* SPDX-License-Identifier: Apache-2.0 */

/* Against RFC 5869, the GCM specification's test cases, and libsodium. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/seal.h"
#include "codec/seal_internal.h"

static struct err e;

static void assert_hex(const void *p, size_t n, const char *hex)
{
	char text[256];

	assert_true(2 * n < sizeof(text));
	hex_encode(p, n, text);
	assert_string_equal(text, hex);
}

/* n bytes that count up from first */
static void count_up(uint8_t *p, uint8_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(first + i);
}

static void test_hkdf_case_1(void **state)
{
	uint8_t key[22];
	uint8_t salt[13];
	uint8_t info[10];
	uint8_t out[42];
	struct seal_hkdf k = { key, 22, salt, 13, info, 10 };

	(void)state;
	memset(key, 0x0b, sizeof(key));
	count_up(salt, 0, sizeof(salt));
	count_up(info, 0xf0, sizeof(info));
	assert_int_equal(seal_hkdf(&k, out, sizeof(out), &e), 0);
	assert_hex(out, sizeof(out),
		   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc"
		   "4c5bf34007208d5b887185865");
}

static void test_hkdf_case_2(void **state)
{
	uint8_t key[80];
	uint8_t salt[80];
	uint8_t info[80];
	uint8_t out[82];
	struct seal_hkdf k = { key, 80, salt, 80, info, 80 };

	(void)state;
	count_up(key, 0, sizeof(key));
	count_up(salt, 0x60, sizeof(salt));
	count_up(info, 0xb0, sizeof(info));
	assert_int_equal(seal_hkdf(&k, out, sizeof(out), &e), 0);
	assert_hex(out, sizeof(out),
		   "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19a"
		   "fa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793"
		   "a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

static void test_hkdf_case_3(void **state)
{
	uint8_t key[22];
	uint8_t out[42];
	struct seal_hkdf k = { key, 22, NULL, 0, "", 0 };

	(void)state;
	memset(key, 0x0b, sizeof(key));
	assert_int_equal(seal_hkdf(&k, out, sizeof(out), &e), 0);
	assert_hex(out, sizeof(out),
		   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c7"
		   "38d2d9d201395faa4b61a96c8");
}

static void test_derived_keys_differ(void **state)
{
	uint8_t key[SEAL_KEY] = { 1 };
	uint8_t a[SEAL_KEY];
	uint8_t b[SEAL_KEY];

	(void)state;
	assert_int_equal(seal_derive(key, "salt", 4, "pack", a, &e), 0);
	assert_int_equal(seal_derive(key, "salt", 4, "pack", b, &e), 0);
	assert_memory_equal(a, b, SEAL_KEY);
	assert_int_equal(seal_derive(key, "sale", 4, "pack", b, &e), 0);
	assert_memory_not_equal(a, b, SEAL_KEY);
	assert_int_equal(seal_derive(key, "salt", 4, "node", b, &e), 0);
	assert_memory_not_equal(a, b, SEAL_KEY);
	key[31] = 1;
	assert_int_equal(seal_derive(key, "salt", 4, "pack", b, &e), 0);
	assert_memory_not_equal(a, b, SEAL_KEY);
}

/* McGrew and Viega, test cases 13 and 14: all is zero. */
static void test_gcm_vectors(void **state)
{
	uint8_t key[SEAL_KEY] = { 0 };
	uint8_t in[16] = { 0 };
	uint8_t out[16 + SEAL_TAG];
	struct sealer *s = sealer_with_key(key, &e);

	(void)state;
	assert_non_null(s);
	assert_int_equal(sealer_seal(s, 0, NULL, 0, NULL, 0, out, &e), 0);
	assert_hex(out, SEAL_TAG, "530f8afbc74536b9a963b4f1c4cb738b");
	assert_int_equal(sealer_seal(s, 0, NULL, 0, in, 16, out, &e), 0);
	assert_hex(out, 16 + SEAL_TAG,
		   "cea7403d4d606b6e074ec5d3baf39d18"
		   "d0d1c8a799996bf0265b98b5d48ab919");
	sealer_free(s);
	sealer_free(NULL);
}

/* An implementation that shares nothing with ours says the same. */
static void test_gcm_beside_libsodium(void **state)
{
	uint8_t key[SEAL_KEY];
	uint8_t in[1000];
	uint8_t ours[1000 + SEAL_TAG];
	uint8_t theirs[1000 + SEAL_TAG];
	uint8_t nonce[12] = { 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01 };

	(void)state;
	if (sodium_init() < 0 || !crypto_aead_aes256gcm_is_available())
		skip();
	count_up(key, 3, sizeof(key));
	count_up(in, 5, sizeof(in));

	struct sealer *s = sealer_with_key(key, &e);

	for (size_t n = 0; n <= sizeof(in); n += 37) {
		assert_int_equal(sealer_seal(s, 0x0102030405060708, in, n / 3,
					     in, n, ours, &e),
				 0);
		crypto_aead_aes256gcm_encrypt(theirs, NULL, in, n, in, n / 3,
					      NULL, nonce, key);
		assert_memory_equal(ours, theirs, n + SEAL_TAG);
	}
	sealer_free(s);
}

#define SIZE 100

struct sealed {
	struct sealer *s;
	uint8_t plain[SIZE];
	uint8_t box[SIZE + SEAL_TAG];
	uint8_t out[SIZE];
};

static int set_up(void **state)
{
	static const uint8_t key[SEAL_KEY] = { 1, 2, 3 };
	struct sealed *t = mem_zalloc(1, sizeof(*t));

	*state = t;
	count_up(t->plain, 0, SIZE);
	t->s = sealer_new(key, "salt", 4, "test", &e);
	return t->s == NULL ? -1
			    : sealer_seal(t->s, 9, "aad", 3, t->plain, SIZE,
					  t->box, &e);
}

static int tear_down(void **state)
{
	struct sealed *t = *state;

	sealer_free(t->s);
	free(t);
	return 0;
}

static void test_opens(void **state)
{
	struct sealed *t = *state;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(sealer_open(t->s, 9, "aad", 3, t->box, SIZE,
					     t->out, &e),
				 0);
		assert_memory_equal(t->out, t->plain, SIZE);
	}
}

static void test_in_place(void **state)
{
	struct sealed *t = *state;
	uint8_t both[SIZE + SEAL_TAG];

	memcpy(both, t->plain, SIZE);
	assert_int_equal(sealer_seal(t->s, 9, "aad", 3, both, SIZE, both, &e),
			 0);
	assert_memory_equal(both, t->box, sizeof(both));
	assert_int_equal(sealer_open(t->s, 9, "aad", 3, both, SIZE, both, &e),
			 0);
	assert_memory_equal(both, t->plain, SIZE);
}

static void assert_broken(struct sealed *t, uint64_t number, const char *aad,
			  size_t size)
{
	memset(t->out, 0xee, SIZE);
	err_clear(&e);
	assert_int_equal(sealer_open(t->s, number, aad, strlen(aad), t->box,
				     size, t->out, &e),
			 -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_true(bytes_zero(t->out, size));
}

static void test_every_bit_counts(void **state)
{
	struct sealed *t = *state;

	for (size_t i = 0; i < sizeof(t->box) * 8; i++) {
		t->box[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_broken(t, 9, "aad", SIZE);
		t->box[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_broken(t, 8, "aad", SIZE);
	assert_broken(t, 9 + (UINT64_C(1) << 40), "aad", SIZE);
	assert_broken(t, 9, "aae", SIZE);
	assert_broken(t, 9, "aad ", SIZE);
	assert_broken(t, 9, "", SIZE);
	assert_broken(t, 9, "aad", SIZE - 1);
	assert_broken(t, 9, "aad", 0);
	test_opens(state);
}

static void test_other_objects_key(void **state)
{
	static const uint8_t key[SEAL_KEY] = { 1, 2, 3 };
	struct sealed *t = *state;
	struct sealer *mine = t->s;

	t->s = sealer_new(key, "sale", 4, "test", &e);
	assert_broken(t, 9, "aad", SIZE);
	sealer_free(t->s);
	t->s = mine;
}

static void test_too_much_is_refused(void **state)
{
	struct sealed *t = *state;

	assert_int_equal(sealer_seal(t->s, 1, NULL, 0, t->plain,
				     (size_t)1 << 31, t->out, &e),
			 -1);
	assert_int_equal(sealer_open(t->s, 1, NULL, 0, t->box, (size_t)1 << 31,
				     t->out, &e),
			 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hkdf_case_1),
		cmocka_unit_test(test_hkdf_case_2),
		cmocka_unit_test(test_hkdf_case_3),
		cmocka_unit_test(test_derived_keys_differ),
		cmocka_unit_test(test_gcm_vectors),
		cmocka_unit_test(test_gcm_beside_libsodium),
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_other_objects_key),
		cmocka_unit_test(test_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
