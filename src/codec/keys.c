/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/keys.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include <sodium.h>

_Static_assert(KDF_SALT == crypto_pwhash_argon2id_SALTBYTES, "salt");
_Static_assert(BOX_PUBLIC == crypto_box_PUBLICKEYBYTES, "box public key");
_Static_assert(BOX_SECRET == crypto_box_SECRETKEYBYTES, "box secret key");
_Static_assert(BOX_OVERHEAD == crypto_box_SEALBYTES, "box overhead");
_Static_assert(SIGN_PUBLIC == crypto_sign_PUBLICKEYBYTES, "public key");
_Static_assert(SIGN_SEED == crypto_sign_SEEDBYTES, "seed");
_Static_assert(SIGN_SIZE == crypto_sign_BYTES, "signature");

#define KDF_MEMORY_MIN (8u * 1024)
#define KDF_MEMORY_MAX (1024u * 1024)
#define KDF_PASSES_MAX 16u

int keys_init(struct err *e)
{
	if (sodium_init() < 0)
		return err_set(e, ERR_FAILED, "libsodium cannot start");
	return 0;
}

void keys_random(void *p, size_t n)
{
	randombytes_buf(p, n);
}

static atomic_bool unlocked;

bool keys_secret_unlocked(void)
{
	return atomic_load(&unlocked);
}

void *keys_secret_alloc(size_t n, struct err *e)
{
	/* it ends where its page ends: round up, so that structs are aligned */
	size_t size = (n + 15) & ~(size_t)15;
	void *p = size >= n ? sodium_malloc(size) : NULL;

	if (p == NULL) {
		err_set(e, ERR_FAILED, "no memory for %zu bytes of secrets", n);
		return NULL;
	}
	/* libsodium has locked it, and does not say whether that worked */
	if (mlock(p, size) < 0)
		atomic_store(&unlocked, true);
	memset(p, 0, size);
	return p;
}

void keys_secret_free(void *p)
{
	sodium_free(p);
}

void keys_secret_free_at(void *at)
{
	void *p;

	memcpy(&p, at, sizeof(p));
	sodium_free(p);
}

void keys_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

void kdf_default(struct kdf *k)
{
	k->memory_kib = 64 * 1024;
	k->passes = 3;
	keys_random(k->salt, sizeof(k->salt));
}

static int check_kdf(const struct kdf *k, struct err *e)
{
	if (k->memory_kib < KDF_MEMORY_MIN || k->memory_kib > KDF_MEMORY_MAX ||
	    k->passes < 1 || k->passes > KDF_PASSES_MAX)
		return err_set(e, ERR_INTEGRITY,
			       "Argon2id with %u KiB and %u passes is beyond "
			       "the limits",
			       k->memory_kib, k->passes);
	return 0;
}

int kdf_derive(const struct kdf *k, const char *passphrase, size_t size,
	       uint8_t key[32], struct err *e)
{
	if (check_kdf(k, e) < 0)
		return -1;
	if (crypto_pwhash_argon2id(key, 32, passphrase, size, k->salt,
				   k->passes, (size_t)k->memory_kib * 1024,
				   crypto_pwhash_argon2id_ALG_ARGON2ID13) < 0)
		return err_sys(e,
			       "cannot derive a key from the passphrase "
			       "with %u KiB",
			       k->memory_kib);
	return 0;
}

void box_keypair(uint8_t public_key[BOX_PUBLIC], uint8_t secret[BOX_SECRET])
{
	crypto_box_keypair(public_key, secret);
}

int box_seal(const uint8_t public_key[BOX_PUBLIC], const void *in, size_t size,
	     void *out, struct err *e)
{
	if (crypto_box_seal(out, in, size, public_key) < 0)
		return err_set(e, ERR_INTEGRITY,
			       "the recipient's public key is none");
	return 0;
}

int box_open(const uint8_t public_key[BOX_PUBLIC],
	     const uint8_t secret[BOX_SECRET], const void *in, size_t size,
	     void *out, struct err *e)
{
	if (crypto_box_seal_open(out, in, size, public_key, secret) < 0)
		return err_set(e, ERR_INTEGRITY,
			       "not sealed to this recipient, or damaged");
	return 0;
}

/* libsodium's secret key is the seed and the public key. */
static void full_key(const uint8_t seed[SIGN_SEED],
		     uint8_t public_key[SIGN_PUBLIC],
		     uint8_t full[crypto_sign_SECRETKEYBYTES])
{
	crypto_sign_seed_keypair(public_key, full, seed);
}

void sign_keypair(uint8_t public_key[SIGN_PUBLIC], uint8_t seed[SIGN_SEED])
{
	uint8_t full[crypto_sign_SECRETKEYBYTES];

	keys_random(seed, SIGN_SEED);
	full_key(seed, public_key, full);
	keys_wipe(full, sizeof(full));
}

int sign_make(const uint8_t seed[SIGN_SEED], const void *p, size_t n,
	      uint8_t sig[SIGN_SIZE], struct err *e)
{
	uint8_t public_key[SIGN_PUBLIC];
	uint8_t full[crypto_sign_SECRETKEYBYTES];

	full_key(seed, public_key, full);

	int r = crypto_sign_detached(sig, NULL, p, n, full);

	keys_wipe(full, sizeof(full));
	return r == 0 ? 0 : err_set(e, ERR_FAILED, "cannot sign");
}

int sign_check(const uint8_t public_key[SIGN_PUBLIC], const void *p, size_t n,
	       const uint8_t sig[SIGN_SIZE], struct err *e)
{
	if (crypto_sign_verify_detached(sig, p, n, public_key) < 0)
		return err_set(e, ERR_INTEGRITY,
			       "the signature is not of this key");
	return 0;
}
