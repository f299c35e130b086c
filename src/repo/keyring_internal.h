/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_KEYRING_INTERNAL_H
#define VMKEEP_REPO_KEYRING_INTERNAL_H

/* What the keyring's own files share. */

#include "base/bytes.h"
#include "base/err.h"
#include "repo/keyring.h"

#define BUNDLE_MAX 4096

/* All zero, in secret memory; NULL when it is not to be had. */
struct keyring *keyring_alloc(struct err *e);

/* A bundle's bytes.  The buffer is secret_buf()'s. */
void bundle_put(const struct keyring *k, struct buf *b);
bool bundle_get(struct keyring *k, const uint8_t *p, size_t size);

/* A buffer of BUNDLE_MAX bytes in secret memory that must not grow;
 * buf_fini() must not see it. */
int secret_buf(struct buf *b, struct err *e);
void secret_buf_fini(struct buf *b);

/* keyring_slot.c: ERR_REFUSED when no slot opens. */
int slots_open(struct store *s, const char *passphrase, struct keyring *k,
	       struct err *e);

/* keyring_file.c */
int key_file_open(const char *path, struct keyring *k, struct err *e);

#endif
