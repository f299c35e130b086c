/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What costs much and decides nothing in a run, made cheap: signatures and
 * seals become sums that anybody can make, boxes are open, locked memory is
 * plain memory.  A seal still holds only under its key, number and additional
 * data.  Whether a real signature is asked for and holds is what the tests of
 * keys and roles see to.
 */
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/seal.h"

int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *size,
				const unsigned char *m, unsigned long long n,
				const unsigned char *secret);
int __wrap_crypto_sign_verify_detached(const unsigned char *sig,
				       const unsigned char *m,
				       unsigned long long n,
				       const unsigned char *public);
int __wrap_crypto_sign_seed_keypair(unsigned char *public,
				    unsigned char *secret,
				    const unsigned char *seed);
int __wrap_crypto_box_seal(unsigned char *out, const unsigned char *in,
			   unsigned long long n, const unsigned char *public);
int __wrap_crypto_box_seal_open(unsigned char *out, const unsigned char *in,
				unsigned long long n,
				const unsigned char *public,
				const unsigned char *secret);
struct sealer *__wrap_sealer_new(const uint8_t key[SEAL_KEY], const void *salt,
				 size_t salt_size, const char *info,
				 struct err *e);
void __wrap_sealer_free(struct sealer *s);
int __wrap_sealer_seal(struct sealer *s, uint64_t number, const void *aad,
		       size_t aad_size, const void *in, size_t size, void *out,
		       struct err *e);
int __wrap_sealer_open(struct sealer *s, uint64_t number, const void *aad,
		       size_t aad_size, const void *in, size_t size, void *out,
		       struct err *e);
int __wrap_seal_derive(const uint8_t key[SEAL_KEY], const void *salt,
		       size_t salt_size, const char *info,
		       uint8_t out[SEAL_KEY], struct err *e);
bool __wrap_sha_pair_available(void);
void *__wrap_sodium_malloc(size_t n);
void __wrap_sodium_free(void *p);

/* murmur3's last step, over 8 bytes at a time */
static uint64_t stir(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 33;
}

static uint64_t stir_all(uint64_t h, const void *p, size_t n)
{
	const uint8_t *at = p;
	uint64_t word;

	h = stir(h, n);
	for (; n >= sizeof(word); n -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		h = stir(h, word);
	}
	for (; n > 0; n--)
		h = stir(h, *at++);
	return h;
}

/* Over key and message. */
static void sum(unsigned char out[crypto_sign_BYTES], const unsigned char *m,
		unsigned long long n, const unsigned char *public)
{
	uint64_t h = stir_all(0, public, crypto_sign_PUBLICKEYBYTES);

	h = stir_all(h, m, n);
	memset(out, 0, crypto_sign_BYTES);
	memcpy(out, &h, sizeof(h));
}

/* A secret key is its seed and the public key, which is the seed turned. */
int __wrap_crypto_sign_seed_keypair(unsigned char *public,
				    unsigned char *secret,
				    const unsigned char *seed)
{
	for (size_t i = 0; i < crypto_sign_PUBLICKEYBYTES; i++)
	public[i] = seed[i] ^ 0xff;
	memcpy(secret, seed, crypto_sign_SEEDBYTES);
	memcpy(secret + crypto_sign_SEEDBYTES, public,
	       crypto_sign_PUBLICKEYBYTES);
	return 0;
}

int __wrap_crypto_box_seal(unsigned char *out, const unsigned char *in,
			   unsigned long long n, const unsigned char *public)
{
	memcpy(out, public, crypto_box_PUBLICKEYBYTES);
	memset(out + crypto_box_PUBLICKEYBYTES, 0,
	       crypto_box_SEALBYTES - crypto_box_PUBLICKEYBYTES);
	memcpy(out + crypto_box_SEALBYTES, in, n);
	return 0;
}

int __wrap_crypto_box_seal_open(unsigned char *out, const unsigned char *in,
				unsigned long long n,
				const unsigned char *public,
				const unsigned char *secret)
{
	(void)secret;
	if (memcmp(in, public, crypto_box_PUBLICKEYBYTES) != 0)
		return -1;
	memcpy(out, in + crypto_box_SEALBYTES, n - crypto_box_SEALBYTES);
	return 0;
}

int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *size,
				const unsigned char *m, unsigned long long n,
				const unsigned char *secret)
{
	sum(sig, m, n, secret + crypto_sign_SEEDBYTES);
	if (size != NULL)
		*size = crypto_sign_BYTES;
	return 0;
}

int __wrap_crypto_sign_verify_detached(const unsigned char *sig,
				       const unsigned char *m,
				       unsigned long long n,
				       const unsigned char *public)
{
	unsigned char want[crypto_sign_BYTES];

	sum(want, m, n, public);
	return memcmp(want, sig, sizeof(want)) == 0 ? 0 : -1;
}

void *__wrap_sodium_malloc(size_t n)
{
	return malloc(n);
}

void __wrap_sodium_free(void *p)
{
	free(p);
}

/* Asking the processor is slow where it is a virtual one. */
bool __wrap_sha_pair_available(void)
{
	return false;
}

/* ---- seals ----------------------------------------------------------- */

struct sealer {
	uint64_t key;
};

struct sealer *__wrap_sealer_new(const uint8_t key[SEAL_KEY], const void *salt,
				 size_t salt_size, const char *info,
				 struct err *e)
{
	struct sealer *s = mem_alloc(sizeof(*s));

	(void)e;
	s->key = stir_all(0, key, SEAL_KEY);
	s->key = stir_all(s->key, salt, salt_size);
	s->key = stir_all(s->key, info, strlen(info));
	return s;
}

void __wrap_sealer_free(struct sealer *s)
{
	free(s);
}

static void tag_of(const struct sealer *s, uint64_t number, const void *aad,
		   size_t aad_size, uint64_t tag[2])
{
	tag[0] = stir_all(stir(s->key, number), aad, aad_size);
	tag[1] = ~tag[0];
}

int __wrap_sealer_seal(struct sealer *s, uint64_t number, const void *aad,
		       size_t aad_size, const void *in, size_t size, void *out,
		       struct err *e)
{
	uint64_t tag[2];

	(void)e;
	tag_of(s, number, aad, aad_size, tag);
	tag[1] = stir_all(tag[1], in, size);
	memmove(out, in, size);
	memcpy((uint8_t *)out + size, tag, SEAL_TAG);
	return 0;
}

int __wrap_sealer_open(struct sealer *s, uint64_t number, const void *aad,
		       size_t aad_size, const void *in, size_t size, void *out,
		       struct err *e)
{
	uint64_t tag[2];

	tag_of(s, number, aad, aad_size, tag);
	tag[1] = stir_all(tag[1], in, size);
	if (memcmp((const uint8_t *)in + size, tag, SEAL_TAG) != 0)
		return err_set(e, ERR_INTEGRITY, "the seal is broken");
	memmove(out, in, size);
	return 0;
}

int __wrap_seal_derive(const uint8_t key[SEAL_KEY], const void *salt,
		       size_t salt_size, const char *info,
		       uint8_t out[SEAL_KEY], struct err *e)
{
	uint64_t h = stir_all(0, key, SEAL_KEY);

	(void)e;
	h = stir_all(h, salt, salt_size);
	h = stir_all(h, info, strlen(info));
	for (size_t i = 0; i < SEAL_KEY; i += sizeof(h)) {
		h = stir(h, i);
		memcpy(out + i, &h, sizeof(h));
	}
	return 0;
}
