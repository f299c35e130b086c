/* SPDX-License-Identifier: Apache-2.0 */
#include "repo_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "repo/generation.h"

/* ---- repositories ---------------------------------------------------- */

void kit_init(struct kit *k)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(k->dir, sizeof(k->dir), "%.40s/vmkeep-repo-XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(k->dir));
	snprintf(k->key_file, sizeof(k->key_file), "%s/key", k->dir);
}

void kit_fini(struct kit *k)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", k->dir);
	assert_int_equal(system(command), 0);
}

void kit_create(const struct kit *k, struct store *s)
{
	const struct generation first = { .number = 0 };
	struct repo_config config = {
		.created = 1700000000,
		.chunk_avg = 16u << 10,
		.data_pack_size = 1u << 20,
		.node_pack_size = 1u << 20,
	};
	struct err e = ERR_INIT;

	assert_int_equal(keys_init(&e), 0);
	keys_random(config.repo.b, ID_SIZE);
	AUTO(keyring_free_at)
	struct keyring *keys = keyring_new(&config.repo, &e);

	assert_non_null(keys);
	if (file_exists(k->key_file))
		assert_int_equal(unlink(k->key_file), 0);
	assert_int_equal(keyring_put_file(k->key_file, keys, &e), 0);
	assert_int_equal(generation_put(s, keys, &first, &e), 0);
	assert_int_equal(config_put(s, keys, &config, &e), 0);
}

struct store *kit_create_mem(const struct kit *k)
{
	struct store *s = store_mem_new();

	kit_create(k, s);
	return s;
}

struct repo *kit_try_open(const struct kit *k, struct store *s,
			  const char *cache, struct err *e)
{
	const struct repo_open o = {
		.unlock = { .key_file = k->key_file },
		.cache_dir = cache,
		.zip_level = 1,
	};

	return repo_open(s, &o, e);
}

struct repo *kit_open(const struct kit *k, struct store *mem)
{
	struct err e = ERR_INIT;
	struct repo *r = kit_try_open(k, store_mem_share(mem), NULL, &e);

	if (r == NULL)
		fail_msg("%s", e.msg);
	return r;
}

struct keyring *kit_role(const struct keyring *owner, uint8_t role)
{
	struct err e = ERR_INIT;
	AUTO(buf_fini) struct buf words = BUF_INIT;
	struct keyring *k = keys_secret_alloc(sizeof(*k), &e);

	assert_non_null(k);
	memcpy(k, owner, sizeof(*k));
	keys_random(k->cert.signer.b, ID_SIZE);
	sign_keypair(k->cert.key, k->sign_seed);
	k->cert.role = role;
	wr_string(&words, "vmkeep certificate");
	wr_bytes(&words, k->repo.b, ID_SIZE);
	wr_bytes(&words, k->cert.signer.b, ID_SIZE);
	wr_bytes(&words, k->cert.key, SIGN_PUBLIC);
	wr_u8(&words, role);
	assert_int_equal(sign_make(k->authority_seed, words.p, words.len,
				   k->cert.sig, &e),
			 0);
	return k;
}

/* ---- objects --------------------------------------------------------- */

static int list_one(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	struct kit_names *n = ctx;

	(void)st;
	(void)e;
	n->names = mem_grow(n->names, n->count + 1, sizeof(*n->names));
	n->names[n->count++] = mem_strdup(name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void kit_list(struct store *s, const char *prefix, struct kit_names *n)
{
	struct err e = ERR_INIT;

	memset(n, 0, sizeof(*n));
	assert_int_equal(store_list(s, prefix, list_one, n, &e), 0);
	if (n->count > 0)
		qsort(n->names, n->count, sizeof(*n->names), by_name);
}

void kit_names_fini(struct kit_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->names[i]);
	free(n->names);
}

size_t kit_count(struct store *s, const char *prefix)
{
	AUTO(kit_names_fini) struct kit_names n;

	kit_list(s, prefix, &n);
	return n.count;
}

void kit_load(struct store *s, const char *name, struct buf *b)
{
	struct err e = ERR_INIT;

	buf_clear(b);
	if (store_load(s, name, 1u << 30, b, &e) < 0)
		fail_msg("%s", e.msg);
}

void kit_store(struct store *s, const char *name, const struct buf *b)
{
	struct iovec iov = { .iov_base = b->p, .iov_len = b->len };
	struct err e = ERR_INIT;

	if (store_put(s, name, &iov, 1, &e) < 0)
		fail_msg("%s", e.msg);
}

void kit_harm(struct store *s, const char *name, enum kit_harm how)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	kit_load(s, name, &b);
	if (how == KIT_GONE) {
		assert_int_equal(store_del(s, name, &e), 0);
		return;
	}
	if (how == KIT_CUT)
		b.len -= 3;
	else if (how == KIT_EMPTY)
		b.len = 0;
	else /* of a pack, in its first blob */
		b.p[b.len > 240 ? 120 : b.len / 2] ^= 4;
	kit_store(s, name, &b);
}

struct store *kit_clone(struct store *from)
{
	AUTO(kit_names_fini) struct kit_names n;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct store *to = store_mem_new();

	kit_list(from, "", &n);
	for (size_t i = 0; i < n.count; i++) {
		kit_load(from, n.names[i], &b);
		kit_store(to, n.names[i], &b);
	}
	return to;
}

bool kit_long(void)
{
	return getenv("VMKEEP_TEST_LONG") != NULL;
}

/* ---- images ---------------------------------------------------------- */

/* splitmix64's mixer */
uint64_t kit_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Half noise, half repetition, so that zstd has something to do. */
static void fill_page(uint64_t seed, uint8_t *to)
{
	uint64_t x = kit_mix(seed) | 1;

	for (size_t i = 0; i < PAGE_SIZE_BYTES; i += sizeof(x)) {
		if (i < PAGE_SIZE_BYTES / 2)
			x = kit_mix(x);
		memcpy(to + i, &x, sizeof(x));
	}
}

static bool fake_page(const struct fake *f, uint64_t page, uint8_t *to)
{
	uint64_t dice = kit_mix(page * 3 + f->seed);
	uint64_t seed = f->seed;

	if (dice % 100 < f->zero_percent) {
		memset(to, 0, PAGE_SIZE_BYTES);
		return false;
	}
	if (kit_mix(page * 5 + f->seed2) % 1000 < f->changed_permille)
		seed = f->seed2;
	fill_page(kit_mix(seed) + page, to);
	return true;
}

bool fake_extent(const struct fake *f, uint64_t number, uint8_t *to)
{
	uint64_t start = number * EXTENT_SIZE;
	size_t end = (size_t)num_min(EXTENT_SIZE, f->size - start);
	bool any = false;

	if (f->every > 1 && number % f->every != 0)
		return false;
	for (size_t at = 0; at < end; at += PAGE_SIZE_BYTES)
		any |= fake_page(f, (start + at) / PAGE_SIZE_BYTES, to + at);
	memset(to + end, 0, EXTENT_SIZE - end);
	return any && !bytes_zero(to, end);
}

/* ---- whole jobs ------------------------------------------------------ */

int kit_put(struct intake *in, const struct fake *f, struct image_root *root,
	    struct err *e)
{
	struct intake_image *img = intake_image(in, f->size);
	uint64_t extents = num_parts(f->size, EXTENT_SIZE);

	for (uint64_t i = 0; i < extents; i++) {
		if (f->every > 1 && i % f->every != 0)
			continue;
		uint8_t *b = intake_buffer(in, e);

		if (b == NULL)
			return -1;
		bool any = fake_extent(f, i, b);

		/* what lies past the end must not matter */
		if (f->size - i * EXTENT_SIZE < EXTENT_SIZE)
			b[EXTENT_SIZE - 1] = 0xff;
		if (!any && i % 2 == 0)
			intake_unbuffer(in, b);
		else if (intake_put(in, img, i, b, e) < 0)
			return -1;
	}
	return intake_finish(in, img, root, e);
}

static void add_point(struct set *set, size_t i, const struct image_root *root)
{
	struct point *p = set_add_point(set);
	struct image *image = point_add_image(p);

	keys_random(p->id.b, ID_SIZE);
	p->name = mem_fmt("vm%zu", i);
	p->time_ns = (int64_t)(1700000000 + i) * 1000000000;
	image->kind = IMAGE_DISK;
	image->name = mem_strdup("vda");
	image->root = *root;
}

int kit_backup(struct repo *r, struct kit_backup *b, struct err *e)
{
	const struct intake_options o = { .workers = b->workers,
					  .claims_max = b->claims_max };
	AUTO(intake_close_at) struct intake *in = intake_open(r, &o, e);
	AUTO(set_fini) struct set set = { 0 };

	memset(&b->set, 0, sizeof(b->set));
	if (in == NULL)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		struct image_root root;

		if (kit_put(in, &b->images[i], &root, e) < 0)
			return -1;
		add_point(&set, i, &root);
	}
	if (intake_commit(in, &set, e) < 0)
		return -1;
	intake_stats(in, &b->stats);
	b->set = set;
	memset(&set, 0, sizeof(set));
	return 0;
}

void kit_backup_one(struct repo *r, const struct fake *f,
		    struct intake_stats *stats)
{
	struct kit_backup b = { .images = f, .count = 1, .workers = 2 };
	struct err e = ERR_INIT;

	if (kit_backup(r, &b, &e) < 0)
		fail_msg("%s", e.msg);
	if (stats != NULL)
		*stats = b.stats;
	set_fini(&b.set);
}

/* Extents that reader_next() left out must be zero. */
static void check_holes(const struct fake *f, uint64_t from, uint64_t until,
			uint8_t *room)
{
	for (uint64_t i = from; i < until; i++)
		assert_false(fake_extent(f, i, room));
}

int kit_compare(struct repo *r, const struct set *set,
		const struct image_root *root, const struct fake *f,
		struct err *e)
{
	AUTO(reader_close_at)
	struct reader_image *img = reader_open(r, set, root, e);
	AUTO(reader_thread_free_at)
	struct reader_thread *t = reader_thread_new(r, e);
	static uint8_t got[EXTENT_SIZE], want[EXTENT_SIZE];
	uint64_t extents = num_parts(f->size, EXTENT_SIZE);
	uint64_t from = 0;
	uint64_t n;
	bool hole;
	int more;

	if (img == NULL || t == NULL)
		return -1;
	assert_int_equal(root->size, f->size);
	while ((more = reader_next(img, from, &n, e)) == 1) {
		check_holes(f, from, n, want);
		size_t end = num_min(EXTENT_SIZE, f->size - n * EXTENT_SIZE);

		memset(got, 0xaa, end);
		if (reader_extent(img, t, n, got, &hole, e) < 0)
			return -1;
		assert_false(hole);
		fake_extent(f, n, want);
		if (memcmp(got, want, end) != 0) /* cmocka is slow */
			assert_memory_equal(got, want, end);
		from = n + 1;
	}
	if (more < 0)
		return -1;
	check_holes(f, from, extents, want);
	return 0;
}

size_t kit_damages(const struct kit *k, struct store *mem, bool show)
{
	AUTO(repo_close_at) struct repo *r = kit_open(k, mem);
	const struct verify_options o = { .read_data = true,
					  .talk = &talk_none };
	AUTO(catalog_fini) struct catalog c;
	AUTO(verify_result_fini) struct verify_result result;
	struct err e = ERR_INIT;

	memset(&c, 0, sizeof(c));
	memset(&result, 0, sizeof(result));
	if (catalog_load(r, &c, &e) < 0 ||
	    verify_run(r, &c, &o, &result, &e) < 0) {
		if (show)
			print_message("# verify: %s\n", e.msg);
		return 1;
	}
	for (size_t i = 0; show && i < result.damage_count; i++)
		print_message("# damage: '%s' %s %s %llu+%llu: %s\n",
			      result.damages[i].object, result.damages[i].point,
			      result.damages[i].image,
			      (unsigned long long)result.damages[i].offset,
			      (unsigned long long)result.damages[i].size,
			      result.damages[i].msg);
	return result.damage_count;
}

void kit_verify_clean(const struct kit *k, struct store *mem)
{
	assert_int_equal(kit_damages(k, mem, true), 0);
}
