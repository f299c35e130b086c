/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/keyring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/hash.h"
#include "codec/seal.h"

#define BUNDLE_VERSION 1
#define BUNDLE_MAX     4096
#define SLOT_MAX       8192

static const char slot_magic[4] = "VMKS";
static const char file_word[] = "vmkeep-key-1";

DEFINE_AUTO(sealer_free, struct sealer *);

void keyring_free(struct keyring *k)
{
	keys_secret_free(k);
}

void keyring_free_at(struct keyring **k)
{
	keyring_free(*k);
}

static struct keyring *keyring_alloc(struct err *e)
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

static int cert_issue(struct keyring *k, enum role role, struct err *e)
{
	AUTO(buf_fini) struct buf words = BUF_INIT;

	keys_random(k->cert.signer.b, ID_SIZE);
	sign_keypair(k->cert.key, k->sign_seed);
	k->cert.role = (uint8_t)role;
	cert_words(&words, &k->repo, &k->cert);
	return sign_make(k->authority_seed, words.p, words.len, k->cert.sig, e);
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
	if (cert_issue(k, ROLE_OWNER, e) < 0)
		return NULL;
	return mem_take(&k);
}

/* ---- the bundle's bytes --------------------------------------------- */

/* The buffer never grows beyond BUNDLE_MAX, so no copy is left behind. */
static void bundle_put(const struct keyring *k, struct buf *b)
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

static bool bundle_get(struct keyring *k, const uint8_t *p, size_t size)
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

/* A buffer in secret memory; buf_fini() must not see it. */
static int secret_buf(struct buf *b, struct err *e)
{
	b->p = keys_secret_alloc(BUNDLE_MAX, e);
	b->len = 0;
	b->cap = BUNDLE_MAX;
	return b->p != NULL ? 0 : -1;
}

static void secret_buf_fini(struct buf *b)
{
	keys_secret_free(b->p);
}

/* ---- slots ---------------------------------------------------------- */

/*
 * Slot:  "VMKS" version u16, suite u8, 0, kdf {memory u32, passes u32,
 * salt[16]}, commitment[32], seal salt[32], sealed bundle, SHA-256 of all.
 *
 * GCM commits to no key: the commitment (HMAC of a fixed text) keeps one slot
 * from opening under two passphrases.  The sum at the end tells damage from a
 * wrong passphrase.
 */
#define SLOT_HEAD (8 + 8 + KDF_SALT)

static void slot_commitment(const uint8_t key[32], struct hash *out)
{
	static const char text[] = "vmkeep slot";

	hash_hmac(key, text, sizeof(text), out);
}

static void slot_head(struct buf *b, const struct kdf *kdf)
{
	wr_bytes(b, slot_magic, sizeof(slot_magic));
	wr_u16(b, FORMAT_VERSION);
	wr_u8(b, FORMAT_SUITE);
	wr_u8(b, 0);
	wr_u32(b, kdf->memory_kib);
	wr_u32(b, kdf->passes);
	wr_bytes(b, kdf->salt, KDF_SALT);
}

static int slot_seal(const struct keyring *k, const uint8_t key[32],
		     struct buf *out, struct err *e)
{
	AUTO(secret_buf_fini) struct buf bundle = BUF_INIT;
	uint8_t salt[SALT_SIZE];
	struct hash sum;

	if (secret_buf(&bundle, e) < 0)
		return -1;
	bundle_put(k, &bundle);
	slot_commitment(key, &sum);
	wr_bytes(out, sum.b, HASH_SIZE);
	keys_random(salt, sizeof(salt));
	wr_bytes(out, salt, sizeof(salt));

	AUTO(sealer_free_at)
	struct sealer *s =
		sealer_new(key, salt, sizeof(salt), "vmkeep slot", e);
	uint8_t *to = buf_room(out, bundle.len + SEAL_TAG);

	if (s == NULL || sealer_seal(s, 0, out->p, SLOT_HEAD, bundle.p,
				     bundle.len, to, e) < 0)
		return -1;
	out->len += bundle.len + SEAL_TAG;
	hash_sha256(out->p, out->len, &sum);
	wr_bytes(out, sum.b, HASH_SIZE);
	return 0;
}

int keyring_put_slot(struct store *s, const struct keyring *k,
		     const char *passphrase, struct err *e)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	AUTO(keys_secret_free_at) uint8_t *key = keys_secret_alloc(32, e);
	char name[8 + ID_TEXT] = "keys/";
	struct kdf kdf;
	struct id slot;

	kdf_default(&kdf);
	if (key == NULL ||
	    kdf_derive(&kdf, passphrase, strlen(passphrase), key, e) < 0)
		return -1;
	slot_head(&out, &kdf);
	if (slot_seal(k, key, &out, e) < 0)
		return -1;
	keys_random(slot.b, ID_SIZE);
	hex_encode(slot.b, ID_SIZE, name + 5);
	struct iovec iov = { .iov_base = out.p, .iov_len = out.len };

	return store_put_new(s, name, &iov, 1, e);
}

static int slot_damaged(struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "the key slot is damaged");
}

/* 1 opened, 0 another passphrase, -1 damaged. */
static int slot_open(const uint8_t *p, size_t size, const char *passphrase,
		     struct keyring *k, struct err *e)
{
	struct reader r = reader_of(p, size);
	struct hash sum;
	struct kdf kdf;

	if (size < SLOT_HEAD + 2 * HASH_SIZE + SALT_SIZE + SEAL_TAG)
		return slot_damaged(e);
	hash_sha256(p, size - HASH_SIZE, &sum);
	if (memcmp(p, slot_magic, 4) != 0 ||
	    memcmp(p + size - HASH_SIZE, sum.b, HASH_SIZE) != 0)
		return slot_damaged(e);
	rd_view(&r, 8);
	kdf.memory_kib = rd_u32(&r);
	kdf.passes = rd_u32(&r);
	rd_copy(&r, kdf.salt, KDF_SALT);
	const uint8_t *commitment = rd_view(&r, HASH_SIZE);
	const uint8_t *salt = rd_view(&r, SALT_SIZE);
	size_t sealed = r.left - HASH_SIZE;
	AUTO(keys_secret_free_at) uint8_t *key = keys_secret_alloc(32, e);
	AUTO(keys_secret_free_at)
	uint8_t *raw = keys_secret_alloc(BUNDLE_MAX, e);

	if (sealed > BUNDLE_MAX)
		return slot_damaged(e);
	if (key == NULL || raw == NULL ||
	    kdf_derive(&kdf, passphrase, strlen(passphrase), key, e) < 0)
		return -1;
	slot_commitment(key, &sum);
	if (memcmp(sum.b, commitment, HASH_SIZE) != 0)
		return 0;
	AUTO(sealer_free_at)
	struct sealer *s = sealer_new(key, salt, SALT_SIZE, "vmkeep slot", e);

	if (s == NULL ||
	    sealer_open(s, 0, p, SLOT_HEAD, r.p, sealed - SEAL_TAG, raw, e) <
		    0 ||
	    !bundle_get(k, raw, sealed - SEAL_TAG))
		return slot_damaged(e);
	return 1;
}

/* The search through all slots. */
struct slot_search {
	struct store *store;
	const char *passphrase;
	struct keyring *k;
	unsigned seen;
	unsigned damaged;
	bool found;
};

static int slot_try(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	AUTO(buf_fini) struct buf slot = BUF_INIT;
	struct slot_search *search = ctx;
	struct err why = ERR_INIT;

	(void)st;
	if (search->found)
		return 0;
	search->seen++;
	int got = store_load(search->store, name, SLOT_MAX, &slot, &why);

	if (got == 0)
		got = slot_open(slot.p, slot.len, search->passphrase, search->k,
				&why);
	search->found = got == 1;
	if (got < 0 && why.code == ERR_NOT_FOUND) {
		search->seen--; /* removed while we list */
		return 0;
	}
	if (got < 0 && why.code != ERR_INTEGRITY) {
		*e = why;
		return err_ctx(e, "cannot read key slot '%s'", name);
	}
	search->damaged += got < 0;
	return 0;
}

static int open_slots(struct store *s, const char *passphrase,
		      struct keyring *k, struct err *e)
{
	struct slot_search search = { .store = s,
				      .passphrase = passphrase,
				      .k = k };

	if (store_list(s, "keys/", slot_try, &search, e) < 0)
		return -1;
	if (search.found)
		return 0;
	if (search.seen == 0)
		return err_set(e, ERR_REFUSED,
			       "the repository has no passphrase: give its "
			       "key file with --key-file");
	if (search.damaged == search.seen)
		return err_set(e, ERR_INTEGRITY,
			       "every key slot is damaged: restore 'keys/' "
			       "from a copy of the repository, or use an "
			       "exported key file");
	return err_set(e, ERR_REFUSED, "wrong passphrase");
}

/* ---- key files ------------------------------------------------------ */

/* One line of text: word, hexadecimal bundle, first 8 digits of its
 * SHA-256. */
int keyring_put_file(const char *path, const struct keyring *k, struct err *e)
{
	AUTO(secret_buf_fini) struct buf bundle = BUF_INIT;
	AUTO(keys_secret_free_at)
	char *text = keys_secret_alloc(2 * BUNDLE_MAX + 64, e);
	struct hash sum;
	char check[9];

	if (file_exists(path))
		return err_set(e, ERR_EXISTS,
			       "key file '%s' exists already: name a new one, "
			       "or remove it if it opens nothing you need",
			       path);
	if (text == NULL || secret_buf(&bundle, e) < 0)
		return -1;
	bundle_put(k, &bundle);
	hash_sha256(bundle.p, bundle.len, &sum);
	hex_encode(sum.b, 4, check);
	char *end = stpcpy(stpcpy(text, file_word), " ");

	hex_encode(bundle.p, bundle.len, end);
	end += 2 * bundle.len;
	end = stpcpy(stpcpy(stpcpy(end, " "), check), "\n");
	if (file_save(path, 0600, text, (size_t)(end - text), e) < 0)
		return err_ctx(e, "cannot write key file '%s'", path);
	return 0;
}

static bool parse_file(char *text, uint8_t *raw, size_t *size)
{
	char *save = NULL;
	const char *word = strtok_r(text, " \n", &save);
	const char *hex = strtok_r(NULL, " \n", &save);
	const char *check = strtok_r(NULL, " \n", &save);
	char want[9];
	struct hash sum;

	if (word == NULL || hex == NULL || check == NULL ||
	    strcmp(word, file_word) != 0 || strlen(hex) > 2 * BUNDLE_MAX ||
	    strlen(hex) % 2 != 0)
		return false;
	*size = strlen(hex) / 2;
	if (!hex_decode(hex, raw, *size))
		return false;
	hash_sha256(raw, *size, &sum);
	hex_encode(sum.b, 4, want);
	return strcmp(check, want) == 0;
}

bool keyring_decode_text(char *text, struct keyring *k)
{
	struct err ignored = ERR_INIT;
	AUTO(keys_secret_free_at)
	uint8_t *raw = keys_secret_alloc(BUNDLE_MAX, &ignored);
	size_t size;

	return raw != NULL && parse_file(text, raw, &size) &&
	       bundle_get(k, raw, size);
}

static int open_file(const char *path, struct keyring *k, struct err *e)
{
	AUTO(keys_secret_free_at)
	char *text = keys_secret_alloc(2 * BUNDLE_MAX + 64, e);
	autofd int fd = -1;
	size_t got = 0;

	if (text == NULL)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open key file '%s'", path);
	if (fd_read_some(fd, text, 2 * BUNDLE_MAX + 63, &got, e) < 0)
		return err_ctx(e, "cannot read key file '%s'", path);
	text[got] = '\0';
	if (!keyring_decode_text(text, k))
		return err_set(e, ERR_REFUSED,
			       "'%s' is not a key file of vmkeep's, or it is "
			       "damaged",
			       path);
	return 0;
}

struct keyring *keyring_open(struct store *s, const struct id *repo,
			     const struct repo_unlock *unlock, struct err *e)
{
	AUTO(keyring_free_at) struct keyring *k = keyring_alloc(e);
	int ok;

	if (k == NULL)
		return NULL;
	if (unlock->key_file != NULL)
		ok = open_file(unlock->key_file, k, e);
	else
		ok = open_slots(s, unlock->passphrase, k, e);
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
			       "this key cannot write to the repository");
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
		return SIGN_WRITE | SIGN_KEEP;
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
	if (want->by != NULL)
		*want->by = (struct signer){ .id = cert.signer,
					     .role = cert.role,
					     .uses = uses_of(cert.role) };
	*size = body;
	return 0;
}
