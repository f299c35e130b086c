/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/keyring.h"

#include <string.h>

#include "base/mem.h"
#include "codec/hash.h"
#include "repo/issued.h"
#include "repo/keyring_internal.h"

#define BUNDLE_VERSION 1

void keyring_free(struct keyring *k)
{
	keys_secret_free(k);
}

void keyring_free_at(struct keyring **k)
{
	keyring_free(*k);
}

struct keyring *keyring_alloc(struct err *e)
{
	struct keyring *k = keys_secret_alloc(sizeof(*k), e);

	if (k != NULL)
		memset(k, 0, sizeof(*k));
	return k;
}

/* ---- certificates --------------------------------------------------- */

static void put_cert(struct buf *b, const struct cert *c)
{
	wr_bytes(b, c->signer.b, ID_SIZE);
	wr_bytes(b, c->key, SIGN_PUBLIC);
	wr_u8(b, c->role);
	wr_bytes(b, c->sig, SIGN_SIZE);
}

static void get_cert(struct reader *r, struct cert *c)
{
	rd_copy(r, c->signer.b, ID_SIZE);
	rd_copy(r, c->key, SIGN_PUBLIC);
	c->role = rd_u8(r);
	rd_copy(r, c->sig, SIGN_SIZE);
}

/* What the authority signs: this repository's id and who may do what. */
static void cert_words(struct buf *b, const struct id *repo,
		       const struct cert *c)
{
	wr_string(b, "vmkeep certificate");
	wr_bytes(b, repo->b, ID_SIZE);
	wr_bytes(b, c->signer.b, ID_SIZE);
	wr_bytes(b, c->key, SIGN_PUBLIC);
	wr_u8(b, c->role);
}

/* A signing key of its own for k, certified by the authority. */
static int cert_issue(const struct keyring *authority, struct keyring *k,
		      struct err *e)
{
	AUTO(buf_fini) struct buf words = BUF_INIT;

	keys_random(k->cert.signer.b, ID_SIZE);
	sign_keypair(k->cert.key, k->sign_seed);
	k->cert.role = k->role;
	cert_words(&words, &k->repo, &k->cert);
	return sign_make(authority->authority_seed, words.p, words.len,
			 k->cert.sig, e);
}

struct keyring *keyring_new(const struct id *repo, struct err *e)
{
	AUTO(keyring_free_at) struct keyring *k = keyring_alloc(e);

	if (k == NULL)
		return NULL;
	k->repo = *repo;
	k->role = ROLE_OWNER;
	k->has_id = k->has_meta = k->has_secret = true;
	k->has_authority = k->has_sign = true;
	keys_random(k->id_key, sizeof(k->id_key));
	keys_random(k->cut_key, sizeof(k->cut_key));
	keys_random(k->meta_key, sizeof(k->meta_key));
	box_keypair(k->box_public, k->box_secret);
	sign_keypair(k->authority_public, k->authority_seed);
	if (cert_issue(k, k, e) < 0)
		return NULL;
	return mem_take(&k);
}

static void copy_secrets(const struct keyring *owner, struct keyring *k)
{
	memcpy(k->id_key, owner->id_key, sizeof(k->id_key));
	memcpy(k->meta_key, owner->meta_key, sizeof(k->meta_key));
	memcpy(k->box_public, owner->box_public, sizeof(k->box_public));
	memcpy(k->authority_public, owner->authority_public,
	       sizeof(k->authority_public));
	k->has_id = k->has_meta = true;
	k->has_sign = k->role != ROLE_RESTORER;
	k->has_secret = k->role == ROLE_OWNER || k->role == ROLE_RESTORER;
	k->has_authority = k->role == ROLE_OWNER;
	if (k->role == ROLE_OWNER || k->role == ROLE_WRITER)
		memcpy(k->cut_key, owner->cut_key, sizeof(k->cut_key));
	if (k->has_authority)
		memcpy(k->authority_seed, owner->authority_seed,
		       sizeof(k->authority_seed));
}

struct keyring *keyring_issue(const struct keyring *owner, enum role role,
			      struct err *e)
{
	AUTO(keyring_free_at) struct keyring *k = keyring_alloc(e);

	if (k == NULL || keyring_need(owner, NEED_OWN, e) < 0)
		return NULL;
	k->repo = owner->repo;
	k->role = (uint8_t)role;
	copy_secrets(owner, k);
	if (k->has_secret)
		box_keypair(k->box_public, k->box_secret);
	if (cert_issue(owner, k, e) < 0)
		return NULL;
	if (!k->has_sign)
		keys_wipe(k->sign_seed, sizeof(k->sign_seed));
	return mem_take(&k);
}

/* ---- roles ---------------------------------------------------------- */

static const char *const role_names[] = { NULL,         "owner",    "writer",
					  "maintainer", "restorer", NULL };

const char *role_name(uint8_t role)
{
	return role >= ROLE_OWNER && role <= ROLE_RESTORER ? role_names[role]
							   : "unknown";
}

int keyring_need(const struct keyring *k, enum key_need need, struct err *e)
{
	static const struct {
		unsigned roles;
		const char *words;
	} needs[] = {
		[NEED_READ] = { 1 << ROLE_OWNER | 1 << ROLE_RESTORER,
				"reading contents needs a restorer's" },
		[NEED_WRITE] = { 1 << ROLE_OWNER | 1 << ROLE_WRITER,
				 "backing up needs a writer's" },
		[NEED_KEEP] = { 1 << ROLE_OWNER | 1 << ROLE_MAINTAINER,
				"forgetting and collecting needs a "
				"maintainer's" },
		[NEED_OWN] = { 1 << ROLE_OWNER, "managing keys needs an" },
	};

	if (needs[need].roles >> k->role & 1)
		return 0;
	return err_set(e, ERR_REFUSED,
		       "this is a %s's key: %s%s owner's key or passphrase",
		       role_name(k->role), needs[need].words,
		       need == NEED_OWN ? "" : " or an");
}

/* ---- the bundle's bytes --------------------------------------------- */

/* The buffer never grows beyond BUNDLE_MAX, so no copy is left behind. */
void bundle_put(const struct keyring *k, struct buf *b)
{
	wr_u16(b, BUNDLE_VERSION);
	wr_u8(b, k->role);
	wr_u8(b, (uint8_t)(k->has_id | k->has_meta << 1 | k->has_secret << 2 |
			   k->has_authority << 3 | k->has_sign << 4));
	wr_bytes(b, k->repo.b, ID_SIZE);
	wr_bytes(b, k->id_key, 32);
	wr_bytes(b, k->cut_key, 32);
	wr_bytes(b, k->meta_key, 32);
	wr_bytes(b, k->box_public, BOX_PUBLIC);
	wr_bytes(b, k->box_secret, BOX_SECRET);
	wr_bytes(b, k->authority_public, SIGN_PUBLIC);
	wr_bytes(b, k->authority_seed, SIGN_SEED);
	wr_bytes(b, k->sign_seed, SIGN_SEED);
	put_cert(b, &k->cert);
}

bool bundle_get(struct keyring *k, const uint8_t *p, size_t size)
{
	struct reader r = reader_of(p, size);
	uint16_t version = rd_u16(&r);

	k->role = rd_u8(&r);
	uint8_t has = rd_u8(&r);

	k->has_id = has & 1;
	k->has_meta = has >> 1 & 1;
	k->has_secret = has >> 2 & 1;
	k->has_authority = has >> 3 & 1;
	k->has_sign = has >> 4 & 1;
	rd_copy(&r, k->repo.b, ID_SIZE);
	rd_copy(&r, k->id_key, 32);
	rd_copy(&r, k->cut_key, 32);
	rd_copy(&r, k->meta_key, 32);
	rd_copy(&r, k->box_public, BOX_PUBLIC);
	rd_copy(&r, k->box_secret, BOX_SECRET);
	rd_copy(&r, k->authority_public, SIGN_PUBLIC);
	rd_copy(&r, k->authority_seed, SIGN_SEED);
	rd_copy(&r, k->sign_seed, SIGN_SEED);
	get_cert(&r, &k->cert);
	return version == BUNDLE_VERSION && k->role >= ROLE_OWNER &&
	       k->role <= ROLE_RESTORER && rd_complete(&r);
}

int secret_buf(struct buf *b, struct err *e)
{
	b->p = keys_secret_alloc(BUNDLE_MAX, e);
	b->len = 0;
	b->cap = BUNDLE_MAX;
	return b->p != NULL ? 0 : -1;
}

void secret_buf_fini(struct buf *b)
{
	keys_secret_free(b->p);
}

/* ---- opening -------------------------------------------------------- */

struct keyring *keyring_open(struct store *s, const struct id *repo,
			     const struct repo_unlock *unlock, struct err *e)
{
	AUTO(keyring_free_at) struct keyring *k = keyring_alloc(e);
	int ok;

	if (k == NULL)
		return NULL;
	if (unlock->key_file != NULL)
		ok = key_file_open(unlock->key_file, k, e);
	else
		ok = slots_open(s, unlock->passphrase, k, e);
	if (ok < 0)
		return NULL;
	if (memcmp(k->repo.b, repo->b, ID_SIZE) != 0) {
		err_set(e, ERR_REFUSED, "the key is for another repository");
		return NULL;
	}
	return mem_take(&k);
}

/* ---- signatures ----------------------------------------------------- */

static void sign_words(struct buf *b, const struct id *repo, const char *name,
		       const uint8_t *data, size_t size)
{
	struct hash sum;

	hash_sha256(data, size, &sum);
	wr_string(b, "vmkeep object");
	wr_bytes(b, repo->b, ID_SIZE);
	wr_string(b, name);
	wr_bytes(b, sum.b, HASH_SIZE);
}

int keyring_sign(const struct keyring *k, const char *name, struct buf *b,
		 struct err *e)
{
	AUTO(buf_fini) struct buf words = BUF_INIT;
	uint8_t sig[SIGN_SIZE];

	if (!k->has_sign)
		return err_set(e, ERR_REFUSED,
			       "this is a %s's key: it signs nothing, and so "
			       "cannot write to the repository",
			       role_name(k->role));
	sign_words(&words, &k->repo, name, b->p, b->len);
	if (sign_make(k->sign_seed, words.p, words.len, sig, e) < 0)
		return -1;
	put_cert(b, &k->cert);
	wr_bytes(b, sig, sizeof(sig));
	return 0;
}

static unsigned uses_of(uint8_t role)
{
	switch (role) {
	case ROLE_OWNER:
		return SIGN_WRITE | SIGN_KEEP | SIGN_OWN;
	case ROLE_WRITER:
		return SIGN_WRITE;
	case ROLE_MAINTAINER:
		return SIGN_KEEP;
	default:
		return 0;
	}
}

int keyring_check(const struct keyring *k, const struct sign_want *want,
		  const uint8_t *data, size_t *size, struct err *e)
{
	AUTO(buf_fini) struct buf words = BUF_INIT;
	struct cert cert;

	if (*size < SIGNED_EXTRA)
		return err_set(e, ERR_INTEGRITY, "has no signature");
	size_t body = *size - SIGNED_EXTRA;
	struct reader r = reader_of(data + body, SIGNED_EXTRA);

	get_cert(&r, &cert);
	const uint8_t *sig = rd_view(&r, SIGN_SIZE);

	cert_words(&words, &k->repo, &cert);
	if (sign_check(k->authority_public, words.p, words.len, cert.sig, e) <
	    0)
		return err_ctx(e, "signer's certificate");
	buf_clear(&words);
	sign_words(&words, &k->repo, want->name, data, body);
	if (sign_check(cert.key, words.p, words.len, sig, e) < 0)
		return -1;
	if ((uses_of(cert.role) & want->uses) == 0)
		return err_set(e, ERR_INTEGRITY,
			       "signed by a key that may not do this");
	if (issued_refuses(k->issued, &cert.signer, want->name, e))
		return -1;
	if (want->by != NULL)
		*want->by = (struct signer){ .id = cert.signer,
					     .role = cert.role,
					     .uses = uses_of(cert.role),
					     .removed = issued_removed(
						     k->issued, &cert.signer) };
	*size = body;
	return 0;
}
