/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_REPO_H
#define VMKEEP_REPO_REPO_H

/*
 * A repository: a store, the keys that unlock it, and its index.  It knows
 * images, points and sets of points; it never hears of a VM.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/format.h"
#include "store/store.h"

struct repo;

/* How to unlock: a key file, or a passphrase; the other is NULL. */
struct repo_unlock {
	const char *key_file;
	const char *passphrase;
};

struct repo_create {
	struct repo_unlock unlock; /* key_file: made, must not exist yet */
	uint32_t chunk_avg;        /* bytes: 16, 32 or 64 KiB; 0: default */
};

/* Make a repository in an empty store. */
int repo_create(struct store *store, const struct repo_create *create,
		struct err *e);

struct repo_open {
	struct repo_unlock unlock;
	const char *cache_dir; /* disposable; NULL: no cache */
	int zip_level;         /* how hard to compress: repo/pace.h */
};

/*
 * Open.  Takes the store, also on failure.  ERR_NOT_FOUND: not a repository;
 * ERR_REFUSED: wrong passphrase or key file, or a newer format; ERR_INTEGRITY:
 * damaged.
 */
struct repo *repo_open(struct store *store, const struct repo_open *open,
		       struct err *e);
void repo_close(struct repo *r);
void repo_close_at(struct repo **r);

/* The repository's id. */
const struct id *repo_id(const struct repo *r);

/*
 * Is store a repository, before anything is asked of the user?  Also says
 * whether it has a passphrase slot at all.
 */
int repo_probe(struct store *store, bool *has_passphrase, struct err *e);

#endif
