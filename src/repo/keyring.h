/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_KEYRING_H
#define VMKEEP_REPO_KEYRING_H

/*
 * The keys that one role holds, as a bundle; the bundle in a passphrase slot
 * or a key file; certificates that say whose signature may stand where.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/keys.h"
#include "repo/format.h"
#include "repo/repo.h"
#include "store/store.h"

enum role {
	ROLE_OWNER = 1,      /* all */
	ROLE_WRITER = 2,     /* backs up; cannot read contents */
	ROLE_MAINTAINER = 3, /* forgets and collects; cannot read contents */
	ROLE_RESTORER = 4,   /* reads all; deletes nothing */
};

/* A signer's public key, signed by the repository's authority. */
#define CERT_SIZE (ID_SIZE + SIGN_PUBLIC + 1 + SIGN_SIZE)
struct cert {
	struct id signer;
	uint8_t key[SIGN_PUBLIC];
	uint8_t role;
	uint8_t sig[SIGN_SIZE]; /* of the three above, by the authority */
};

struct issued;

/*
 * The bundle; lives in secret memory.  What a role does not hold is zero and
 * its `has` is false.  FORMAT.md lists which role holds what.
 */
struct keyring {
	struct id repo;
	uint8_t role;
	bool has_id, has_meta, has_secret, has_authority, has_sign;
	uint8_t id_key[32];             /* K_id */
	uint8_t cut_key[32];            /* K_cut */
	uint8_t meta_key[32];           /* K_meta */
	uint8_t box_public[BOX_PUBLIC]; /* the recipient of data keys */
	uint8_t box_secret[BOX_SECRET];
	uint8_t authority_public[SIGN_PUBLIC];
	uint8_t authority_seed[SIGN_SEED];
	uint8_t sign_seed[SIGN_SEED];
	struct cert cert; /* of sign_seed's public key; its id is the key's */

	/* what keys there are, and which were removed: borrowed, or NULL */
	const struct issued *issued;
};

void keyring_free(struct keyring *k);
void keyring_free_at(struct keyring **k);

/* Fresh keys for a new repository, role owner. */
struct keyring *keyring_new(const struct id *repo, struct err *e);

/*
 * Keys for a role, of the owner's repository, with a signing key of their own
 * and, where they can read, a box key pair of their own, which no data key is
 * sealed to yet.  ERR_REFUSED when owner is none.
 */
struct keyring *keyring_issue(const struct keyring *owner, enum role role,
			      struct err *e);

/* "owner", ...; "unknown" for what is none. */
const char *role_name(uint8_t role);

/* What a verb needs of a key; ERR_REFUSED names the role, and which would do.
 */
enum key_need {
	NEED_READ,  /* contents */
	NEED_WRITE, /* sessions */
	NEED_KEEP,  /* tombs, generations */
	NEED_OWN,   /* the authority */
};
int keyring_need(const struct keyring *k, enum key_need need, struct err *e);

/* Store the bundle in a new slot under a passphrase: keys/<slot>. */
int keyring_put_slot(struct store *s, const struct keyring *k,
		     const char *passphrase, struct err *e);

/* Write a key file, mode 0600; ERR_EXISTS when there is a file. */
int keyring_put_file(const char *path, const struct keyring *k, struct err *e);

/* The same text to a descriptor. */
int keyring_put_fd(int fd, const struct keyring *k, struct err *e);

/* A slot's bytes: 1 opened, 0 another passphrase, -1 damaged
 * (ERR_INTEGRITY) or no memory. */
int keyring_decode_slot(const void *data, size_t size, const char *passphrase,
			struct keyring *k, struct err *e);

/* What can be seen of a slot without its passphrase. */
struct key_slot {
	char name[8 + ID_TEXT]; /* the object's */
	bool damaged;
	struct id id; /* of the key in it, as it says */
};
struct slots {
	struct key_slot *slots;
	size_t count;
};
int slots_list(struct store *s, struct slots *slots, struct err *e);
void slots_fini(struct slots *s);

/* Delete those of one key, as they were listed. */
int slots_delete(struct store *s, const struct slots *slots,
		 const struct id *id, struct err *e);

/* The text of a key file, which is changed; false when it is none. */
bool keyring_decode_text(char *text, struct keyring *k);

/* Try every slot, or the key file.  ERR_REFUSED when nothing opens. */
struct keyring *keyring_open(struct store *s, const struct id *repo,
			     const struct repo_unlock *unlock, struct err *e);

/* ---- signatures ----------------------------------------------------- */

/* What a signature may be for; a set of them says which ones will do.
 * Owners may sign all. */
enum sign_use {
	SIGN_WRITE = 1 << 0, /* sessions, segments, commits: writers */
	SIGN_KEEP = 1 << 1,  /* tombs, generations, revoking: maintainers */
	SIGN_OWN = 1 << 2,   /* keys: owners */
};

/* Who signed, as the authority's certificate says. */
struct signer {
	struct id id;
	uint8_t role;
	unsigned uses; /* all SIGN_* that this role may sign */
	bool removed;  /* the key has been removed since */
};

/*
 * What is expected of a signed object.  Where uses has more than one bit, the
 * reader asks `by` what the signer may: what only a keeper may say must not be
 * taken from a writer.
 */
struct sign_want {
	const char *name;  /* the object's */
	unsigned uses;     /* SIGN_*: one of them must be the signer's */
	struct signer *by; /* out, where it succeeds; may be NULL */
};

#define SIGNED_EXTRA (CERT_SIZE + SIGN_SIZE)

/* Append certificate and signature over name and all that is in b. */
int keyring_sign(const struct keyring *k, const char *name, struct buf *b,
		 struct err *e);

/*
 * Check what keyring_sign() appended; *size becomes the size without it.
 * ERR_INTEGRITY: not signed by one who may.  ERR_REFUSED: signed by a key that
 * has been removed, and made after that (issued.h).
 */
int keyring_check(const struct keyring *k, const struct sign_want *want,
		  const uint8_t *data, size_t *size, struct err *e);

#endif
