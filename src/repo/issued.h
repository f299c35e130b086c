/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_ISSUED_H
#define VMKEEP_REPO_ISSUED_H

/*
 * Which keys a repository has given out, and which it has taken back.
 *
 * issued/<key id>  role, label, whom data keys are sealed to; by an owner
 * void/<key id>    the key is removed: what it had committed, collected and
 *                  forgotten until then is listed and stands, the rest does
 *                  not; by an owner
 *
 * Both are never changed.  Clocks decide nothing: who has a stolen key can
 * write any time into what it signs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/keyring.h"

#define LABEL_MAX 200

struct issued_key {
	struct id id;
	uint8_t role; /* 0: nothing but a recipient */
	bool file;    /* was written to a key file */
	bool box;     /* data keys are sealed to it */
	uint8_t box_public[BOX_PUBLIC];
	int64_t time_ns; /* made */
	char *label;

	bool removed;
	int64_t removed_ns;
	char **stands; /* names of objects, sorted */
	size_t stand_count;
};

struct issued {
	struct issued_key *keys; /* oldest first */
	size_t count;
	char **damaged; /* objects that cannot be read */
	size_t damaged_count;
};

/* Read all.  What is damaged is left out and named. */
struct issued *issued_load(struct store *s, const struct keyring *k,
			   struct err *e);
void issued_free(struct issued *i);
void issued_free_at(struct issued **i);

/* By id, or NULL; i may be NULL. */
const struct issued_key *issued_find(const struct issued *i,
				     const struct id *id);

bool issued_removed(const struct issued *i, const struct id *signer);

/* Is the object one that this signer, being removed, could not make any more?
 * Then e says so: ERR_REFUSED. */
bool issued_refuses(const struct issued *i, const struct id *signer,
		    const char *name, struct err *e);

/* Store what is said of a new key (not whether it is removed). */
int issued_put(struct store *s, const struct keyring *owner,
	       const struct issued_key *key, struct err *e);

/* Remove: key->stands is what stands.  ERR_EXISTS: is removed already. */
int issued_put_void(struct store *s, const struct keyring *owner,
		    const struct issued_key *key, struct err *e);

/* The bytes and back; ERR_INTEGRITY for anything else. */
void issued_encode(const struct issued_key *key, struct buf *out);
int issued_decode(const void *data, size_t size, struct issued_key *key,
		  struct err *e);
void issued_encode_void(const struct issued_key *key, struct buf *out);
int issued_decode_void(const void *data, size_t size, struct issued_key *key,
		       struct err *e);
void issued_key_fini(struct issued_key *key);

#endif
