/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/hash.h"
#include "codec/seal.h"
#include "repo/keyring_internal.h"

/*
 * Slot:  "VMKS" version u16, suite u8, 0, key id, kdf {memory u32, passes
 * u32, salt[16]}, commitment[32], seal salt[32], sealed bundle, SHA-256 of
 * all.
 *
 * GCM commits to no key: the commitment (HMAC of a fixed text) keeps one slot
 * from opening under two passphrases.  The sum at the end tells damage from a
 * wrong passphrase.
 */
#define SLOT_HEAD (8 + ID_SIZE + 8 + KDF_SALT)
#define SLOT_MAX  8192

static const char slot_magic[4] = "VMKS";

DEFINE_AUTO(sealer_free, struct sealer *);

static void slot_commitment(const uint8_t key[32], struct hash *out)
{
	static const char text[] = "vmkeep slot";

	hash_hmac(key, text, sizeof(text), out);
}

static void slot_head(struct buf *b, const struct id *id, const struct kdf *kdf)
{
	wr_bytes(b, slot_magic, sizeof(slot_magic));
	wr_u16(b, FORMAT_VERSION);
	wr_u8(b, FORMAT_SUITE);
	wr_u8(b, 0);
	wr_bytes(b, id->b, ID_SIZE);
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
	slot_head(&out, &k->cert.signer, &kdf);
	if (slot_seal(k, key, &out, e) < 0)
		return -1;
	keys_random(slot.b, ID_SIZE);
	hex_encode(slot.b, ID_SIZE, name + 5);
	struct iovec iov = { .iov_base = out.p, .iov_len = out.len };

	return store_put_new(s, name, &iov, 1, e);
}

/* ---- opening -------------------------------------------------------- */

/* A slot's parts, in its bytes. */
struct slot_view {
	struct id id;
	struct kdf kdf;
	const uint8_t *commitment, *salt;
	const uint8_t *sealed;
	size_t bundle; /* bytes, opened */
};

static int slot_parse(const uint8_t *p, size_t size, struct slot_view *v,
		      struct err *e)
{
	struct reader r = reader_of(p, size);
	bool ok = size >= SLOT_HEAD + 2 * HASH_SIZE + SALT_SIZE + SEAL_TAG;
	struct hash sum;

	if (ok) {
		hash_sha256(p, size - HASH_SIZE, &sum);
		ok = memcmp(p, slot_magic, 4) == 0 &&
		     memcmp(p + size - HASH_SIZE, sum.b, HASH_SIZE) == 0;
	}
	rd_view(&r, 8);
	rd_copy(&r, v->id.b, ID_SIZE);
	v->kdf.memory_kib = rd_u32(&r);
	v->kdf.passes = rd_u32(&r);
	rd_copy(&r, v->kdf.salt, KDF_SALT);
	v->commitment = rd_view(&r, HASH_SIZE);
	v->salt = rd_view(&r, SALT_SIZE);
	v->sealed = r.p;
	v->bundle = r.left - HASH_SIZE - SEAL_TAG;
	if (!ok || v->bundle > BUNDLE_MAX)
		return err_set(e, ERR_INTEGRITY, "the key slot is damaged");
	return 0;
}

static int slot_unseal(const struct slot_view *v, const uint8_t *head,
		       const uint8_t key[32], struct keyring *k, struct err *e)
{
	AUTO(keys_secret_free_at)
	uint8_t *raw = keys_secret_alloc(BUNDLE_MAX, e);
	AUTO(sealer_free_at) struct sealer *s = NULL;

	if (raw == NULL)
		return -1;
	s = sealer_new(key, v->salt, SALT_SIZE, "vmkeep slot", e);
	if (s == NULL || sealer_open(s, 0, head, SLOT_HEAD, v->sealed,
				     v->bundle, raw, e) < 0)
		return -1;
	if (!bundle_get(k, raw, v->bundle))
		return err_set(e, ERR_INTEGRITY, "the key slot is damaged");
	return 0;
}

int keyring_decode_slot(const void *data, size_t size, const char *passphrase,
			struct keyring *k, struct err *e)
{
	struct slot_view v;
	struct hash sum;

	if (slot_parse(data, size, &v, e) < 0)
		return -1;
	AUTO(keys_secret_free_at) uint8_t *key = keys_secret_alloc(32, e);

	if (key == NULL ||
	    kdf_derive(&v.kdf, passphrase, strlen(passphrase), key, e) < 0)
		return -1;
	slot_commitment(key, &sum);
	if (memcmp(sum.b, v.commitment, HASH_SIZE) != 0)
		return 0;
	return slot_unseal(&v, data, key, k, e) == 0 ? 1 : -1;
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
		got = keyring_decode_slot(slot.p, slot.len, search->passphrase,
					  search->k, &why);
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

int slots_open(struct store *s, const char *passphrase, struct keyring *k,
	       struct err *e)
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

/* ---- listing -------------------------------------------------------- */

void slots_fini(struct slots *s)
{
	free(s->slots);
	*s = (struct slots){ .slots = NULL };
}

struct slot_listing {
	struct store *store;
	struct slots *to;
};

static int slot_see(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct slot_listing *l = ctx;
	struct key_slot slot = { .damaged = false };
	struct slot_view v;
	struct err why = ERR_INIT;

	(void)st;
	if (strlen(name) >= sizeof(slot.name))
		return 0; /* no name of ours */
	memcpy(slot.name, name, strlen(name) + 1);
	if (store_load(l->store, name, SLOT_MAX, &b, &why) < 0 ||
	    slot_parse(b.p, b.len, &v, &why) < 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0; /* removed while we list */
		if (why.code != ERR_INTEGRITY) {
			*e = why;
			return err_ctx(e, "cannot read key slot '%s'", name);
		}
		slot.damaged = true;
	} else {
		slot.id = v.id;
	}
	l->to->slots =
		mem_grow(l->to->slots, l->to->count + 1, sizeof(*l->to->slots));
	l->to->slots[l->to->count++] = slot;
	return 0;
}

int slots_list(struct store *s, struct slots *slots, struct err *e)
{
	struct slot_listing l = { s, slots };

	*slots = (struct slots){ .slots = NULL };
	if (store_list(s, "keys/", slot_see, &l, e) == 0)
		return 0;
	slots_fini(slots);
	return -1;
}

int slots_delete(struct store *s, const struct slots *slots,
		 const struct id *id, struct err *e)
{
	for (size_t i = 0; i < slots->count; i++) {
		const struct key_slot *slot = &slots->slots[i];

		if (slot->damaged || memcmp(slot->id.b, id->b, ID_SIZE) != 0 ||
		    store_del(s, slot->name, e) == 0)
			continue;
		if (e->code != ERR_NOT_FOUND)
			return err_ctx(e, "cannot delete key slot '%s'",
				       slot->name);
		err_clear(e);
	}
	return 0;
}
