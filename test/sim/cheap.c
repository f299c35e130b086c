/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What costs much and decides nothing in a run, made cheap: signatures become
 * a sum that anybody can make, boxes are open, locked memory is plain memory.
 * Whether a real signature is asked for and holds is what the tests of keys and
 * roles see to.
 */
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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
bool __wrap_sha_pair_available(void);
void *__wrap_sodium_malloc(size_t n);
void __wrap_sodium_free(void *p);

/* FNV-1a over key and message. */
static void sum(unsigned char out[crypto_sign_BYTES], const unsigned char *m,
		unsigned long long n, const unsigned char *public)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < crypto_sign_PUBLICKEYBYTES; i++)
		h = (h ^ public[i]) * UINT64_C(0x100000001b3);
	for (unsigned long long i = 0; i < n; i++)
		h = (h ^ m[i]) * UINT64_C(0x100000001b3);
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
