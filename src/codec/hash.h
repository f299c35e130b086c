/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CODEC_HASH_H
#define VMKEEP_CODEC_HASH_H

/*
 * SHA-256, HMAC-SHA256, and the page cut's block cipher.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HASH_SIZE       32
#define PAGE_SIZE_BYTES 4096u

struct hash {
	uint8_t b[HASH_SIZE];
};

bool hash_equal(const struct hash *a, const struct hash *b);

/* A hasher: contexts prepared once, one per thread. */
struct hasher;

/* id_key and cut_key are 32 bytes each and copied. */
struct hasher *hasher_new(const uint8_t id_key[32], const uint8_t cut_key[32],
			  struct err *e);
void hasher_free(struct hasher *h);

/* leaf[i] = SHA-256 of page i of n consecutive pages. */
void hasher_pages(struct hasher *h, const uint8_t *pages, size_t n,
		  struct hash *leaves);

/*
 * Which pages end a chunk by content: for leaf i, the low 32 bits (little
 * endian) of AES-256(cut_key, first 16 bytes of the leaf).  The caller
 * compares with its mask.  The keyed step hides the cuts from whoever chooses
 * contents (eprint 2025/558).
 */
void hasher_cuts(struct hasher *h, const struct hash *leaves, size_t n,
		 uint32_t *cuts);

/* HMAC-SHA256(id_key, head || body). */
void hasher_id(struct hasher *h, const void *head, size_t head_size,
	       const void *body, size_t body_size, struct hash *id);

/* One-shot helpers, for small things. */
void hash_sha256(const void *p, size_t n, struct hash *out);
void hash_hmac(const uint8_t key[32], const void *p, size_t n,
	       struct hash *out);

/* SHA-256 in pieces. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_end(struct sha256 *s, struct hash *out); /* and start again */

#endif
