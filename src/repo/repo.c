/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/repo.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "repo/generation.h"
#include "repo/internal.h"
#include "repo/issued.h"

/*
 * Two data packs being filled or written at 32 MiB each keep the whole
 * program below 200 MiB; a larger pack saves requests, but they are few
 * already: 32 thousand a TiB.
 */
#define DATA_PACK_SIZE (32u << 20)
#define NODE_PACK_SIZE (8u << 20)
#define CHUNK_AVG      (32u << 10)
#define ZIP_LEVEL      3
#define FOOTERS_MAX    (24u << 20)
#define INDEX_HELD_MAX (32u << 20)

static int put_first_key(struct store *store, const struct keyring *keys,
			 bool file, struct err *e)
{
	struct issued_key key = { .id = keys->cert.signer,
				  .role = ROLE_OWNER,
				  .file = file,
				  .box = true,
				  .time_ns = clock_wall_ns() };

	memcpy(key.box_public, keys->box_public, BOX_PUBLIC);
	return issued_put(store, keys, &key, e);
}

static int create_all(struct store *store, const struct repo_create *create,
		      const struct repo_config *config, struct keyring *keys,
		      struct err *e)
{
	const struct generation first = { .number = 0 };
	const struct repo_unlock *u = &create->unlock;

	if (u->key_file != NULL && keyring_put_file(u->key_file, keys, e) < 0)
		return -1;
	if (u->passphrase != NULL &&
	    keyring_put_slot(store, keys, u->passphrase, e) < 0)
		return -1;
	if (put_first_key(store, keys, u->key_file != NULL, e) < 0 ||
	    generation_put(store, keys, &first, e) < 0)
		return -1;
	/* last: a repository is one when it has a config */
	return config_put(store, keys, config, e);
}

int repo_create(struct store *store, const struct repo_create *create,
		struct err *e)
{
	struct repo_config config = {
		.created = (uint64_t)(clock_wall_ns() / 1000000000),
		.chunk_avg =
			create->chunk_avg != 0 ? create->chunk_avg : CHUNK_AVG,
		.data_pack_size = DATA_PACK_SIZE,
		.node_pack_size = NODE_PACK_SIZE,
	};
	struct cut_sizes cut;

	if (keys_init(e) < 0)
		return -1;
	if (!cut_sizes_from_avg(config.chunk_avg, &cut))
		return err_set(e, ERR_USAGE,
			       "chunks cannot average %u bytes: 16, 32 or 64 "
			       "KiB",
			       config.chunk_avg);
	keys_random(config.repo.b, ID_SIZE);
	AUTO(keyring_free_at)
	struct keyring *keys = keyring_new(&config.repo, e);

	return keys != NULL ? create_all(store, create, &config, keys, e) : -1;
}

void repo_close(struct repo *r)
{
	if (r == NULL)
		return;
	index_free(r->index);
	footers_free(r->footers);
	data_keys_free(r->ring);
	keyring_free(r->keys);
	issued_free(r->issued);
	store_close(r->store);
	free(r->cache_dir);
	free(r);
}

void repo_close_at(struct repo **r)
{
	repo_close(*r);
}

int repo_writable(const struct repo *r, struct err *e)
{
	if (r->config.may_write == 0)
		return 0;
	return err_set(e, ERR_REFUSED,
		       "this version of vmkeep cannot write to the "
		       "repository: use a newer one");
}

int repo_need(const struct repo *r, enum key_need need, struct err *e)
{
	if (keyring_need(r->keys, need, e) < 0)
		return -1;
	return need == NEED_READ ? 0 : repo_writable(r, e);
}

const struct id *repo_id(const struct repo *r)
{
	return &r->config.repo;
}

/* The cache is a help: where it cannot be had we do without. */
static void open_cache(struct repo *r, const char *dir)
{
	struct err ignored = ERR_INIT;
	char hex[ID_TEXT];

	if (dir == NULL)
		return;
	hex_encode(r->config.repo.b, ID_SIZE, hex);
	autofree char *own = path_join(dir, hex);
	autofree char *idx = path_join(own, "idx");

	if (dir_make(idx, 0700, &ignored) == 0)
		r->cache_dir = mem_take(&own);
}

/* A key that has been removed is told so: what it would do would not count. */
static int check_own(const struct repo *r, struct err *e)
{
	const struct issued_key *own =
		issued_find(r->issued, &r->keys->cert.signer);
	char when[CLOCK_TEXT];

	if (own == NULL || !own->removed)
		return 0;
	clock_text_local(own->removed_ns, when);
	return err_set(e, ERR_REFUSED,
		       "this %s's key was removed from the repository (%s): "
		       "ask an owner for a new one",
		       role_name(r->keys->role), when);
}

int repo_reload_issued(struct repo *r, struct err *e)
{
	struct issued *now = issued_load(r->store, r->keys, e);

	if (now == NULL)
		return -1;
	issued_free(r->issued);
	r->issued = now;
	r->keys->issued = now;
	return 0;
}

int repo_check_counts(struct repo *r, const char *name, struct err *e)
{
	struct err ignored = ERR_INIT;
	AUTO(issued_free_at)
	struct issued *now = issued_load(r->store, r->keys, &ignored);

	if (!issued_refuses(now, &r->keys->cert.signer, name, e))
		return 0;
	return err_set(e, ERR_REFUSED,
		       "this %s's key was removed from the repository in the "
		       "meantime, and '%s' does not count: ask an owner for a "
		       "new one",
		       role_name(r->keys->role), name);
}

static int open_parts(struct repo *r, const struct repo_open *open,
		      struct err *e)
{
	AUTO(buf_fini) struct buf raw = BUF_INIT;

	if (config_load(r->store, &r->config, &raw, e) < 0)
		return -1;
	r->keys = keyring_open(r->store, &r->config.repo, &open->unlock, e);
	if (r->keys == NULL || config_check(&raw, r->keys, e) < 0 ||
	    repo_reload_issued(r, e) < 0 || check_own(r, e) < 0)
		return -1;
	if (!cut_sizes_from_avg(r->config.chunk_avg, &r->cut))
		return err_set(e, ERR_INTEGRITY, "impossible chunk size");
	open_cache(r, open->cache_dir);
	r->level = open->zip_level;
	r->zip_level = ZIP_LEVEL;
	r->ring = data_keys_new();
	r->footers = footers_new(r->store, r->keys->meta_key, FOOTERS_MAX);
	r->index = index_new(&(struct index_parts){
		.store = r->store,
		.keys = r->keys,
		.footers = r->footers,
		.cache_dir = r->cache_dir,
		.hold_max = INDEX_HELD_MAX,
	});
	return 0;
}

struct repo *repo_open(struct store *store, const struct repo_open *open,
		       struct err *e)
{
	AUTO(repo_close_at) struct repo *r = mem_zalloc(1, sizeof(*r));

	r->store = store;
	if (keys_init(e) < 0 || open_parts(r, open, e) < 0)
		return NULL;
	return mem_take(&r);
}

static int see_slot(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	(void)name;
	(void)st;
	(void)e;
	*(bool *)ctx = true;
	return 0;
}

int repo_probe(struct store *store, bool *has_passphrase, struct err *e)
{
	AUTO(buf_fini) struct buf raw = BUF_INIT;
	struct repo_config config;
	bool any = false;

	if (config_load(store, &config, &raw, e) < 0 ||
	    store_list(store, "keys/", see_slot, &any, e) < 0)
		return -1;
	*has_passphrase = any;
	return 0;
}
