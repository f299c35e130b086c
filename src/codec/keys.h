/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CODEC_KEYS_H
#define VMKEEP_CODEC_KEYS_H

/*
 * Passphrases, key pairs, signatures, randomness, and memory for secrets
 * (libsodium).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Must be called once, first, from one thread. */
int keys_init(struct err *e);

void keys_random(void *p, size_t n);

/*
 * Zeroed memory for secrets, between guard pages, left out of core dumps, and
 * wiped when it is freed; NULL when it is not to be had.  It is locked as far
 * as RLIMIT_MEMLOCK allows: beyond it the memory is given all the same, since
 * a backup that does not run for want of a limit is worse than a key that
 * might be swapped.  Aligned to 16 bytes.  A page or more each: few, not small.
 */
void *keys_secret_alloc(size_t n, struct err *e);
void keys_secret_free(void *p);

/* Has any of it not been locked so far?  It is worth a warning. */
bool keys_secret_unlocked(void);
void keys_secret_free_at(void *at);
void keys_wipe(void *p, size_t n);

/* Argon2id (RFC 9106).  Parameters from outside are checked against limits:
 * memory 8 MiB to 1 GiB, passes 1 to 16; beyond is ERR_INTEGRITY.  One lane. */
#define KDF_SALT 16
struct kdf {
	uint32_t memory_kib;
	uint32_t passes;
	uint8_t salt[KDF_SALT];
};

/* What we use for new slots (64 MiB, 3 passes), with a fresh salt. */
void kdf_default(struct kdf *k);
int kdf_derive(const struct kdf *k, const char *passphrase, size_t size,
	       uint8_t key[32], struct err *e);

/* X25519 sealed boxes: only the holder of the secret can open. */
#define BOX_PUBLIC   32
#define BOX_SECRET   32
#define BOX_OVERHEAD 48
void box_keypair(uint8_t public_key[BOX_PUBLIC], uint8_t secret[BOX_SECRET]);
/* out: size + BOX_OVERHEAD bytes.  ERR_INTEGRITY: that is no public key. */
int box_seal(const uint8_t public_key[BOX_PUBLIC], const void *in, size_t size,
	     void *out, struct err *e);
/* size: of the sealed bytes; out gets BOX_OVERHEAD fewer.  ERR_INTEGRITY when
 * they were sealed to somebody else, or changed. */
int box_open(const uint8_t public_key[BOX_PUBLIC],
	     const uint8_t secret[BOX_SECRET], const void *in, size_t size,
	     void *out, struct err *e);

/* Ed25519.  The seed is the secret. */
#define SIGN_PUBLIC 32
#define SIGN_SEED   32
#define SIGN_SIZE   64
void sign_keypair(uint8_t public_key[SIGN_PUBLIC], uint8_t seed[SIGN_SEED]);
int sign_make(const uint8_t seed[SIGN_SEED], const void *p, size_t n,
	      uint8_t sig[SIGN_SIZE], struct err *e);
/* ERR_INTEGRITY when it is not that key's signature of these bytes. */
int sign_check(const uint8_t public_key[SIGN_PUBLIC], const void *p, size_t n,
	       const uint8_t sig[SIGN_SIZE], struct err *e);

#endif
