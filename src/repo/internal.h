/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INTERNAL_H
#define VMKEEP_REPO_INTERNAL_H

/* An open repository, for the files of repo/ only. */

#include "repo/access.h"
#include "repo/cut.h"
#include "repo/footers.h"
#include "repo/index.h"
#include "repo/keyring.h"
#include "repo/repo.h"

struct repo_config {
	struct id repo;
	uint64_t created;        /* seconds since 1970 */
	uint32_t chunk_avg;      /* bytes */
	uint32_t data_pack_size; /* bytes at which a pack is closed */
	uint32_t node_pack_size;
	uint64_t may_read, may_write, may_collect; /* feature flags */
};

struct data_keys;
struct issued;

struct repo {
	struct store *store;
	struct repo_config config;
	struct cut_sizes cut;
	struct keyring *keys;
	struct issued *issued; /* what keys there are */
	struct footers *footers;
	struct index *index;
	struct data_keys *ring;
	char *cache_dir; /* of this repository, or NULL */
	int level;       /* repo/pace.h */
	int zip_level;   /* zstd's, where pace does not decide */
};

/* ---- repo.c ----------------------------------------------------------- */

/* Does this version know all features that it must to write?  ERR_REFUSED. */
int repo_writable(const struct repo *r, struct err *e);

/* What a verb needs of the key, and of this version where it writes. */
int repo_need(const struct repo *r, enum key_need need, struct err *e);

/* ---- config.c -------------------------------------------------------- */

/* The object "config": plain bytes, a sum against damage, and a MAC under
 * K_meta that is checked as soon as the keys are there. */
int config_put(struct store *s, const struct keyring *k,
	       const struct repo_config *c, struct err *e);
int config_decode(const struct buf *raw, struct repo_config *c, struct err *e);
int config_load(struct store *s, struct repo_config *c, struct buf *raw,
		struct err *e);
int config_check(const struct buf *raw, const struct keyring *k, struct err *e);

/* ---- ring.c ---------------------------------------------------------- */

/* Data keys that were opened, kept in secret memory.  Thread-safe. */
struct data_keys *data_keys_new(void);
void data_keys_free(struct data_keys *d);

/* The data key of this id, opened with the recipient's secret.  *key stays
 * valid until data_keys_free(). */
int data_key_get(struct repo *r, const struct id *id, const uint8_t **key,
		 struct err *e);

/* A fresh data key of the session, sealed to all recipients and stored as
 * ring/<id>. */
int data_key_new(struct repo *r, const struct id *session, struct id *id,
		 const uint8_t **key, struct err *e);

/* Which data key an object under ring/ holds (there may be several: see
 * ring.c), and of which session it is. */
int data_key_session(struct repo *r, const char *name, struct id *id,
		     struct id *session, struct err *e);

/* Seal every data key to those recipients that it is not sealed to yet; owners
 * only.  May be killed, may run twice at once, and may be repeated. */
int data_keys_seal(struct repo *r, struct access_sealing *s, struct err *e);

/* ---- repo.c ---------------------------------------------------------- */

/* Read again which keys there are.  Nobody else may be at the repository. */
int repo_reload_issued(struct repo *r, struct err *e);

/* Has our key been removed meanwhile, so that this object of ours does not
 * count?  ERR_REFUSED.  Where it cannot be known it is taken to count. */
int repo_check_counts(struct repo *r, const char *name, struct err *e);

#endif
