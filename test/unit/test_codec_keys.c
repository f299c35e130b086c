/* SPDX-License-Identifier: Apache-2.0 */

/* Ed25519 against RFC 8032, Argon2id against the reference program. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/keys.h"

static struct err e;

static void assert_hex(const void *p, size_t n, const char *hex)
{
	char text[256];

	assert_true(2 * n < sizeof(text));
	hex_encode(p, n, text);
	assert_string_equal(text, hex);
}

static void test_random(void **state)
{
	uint8_t a[32] = { 0 };
	uint8_t b[32] = { 0 };

	(void)state;
	keys_random(a, sizeof(a));
	keys_random(b, sizeof(b));
	assert_false(bytes_zero(a, sizeof(a)));
	assert_memory_not_equal(a, b, sizeof(a));
}

static void test_wipe(void **state)
{
	uint8_t a[32];

	(void)state;
	memset(a, 1, sizeof(a));
	keys_wipe(a, sizeof(a));
	assert_true(bytes_zero(a, sizeof(a)));
}

static void test_secret_memory(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 5000; n += 77) {
		AUTO(keys_secret_free_at) uint8_t *p = keys_secret_alloc(n, &e);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(bytes_zero(p, n));
		memset(p, 1, n);
	}
	keys_secret_free(NULL);
	assert_null(keys_secret_alloc(SIZE_MAX, &e));
	assert_null(keys_secret_alloc(SIZE_MAX / 2, &e));
}

/* In a process that may lock nothing. */
/* The address sanitizer makes mlock(2) do nothing, and say that it did. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static void test_secret_memory_unlocked(void **state)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		(void)setrlimit(RLIMIT_MEMLOCK, &none);
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		if (keys_secret_alloc(100, &e) == NULL)
			_exit(2);
		_exit(keys_secret_unlocked() || SANITIZED ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(keys_secret_unlocked());
}

/* printf password | argon2 sixteen-byte-now -id -t T -k K -p 1 -l 32 -r */
static void test_kdf_vectors(void **state)
{
	struct kdf k = { .memory_kib = 8192, .passes = 1 };
	uint8_t key[32];

	(void)state;
	memcpy(k.salt, "sixteen-byte-now", KDF_SALT);
	assert_int_equal(kdf_derive(&k, "password", 8, key, &e), 0);
	assert_hex(key, 32,
		   "dc390e23f93b2ab65382b4446f8118c4"
		   "eec0d88b4434cf61100e1bbe9a132b8f");
	k.memory_kib = 65536;
	k.passes = 3;
	assert_int_equal(kdf_derive(&k, "password", 8, key, &e), 0);
	assert_hex(key, 32,
		   "0a4ace613b09cece26bcbc02cb148fbf"
		   "56c18e50a6937d4dcb60517de4f72a8c");
}

static void test_kdf_default(void **state)
{
	struct kdf a;
	struct kdf b;

	(void)state;
	kdf_default(&a);
	kdf_default(&b);
	assert_int_equal(a.memory_kib, 65536);
	assert_int_equal(a.passes, 3);
	assert_memory_not_equal(a.salt, b.salt, KDF_SALT);
}

/* What a file says may not make us eat the machine, or be cheap to guess. */
static void test_kdf_limits(void **state)
{
	static const struct kdf beyond[] = {
		{ .memory_kib = 8191, .passes = 3 },
		{ .memory_kib = 1024 * 1024 + 1, .passes = 1 },
		{ .memory_kib = UINT32_MAX, .passes = 1 },
		{ .memory_kib = 65536, .passes = 0 },
		{ .memory_kib = 65536, .passes = 17 },
	};
	uint8_t key[32];

	(void)state;
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		err_clear(&e);
		assert_int_equal(kdf_derive(&beyond[i], "p", 1, key, &e), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
	}
}

static void test_box(void **state)
{
	uint8_t public_key[BOX_PUBLIC];
	uint8_t secret[BOX_SECRET];
	uint8_t box[32 + BOX_OVERHEAD];
	uint8_t again[32 + BOX_OVERHEAD];
	uint8_t out[32];

	(void)state;
	box_keypair(public_key, secret);
	assert_int_equal(box_seal(public_key,
				  "a data key of thirty-two bytes..", 32, box,
				  &e),
			 0);
	assert_int_equal(box_seal(public_key,
				  "a data key of thirty-two bytes..", 32, again,
				  &e),
			 0);
	assert_memory_not_equal(box, again, sizeof(box));
	assert_int_equal(
		box_open(public_key, secret, box, sizeof(box), out, &e), 0);
	assert_memory_equal(out, "a data key of thirty-two bytes..", 32);
}

static void test_box_of_others(void **state)
{
	uint8_t public_key[BOX_PUBLIC];
	uint8_t secret[BOX_SECRET];
	uint8_t box[5 + BOX_OVERHEAD];
	uint8_t out[5];

	(void)state;
	box_keypair(public_key, secret);
	assert_int_equal(box_seal(public_key, "hello", 5, box, &e), 0);
	for (size_t i = 0; i < sizeof(box); i++) {
		box[i] ^= 1;
		assert_int_equal(
			box_open(public_key, secret, box, sizeof(box), out, &e),
			-1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		box[i] ^= 1;
	}
	for (size_t n = 0; n < sizeof(box); n++)
		assert_int_equal(box_open(public_key, secret, box, n, out, &e),
				 -1);
	box_keypair(public_key, secret);
	assert_int_equal(
		box_open(public_key, secret, box, sizeof(box), out, &e), -1);
}

/* A point of low order is no public key: anyone could open the box. */
static void test_box_weak_key(void **state)
{
	uint8_t weak[BOX_PUBLIC] = { 0 };
	uint8_t box[5 + BOX_OVERHEAD];

	(void)state;
	assert_int_equal(box_seal(weak, "hello", 5, box, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

/* RFC 8032, 7.1, tests 1 to 3. */
static const struct {
	const char *seed;
	const char *public_key;
	const char *text;
	const char *sig;
} sign_vectors[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	  "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8"
	  "821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	  "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085a"
	  "c1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
	  "af82",
	  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff"
	  "9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
};

static void test_sign_vectors(void **state)
{
	uint8_t seed[SIGN_SEED];
	uint8_t public_key[SIGN_PUBLIC];
	uint8_t text[2];
	uint8_t sig[SIGN_SIZE];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(sign_vectors[i].text) / 2;

		assert_true(hex_decode(sign_vectors[i].seed, seed, SIGN_SEED));
		assert_true(hex_decode(sign_vectors[i].public_key, public_key,
				       SIGN_PUBLIC));
		assert_true(hex_decode(sign_vectors[i].text, text, n));
		assert_int_equal(sign_make(seed, text, n, sig, &e), 0);
		assert_hex(sig, SIGN_SIZE, sign_vectors[i].sig);
		assert_int_equal(sign_check(public_key, text, n, sig, &e), 0);
	}
}

static void test_sign_every_bit_counts(void **state)
{
	uint8_t seed[SIGN_SEED];
	uint8_t public_key[SIGN_PUBLIC];
	uint8_t sig[SIGN_SIZE];

	(void)state;
	sign_keypair(public_key, seed);
	assert_int_equal(sign_make(seed, "hello", 5, sig, &e), 0);
	assert_int_equal(sign_check(public_key, "hello", 5, sig, &e), 0);
	for (size_t i = 0; i < SIGN_SIZE * 8; i++) {
		sig[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(sign_check(public_key, "hello", 5, sig, &e),
				 -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		sig[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(sign_check(public_key, "hellO", 5, sig, &e), -1);
	assert_int_equal(sign_check(public_key, "hello", 4, sig, &e), -1);
	sign_keypair(public_key, seed);
	assert_int_equal(sign_check(public_key, "hello", 5, sig, &e), -1);
}

static int set_up(void **state)
{
	(void)state;
	return keys_init(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_secret_memory),
		cmocka_unit_test(test_secret_memory_unlocked),
		cmocka_unit_test(test_kdf_vectors),
		cmocka_unit_test(test_kdf_default),
		cmocka_unit_test(test_kdf_limits),
		cmocka_unit_test(test_box),
		cmocka_unit_test(test_box_of_others),
		cmocka_unit_test(test_box_weak_key),
		cmocka_unit_test(test_sign_vectors),
		cmocka_unit_test(test_sign_every_bit_counts),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
