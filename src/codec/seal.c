/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/seal.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/seal_internal.h"

#define NONCE 12

/* The context keeps the key schedule; each use only brings a nonce. */
struct sealer {
	EVP_CIPHER_CTX *gcm;
};

/* OpenSSL's parameters are not const, but those we give are only read. */
static OSSL_PARAM octets(const char *name, const void *p, size_t size)
{
	void *at;

	memcpy(&at, &p, sizeof(at));
	return OSSL_PARAM_construct_octet_string(name, at, size);
}

static EVP_KDF_CTX *hkdf_context(void)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

	EVP_KDF_free(kdf);
	return ctx;
}

int seal_hkdf(const struct seal_hkdf *k, void *out, size_t out_size,
	      struct err *e)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[5];
	size_t n = 0;
	EVP_KDF_CTX *ctx = hkdf_context();

	params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
						       digest, 0);
	params[n++] = octets(OSSL_KDF_PARAM_KEY, k->key, k->key_size);
	params[n++] = octets(OSSL_KDF_PARAM_INFO, k->info, k->info_size);
	if (k->salt_size > 0)
		params[n++] =
			octets(OSSL_KDF_PARAM_SALT, k->salt, k->salt_size);
	params[n] = OSSL_PARAM_construct_end();

	int ok = ctx != NULL && EVP_KDF_derive(ctx, out, out_size, params) == 1;

	EVP_KDF_CTX_free(ctx);
	return ok ? 0 : err_set(e, ERR_FAILED, "OpenSSL cannot derive a key");
}

int seal_derive(const uint8_t key[SEAL_KEY], const void *salt, size_t salt_size,
		const char *info, uint8_t out[SEAL_KEY], struct err *e)
{
	struct seal_hkdf k = {
		.key = key,
		.key_size = SEAL_KEY,
		.salt = salt,
		.salt_size = salt_size,
		.info = info,
		.info_size = strlen(info),
	};

	return seal_hkdf(&k, out, SEAL_KEY, e);
}

struct sealer *sealer_with_key(const uint8_t key[SEAL_KEY], struct err *e)
{
	struct sealer *s = mem_zalloc(1, sizeof(*s));
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);

	s->gcm = EVP_CIPHER_CTX_new();

	int ok = s->gcm != NULL &&
		 EVP_CipherInit_ex2(s->gcm, gcm, key, NULL, 1, NULL);

	EVP_CIPHER_free(gcm);
	if (!ok) {
		sealer_free(s);
		err_set(e, ERR_FAILED, "OpenSSL has no AES-256-GCM");
		return NULL;
	}
	return s;
}

struct sealer *sealer_new(const uint8_t key[SEAL_KEY], const void *salt,
			  size_t salt_size, const char *info, struct err *e)
{
	uint8_t own[SEAL_KEY];

	if (seal_derive(key, salt, salt_size, info, own, e) < 0)
		return NULL;

	struct sealer *s = sealer_with_key(own, e);

	OPENSSL_cleanse(own, sizeof(own));
	return s;
}

void sealer_free(struct sealer *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->gcm);
	free(s);
}

/* Start over: the nonce is the number and four zeroes. */
static int start(struct sealer *s, uint64_t number, bool seal)
{
	uint8_t nonce[NONCE];
	struct buf b = { .p = nonce, .len = 0, .cap = sizeof(nonce) };

	wr_u64(&b, number);
	wr_zero(&b, NONCE - 8);
	return EVP_CipherInit_ex2(s->gcm, NULL, NULL, nonce, seal, NULL);
}

static int set_tag(struct sealer *s, const uint8_t *tag)
{
	uint8_t copy[SEAL_TAG];

	memcpy(copy, tag, SEAL_TAG);
	return EVP_CIPHER_CTX_ctrl(s->gcm, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG,
				   copy);
}

/* The additional data, then the data.  NULL means something else to OpenSSL
 * than nothing does. */
static int feed(struct sealer *s, const void *aad, size_t aad_size,
		const void *in, size_t size, void *out)
{
	int done;

	if (aad_size > 0 &&
	    !EVP_CipherUpdate(s->gcm, NULL, &done, aad, (int)aad_size))
		return 0;
	return size == 0 || EVP_CipherUpdate(s->gcm, out, &done, in, (int)size);
}

static int check_sizes(size_t aad_size, size_t size, struct err *e)
{
	if (aad_size > INT_MAX || size > INT_MAX - SEAL_TAG)
		return err_set(e, ERR_FAILED, "%zu bytes are too many to seal",
			       size);
	return 0;
}

int sealer_seal(struct sealer *s, uint64_t number, const void *aad,
		size_t aad_size, const void *in, size_t size, void *out,
		struct err *e)
{
	uint8_t *tag = (uint8_t *)out + size;
	int done;

	if (check_sizes(aad_size, size, e) < 0)
		return -1;
	if (!start(s, number, true) || !feed(s, aad, aad_size, in, size, out) ||
	    !EVP_CipherFinal_ex(s->gcm, tag, &done) ||
	    !EVP_CIPHER_CTX_ctrl(s->gcm, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, tag))
		return err_set(e, ERR_FAILED, "OpenSSL cannot seal");
	return 0;
}

int sealer_open(struct sealer *s, uint64_t number, const void *aad,
		size_t aad_size, const void *in, size_t size, void *out,
		struct err *e)
{
	const uint8_t *tag = (const uint8_t *)in + size;
	uint8_t none[1];
	int done;

	if (check_sizes(aad_size, size, e) < 0)
		return -1;
	if (!start(s, number, false) || !set_tag(s, tag) ||
	    !feed(s, aad, aad_size, in, size, out))
		return err_set(e, ERR_FAILED, "OpenSSL cannot open a seal");
	if (!EVP_CipherFinal_ex(s->gcm, none, &done)) {
		/* nobody may look at what is not proved */
		OPENSSL_cleanse(out, size);
		return err_set(e, ERR_INTEGRITY, "the seal is broken");
	}
	return 0;
}
