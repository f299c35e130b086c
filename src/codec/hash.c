/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/sha_pair.h"

#define BLOCK 16   /* of AES */
#define BATCH 1024 /* leaves in one call of AES: those of an extent */

/*
 * OpenSSL 3 looks algorithms up by name at every use that did not bring a
 * prepared context: that costs a tenth of hashing a page.  With contexts that
 * are only started again it is within 3 % of the low-level SHA256_Update(),
 * which is deprecated.
 */
struct hasher {
	bool pairs; /* sha_pair_pages() works here */
	EVP_MD_CTX *sha256;
	EVP_MAC_CTX *hmac;   /* keyed with id_key */
	EVP_CIPHER_CTX *aes; /* keyed with cut_key */
	uint8_t blocks[BATCH * BLOCK];
};

/* Only memory can be missing once a context is set up. */
static void must(int ok)
{
	if (ok != 1)
		abort();
}

bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->b, b->b, HASH_SIZE) == 0;
}

static EVP_MD_CTX *sha256_context(void)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx != NULL && !EVP_DigestInit_ex2(ctx, md, NULL)) {
		EVP_MD_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_MD_free(md);
	return ctx;
}

static EVP_MAC_CTX *hmac_context(const uint8_t key[32])
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
						 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

	if (ctx != NULL && !EVP_MAC_init(ctx, key, 32, params)) {
		EVP_MAC_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_MAC_free(mac);
	return ctx;
}

static EVP_CIPHER_CTX *aes_context(const uint8_t key[32])
{
	EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx != NULL && (!EVP_EncryptInit_ex2(ctx, aes, key, NULL, NULL) ||
			    !EVP_CIPHER_CTX_set_padding(ctx, 0))) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(aes);
	return ctx;
}

struct hasher *hasher_new(const uint8_t id_key[32], const uint8_t cut_key[32],
			  struct err *e)
{
	struct hasher *h = mem_zalloc(1, sizeof(*h));

	h->pairs = sha_pair_available();
	h->sha256 = sha256_context();
	h->hmac = hmac_context(id_key);
	h->aes = aes_context(cut_key);
	if (h->sha256 == NULL || h->hmac == NULL || h->aes == NULL) {
		hasher_free(h);
		err_set(e, ERR_FAILED, "OpenSSL has no SHA-256, HMAC or AES");
		return NULL;
	}
	return h;
}

void hasher_free(struct hasher *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->sha256);
	EVP_MAC_CTX_free(h->hmac);
	EVP_CIPHER_CTX_free(h->aes);
	free(h);
}

void hasher_pages(struct hasher *h, const uint8_t *pages, size_t n,
		  struct hash *leaves)
{
	size_t i = 0;

	for (; h->pairs && n - i >= 2; i += 2)
		sha_pair_pages(pages + i * PAGE_SIZE_BYTES, &leaves[i]);
	for (; i < n; i++) {
		must(EVP_DigestInit_ex2(h->sha256, NULL, NULL));
		must(EVP_DigestUpdate(h->sha256, pages + i * PAGE_SIZE_BYTES,
				      PAGE_SIZE_BYTES));
		must(EVP_DigestFinal_ex(h->sha256, leaves[i].b, NULL));
	}
}

/* hasher_cuts() of at most BATCH leaves. */
static void cut_batch(struct hasher *h, const struct hash *leaves, size_t n,
		      uint32_t *cuts)
{
	struct reader r = reader_of(h->blocks, n * BLOCK);
	int size;

	for (size_t i = 0; i < n; i++)
		memcpy(h->blocks + i * BLOCK, leaves[i].b, BLOCK);
	must(EVP_EncryptUpdate(h->aes, h->blocks, &size, h->blocks,
			       (int)(n * BLOCK)));
	assert((size_t)size == n * BLOCK);
	for (size_t i = 0; i < n; i++) {
		cuts[i] = rd_u32(&r);
		rd_view(&r, BLOCK - 4);
	}
}

void hasher_cuts(struct hasher *h, const struct hash *leaves, size_t n,
		 uint32_t *cuts)
{
	for (; n > BATCH; n -= BATCH, leaves += BATCH, cuts += BATCH)
		cut_batch(h, leaves, BATCH, cuts);
	if (n > 0)
		cut_batch(h, leaves, n, cuts);
}

void hasher_id(struct hasher *h, const void *head, size_t head_size,
	       const void *body, size_t body_size, struct hash *id)
{
	/* without a key: the same one again */
	must(EVP_MAC_init(h->hmac, NULL, 0, NULL));
	must(EVP_MAC_update(h->hmac, head, head_size));
	must(EVP_MAC_update(h->hmac, body, body_size));
	must(EVP_MAC_final(h->hmac, id->b, NULL, HASH_SIZE));
}

void hash_sha256(const void *p, size_t n, struct hash *out)
{
	must(EVP_Digest(p, n, out->b, NULL, EVP_sha256(), NULL));
}

void hash_hmac(const uint8_t key[32], const void *p, size_t n, struct hash *out)
{
	must(HMAC(EVP_sha256(), key, 32, p, n, out->b, NULL) != NULL);
}

struct sha256 {
	EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *s = mem_zalloc(1, sizeof(*s));

	s->ctx = sha256_context();
	must(s->ctx != NULL);
	return s;
}

void sha256_free(struct sha256 *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

void sha256_add(struct sha256 *s, const void *p, size_t n)
{
	must(EVP_DigestUpdate(s->ctx, p, n));
}

void sha256_end(struct sha256 *s, struct hash *out)
{
	must(EVP_DigestFinal_ex(s->ctx, out->b, NULL));
	must(EVP_DigestInit_ex2(s->ctx, NULL, NULL));
}
