/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_OBJ_H
#define VMKEEP_REPO_OBJ_H

/*
 * Small objects (points, sessions, generations, segments, notes): sealed
 * under K_meta in frames, bound to their name, and signed inside the seal.
 *
 *     "VMKO" version u16, suite u8, 0 u8, salt[32]                 40 bytes
 *     frames of up to OBJ_FRAME bytes, each with its tag; the last is marked
 *     in its associated data, so that cutting at a frame's end is seen
 *
 * Key: HKDF(K_meta, salt, "vmkeep object").  Nonce: frame number.
 * Associated data: header, name, last-flag.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "repo/keyring.h"

#define OBJ_HEADER 40u
#define OBJ_FRAME  (1u << 20)

/* Of objects that nobody signs, instead of SIGN_*: notes, which any role
 * writes. */
#define SIGN_NONE 0u

/* Seal and sign body (which grows by the signature) into out.  ERR_REFUSED
 * when the name is one that this role may not make. */
int obj_seal(const struct keyring *k, const char *name, struct buf *body,
	     struct buf *out, struct err *e);

/* Open, check who signed (uses: SIGN_* that will do), and append the body to
 * out, which is as it was after a failure. */
int obj_open(const struct keyring *k, const char *name, unsigned uses,
	     const void *data, size_t size, struct buf *out, struct err *e);

/* The same, and want->by says who signed. */
int obj_open_want(const struct keyring *k, const struct sign_want *want,
		  const void *data, size_t size, struct buf *out,
		  struct err *e);

/* The same from and to a store. */
int obj_put_new(struct store *s, const struct keyring *k, const char *name,
		struct buf *body, struct err *e);

/* Sealed and not signed: to be read with SIGN_NONE. */
int obj_put_unsigned(struct store *s, const struct keyring *k, const char *name,
		     const struct buf *body, struct err *e);

int obj_load(struct store *s, const struct keyring *k, const char *name,
	     unsigned uses, size_t max, struct buf *out, struct err *e);
int obj_load_want(struct store *s, const struct keyring *k,
		  const struct sign_want *want, size_t max, struct buf *out,
		  struct err *e);

#endif
