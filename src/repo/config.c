/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "codec/hash.h"
#include "codec/seal.h"
#include "repo/internal.h"

static const char magic[8] = "VMKREPO";

#define CONFIG_BODY (8 + 2 + 1 + 1 + ID_SIZE + 8 + 4 + 4 + 4 + 3 * 8)
#define CONFIG_SIZE (CONFIG_BODY + 2 * HASH_SIZE)

static int config_mac(const struct keyring *k, const uint8_t *body,
		      struct hash *mac, struct err *e)
{
	AUTO(keys_secret_free_at) uint8_t *key = keys_secret_alloc(32, e);

	if (key == NULL || seal_derive(k->meta_key, k->repo.b, ID_SIZE,
				       "vmkeep config", key, e) < 0)
		return -1;
	hash_hmac(key, body, CONFIG_BODY, mac);
	return 0;
}

int config_put(struct store *s, const struct keyring *k,
	       const struct repo_config *c, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct hash sum;

	wr_bytes(&b, magic, sizeof(magic));
	wr_u16(&b, FORMAT_VERSION);
	wr_u8(&b, FORMAT_SUITE);
	wr_u8(&b, 0);
	wr_bytes(&b, c->repo.b, ID_SIZE);
	wr_u64(&b, c->created);
	wr_u32(&b, c->chunk_avg);
	wr_u32(&b, c->data_pack_size);
	wr_u32(&b, c->node_pack_size);
	wr_u64(&b, c->may_read);
	wr_u64(&b, c->may_write);
	wr_u64(&b, c->may_collect);
	if (config_mac(k, b.p, &sum, e) < 0)
		return -1;
	wr_bytes(&b, sum.b, HASH_SIZE);
	hash_sha256(b.p, b.len, &sum);
	wr_bytes(&b, sum.b, HASH_SIZE);
	struct iovec iov = { .iov_base = b.p, .iov_len = b.len };

	return store_put_new(s, "config", &iov, 1, e);
}

static int config_version(struct reader *r, struct err *e)
{
	char m[sizeof(magic)];

	rd_copy(r, m, sizeof(m));
	if (memcmp(m, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_NOT_FOUND,
			       "not a repository of vmkeep's");
	uint16_t version = rd_u16(r);
	uint8_t suite = rd_u8(r);

	if (version > FORMAT_VERSION || suite > FORMAT_SUITE)
		return err_set(e, ERR_REFUSED,
			       "the repository has format %u.%u, this vmkeep "
			       "reads up to %u.%u: use a newer vmkeep",
			       version, suite, FORMAT_VERSION, FORMAT_SUITE);
	rd_u8(r);
	return 0;
}

static bool config_sane(const struct repo_config *c)
{
	struct cut_sizes cut;

	return cut_sizes_from_avg(c->chunk_avg, &cut) &&
	       c->data_pack_size >= (1u << 20) &&
	       c->data_pack_size <= PACK_MAX_SIZE / 2 &&
	       c->node_pack_size >= (1u << 20) &&
	       c->node_pack_size <= PACK_MAX_SIZE / 2;
}

int config_decode(const struct buf *raw, struct repo_config *c, struct err *e)
{
	struct reader r = reader_of(raw->p, raw->len);
	struct hash sum;

	if (raw->len >= CONFIG_SIZE)
		hash_sha256(raw->p, CONFIG_SIZE - HASH_SIZE, &sum);
	/* a newer format may be longer, and its sum elsewhere: version first,
	 * but only of bytes that are not just damaged */
	bool whole =
		raw->len == CONFIG_SIZE &&
		memcmp(raw->p + CONFIG_SIZE - HASH_SIZE, sum.b, HASH_SIZE) == 0;
	struct err version = ERR_INIT;
	int known = config_version(&r, &version);

	if (!whole && (known == 0 || raw->len == CONFIG_SIZE))
		return err_set(e, ERR_INTEGRITY,
			       "'config' is damaged: restore it from a copy "
			       "of the repository");
	if (known < 0) {
		*e = version;
		return -1;
	}
	rd_copy(&r, c->repo.b, ID_SIZE);
	c->created = rd_u64(&r);
	c->chunk_avg = rd_u32(&r);
	c->data_pack_size = rd_u32(&r);
	c->node_pack_size = rd_u32(&r);
	c->may_read = rd_u64(&r);
	c->may_write = rd_u64(&r);
	c->may_collect = rd_u64(&r);
	if (c->may_read != 0)
		return err_set(e, ERR_REFUSED,
			       "the repository uses features that this vmkeep "
			       "does not know: use a newer vmkeep");
	if (!config_sane(c))
		return err_set(e, ERR_INTEGRITY,
			       "'config' has impossible "
			       "sizes");
	return 0;
}

int config_load(struct store *s, struct repo_config *c, struct buf *raw,
		struct err *e)
{
	if (store_load(s, "config", OBJECT_MAX_SMALL, raw, e) < 0) {
		if (e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_NOT_FOUND,
				       "not a repository (it has no 'config'): "
				       "'vmkeep init' makes one");
		return -1;
	}
	return config_decode(raw, c, e);
}

int config_check(const struct buf *raw, const struct keyring *k, struct err *e)
{
	struct hash mac;

	if (config_mac(k, raw->p, &mac, e) < 0)
		return -1;
	if (memcmp(mac.b, raw->p + CONFIG_BODY, HASH_SIZE) != 0)
		return err_set(e, ERR_INTEGRITY,
			       "'config' was changed by somebody without the "
			       "keys: restore it from a copy");
	return 0;
}
