/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/seal.h"
#include "codec/zip.h"
#include "repo/generation.h"
#include "repo/issued.h"
#include "repo/keyring_internal.h"
#include "repo/obj.h"
#include "repo/pack.h"
#include "repo/session.h"
#include "repo_kit.h"

/*
 * What a stolen key is good for, tried by hand: all its bytes as keys of all
 * seals, and everything a thief would like to sign.
 */

static struct kit kit;
static struct store *store; /* with points of a disk and of definitions */
static struct repo *repo;   /* open, as its owner */

static const char marker[] = "<domain><secret>the-guest's-own-words</secret>";
static const struct fake disk = { .size = 3 * EXTENT_SIZE, .seed = 77 };

DEFINE_AUTO(sealer_free, struct sealer *);
DEFINE_AUTO(zip_free, struct zip *);

/* One session: a disk, and beside it what libvirt and firmware have. */
static void back_up(struct repo *r)
{
	const struct intake_options o = { .workers = 2 };
	struct err e = ERR_INIT;
	AUTO(intake_close_at) struct intake *in = intake_open(r, &o, &e);
	AUTO(set_fini) struct set set = { 0 };
	struct image_root roots[2];

	if (in == NULL)
		fail_msg("%s", e.msg);
	assert_int_equal(kit_put(in, &disk, &roots[0], &e), 0);
	assert_int_equal(
		intake_bytes(in, marker, sizeof(marker), &roots[1], &e), 0);
	struct point *p = set_add_point(&set);

	keys_random(p->id.b, ID_SIZE);
	p->name = mem_strdup("guest");
	for (size_t i = 0; i < 2; i++) {
		struct image *image = point_add_image(p);

		image->kind = i == 0 ? IMAGE_DISK : IMAGE_XML;
		image->name = mem_strdup(i == 0 ? "vda" : "live.xml");
		image->root = roots[i];
	}
	if (intake_commit(in, &set, &e) < 0)
		fail_msg("%s", e.msg);
}

static int setup(void **state)
{
	(void)state;
	kit_init(&kit);
	store = kit_create_mem(&kit);
	repo = kit_open(&kit, store);
	back_up(repo);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	repo_close(repo);
	store_close(store);
	kit_fini(&kit);
	return 0;
}

static struct keyring *issue(enum role role)
{
	struct err e = ERR_INIT;
	struct keyring *k = keyring_issue(repo->keys, role, &e);

	if (k == NULL)
		fail_msg("%s", e.msg);
	return k;
}

/* ---- opening everything with everything ------------------------------- */

/* What a thief holds: 32 bytes at a time. */
struct thief {
	struct buf bundle; /* secret_buf()'s */
	struct buf loot;   /* all that opened, one after the other */
	uint8_t found[64][32];
	size_t found_count;       /* data keys that were boxed to one of them */
	size_t objects, blobs[2]; /* opened; blobs: nodes, data */
};

/* Key number i, or NULL: any 32 bytes of the bundle, then the data keys. */
static const uint8_t *key_at(const struct thief *t, size_t i)
{
	size_t own = t->bundle.len - 31;

	if (i < own)
		return t->bundle.p + i;
	return i < own + t->found_count ? t->found[i - own] : NULL;
}

static void try_object(struct thief *t, const char *name, const struct buf *b)
{
	AUTO(buf_fini) struct buf aad = BUF_INIT;
	struct err e = ERR_INIT;

	if (b->len < OBJ_HEADER + SEAL_TAG)
		return;
	wr_bytes(&aad, b->p, OBJ_HEADER);
	wr_string(&aad, name);
	wr_u8(&aad, 1);
	for (size_t i = 0; key_at(t, i) != NULL; i++) {
		AUTO(sealer_free_at)
		struct sealer *s = sealer_new(key_at(t, i), b->p + 8, SALT_SIZE,
					      "vmkeep object", &e);
		size_t n = b->len - OBJ_HEADER - SEAL_TAG;

		if (sealer_open(s, 0, aad.p, aad.len, b->p + OBJ_HEADER, n,
				buf_room(&t->loot, n), &e) == 0) {
			t->loot.len += n;
			t->objects++;
			return;
		}
	}
}

/* Boxes are wherever 80 bytes are: each key is tried as the secret. */
static void try_boxes(struct thief *t, const uint8_t *p, size_t size)
{
	struct err e = ERR_INIT;
	const size_t head = 2 + 2 * ID_SIZE + 1;

	if (size < head + BOX_PUBLIC + 80)
		return;
	for (size_t i = 0; i < t->bundle.len - 31; i++)
		if (t->found_count < 64 &&
		    box_open(p + head, t->bundle.p + i, p + head + BOX_PUBLIC,
			     80, t->found[t->found_count], &e) == 0)
			t->found_count++;
}

static void try_blob(struct thief *t, const struct footer_use *use,
		     uint32_t number, const struct buf *pack)
{
	const struct blob *b = &use->footer.blobs[number];
	AUTO(buf_fini) struct buf aad = BUF_INIT;
	autofree uint8_t *zipped = mem_zalloc(1, b->stored);
	struct err e = ERR_INIT;
	AUTO(zip_free_at) struct zip *z = zip_new(1, &e);

	blob_aad(use->header.class, b, use->footer.slots + b->first, &aad);
	for (size_t i = 0; key_at(t, i) != NULL; i++) {
		AUTO(sealer_free_at)
		struct sealer *s = pack_sealer(key_at(t, i), &use->header.pack,
					       use->header.salt, &e);
		size_t n = b->stored - SEAL_TAG;

		if (sealer_open(s, number, aad.p, aad.len, pack->p + b->offset,
				n, zipped, &e) < 0)
			continue;
		assert_int_equal(zip_unpack(z, b->method, zipped, n,
					    buf_room(&t->loot, b->raw), b->raw,
					    &e),
				 0);
		t->loot.len += b->raw;
		t->blobs[use->header.class == BLOB_DATA]++;
		return;
	}
}

/* The footer is opened for the thief, should its keys not do. */
static void try_pack(struct thief *t, const char *name, const struct buf *pack)
{
	struct footer_use use = { .size = 0 };
	struct err e = ERR_INIT;
	enum blob_class class = name[0] == 'd' ? BLOB_DATA : BLOB_NODE;
	struct id id;

	assert_true(hex_decode(strrchr(name, '/') + 1, id.b, ID_SIZE));
	assert_int_equal(
		footer_load(store, repo->keys->meta_key, class, &id, &use, &e),
		0);
	for (uint32_t i = 0; i < use.footer.blob_count; i++)
		try_blob(t, &use, i, pack);
	footer_fini(&use.footer);
}

static void try_all(struct thief *t, const struct keyring *k)
{
	static const char *const folders[] = { "ring/", "points/", "sess/",
					       "gen/",  "idx/",    "issued/",
					       "data/", "meta/" };
	struct err e = ERR_INIT;

	memset(t, 0, sizeof(*t));
	assert_int_equal(secret_buf(&t->bundle, &e), 0);
	bundle_put(k, &t->bundle);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		AUTO(kit_names_fini) struct kit_names n;

		kit_list(store, folders[i], &n);
		for (size_t at = 0; at < n.count; at++) {
			AUTO(buf_fini) struct buf b = BUF_INIT;
			size_t before = t->loot.len;

			kit_load(store, n.names[at], &b);
			if (i >= 6)
				try_pack(t, n.names[at], &b);
			else
				try_object(t, n.names[at], &b);
			if (i == 0)
				try_boxes(t, t->loot.p + before,
					  t->loot.len - before);
		}
	}
}

static void thief_fini(struct thief *t)
{
	secret_buf_fini(&t->bundle);
	buf_fini(&t->loot);
}

/* Does the loot have the words, and the disk's first page? */
static void check_loot(const struct thief *t, bool want)
{
	autofree uint8_t *extent = mem_zalloc(1, EXTENT_SIZE);

	assert_true(fake_extent(&disk, 0, extent));
	assert_true(t->loot.len > 0);
	assert_int_equal(
		memmem(t->loot.p, t->loot.len, marker, sizeof(marker)) != NULL,
		want);
	assert_int_equal(memmem(t->loot.p, t->loot.len, extent, 64) != NULL,
			 want);
}

/* That this is the way to do it. */
static void test_owner_reads(void **state)
{
	AUTO(thief_fini) struct thief t;

	(void)state;
	try_all(&t, repo->keys);
	assert_true(t.objects >= 5);
	assert_int_equal(t.found_count, 1);
	assert_true(t.blobs[0] > 0 && t.blobs[1] > 0);
	check_loot(&t, true);
}

static void reads_nothing(enum role role)
{
	AUTO(keyring_free_at) struct keyring *k = issue(role);
	AUTO(thief_fini) struct thief t;

	try_all(&t, k);
	assert_true(t.objects >= 5);
	assert_int_equal(t.found_count, 0);
	assert_true(t.blobs[0] > 0);
	assert_int_equal(t.blobs[1], 0);
	check_loot(&t, false);
}

static void test_writer_reads_nothing(void **state)
{
	(void)state;
	reads_nothing(ROLE_WRITER);
}

static void test_maintainer_reads_nothing(void **state)
{
	(void)state;
	reads_nothing(ROLE_MAINTAINER);
}

/* ---- signing what is not one's own ------------------------------------ */

/* A program that does not ask what its role is. */
static struct keyring *reckless(enum role role)
{
	struct keyring *k = issue(role);

	k->role = ROLE_OWNER;
	return k;
}

static void forge(const struct keyring *thief, const char *name,
		  const void *body, size_t size)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	wr_bytes(&b, body, size);
	if (obj_put_new(store, thief, name, &b, &e) < 0)
		fail_msg("%s", e.msg);
}

static void unforge(const char *name)
{
	struct err e = ERR_INIT;

	assert_int_equal(store_del(store, name, &e), 0);
}

/* Refused as what only a keeper may say, or only an owner. */
static void refused(const char *name, unsigned uses)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(obj_load(store, repo->keys, name, uses,
				  OBJECT_MAX_SMALL, &b, &e),
			 -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_int_equal(b.len, 0);
}

static void test_writer_forges_keeping(void **state)
{
	static const char *const names[] = {
		"gen/0000000000000001",
		"tomb/000102030405060708090a0b0c0d0e0f",
		"issued/000102030405060708090a0b0c0d0e0f",
		"void/000102030405060708090a0b0c0d0e0f",
	};
	AUTO(keyring_free_at) struct keyring *w = reckless(ROLE_WRITER);
	AUTO(keyring_free_at) struct keyring *honest = issue(ROLE_WRITER);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		struct err e = ERR_INIT;

		forge(w, names[i], "words", 5);
		refused(names[i], SIGN_KEEP);
		refused(names[i], SIGN_OWN);
		refused(names[i], SIGN_KEEP | SIGN_OWN);
		unforge(names[i]);
		/* an honest program says so before it tries */
		assert_int_equal(obj_put_new(store, honest, names[i], &b, &e),
				 -1);
		assert_int_equal(e.code, ERR_REFUSED);
		assert_non_null(strstr(e.msg, "writer's key"));
	}
}

static void test_writer_forges_generation(void **state)
{
	AUTO(keyring_free_at) struct keyring *w = reckless(ROLE_WRITER);
	AUTO(generation_fini) struct generation got = { .number = 0 };
	const struct generation g = { .number = 1 };
	struct err e = ERR_INIT;
	char name[GENERATION_NAME];

	(void)state;
	assert_int_equal(generation_put(store, w, &g, &e), 0);
	assert_int_equal(generation_load(store, repo->keys, 1, &got, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	generation_name(1, name);
	unforge(name);
}

/* What its session came to, as a reader sees it. */
static int outcome_of(const struct keyring *signer, const char *name,
		      const struct buf *words, struct err *e)
{
	AUTO(set_fini) struct set set = { 0 };

	forge(signer, name, words->p, words->len);
	int got = outcome_load(repo, name, &set, e);

	unforge(name);
	return got;
}

static void test_outcomes(void **state)
{
	static const uint8_t revoked[] = { 1, 0, OUTCOME_REVOKED };
	AUTO(keyring_free_at) struct keyring *w = reckless(ROLE_WRITER);
	AUTO(keyring_free_at) struct keyring *m = reckless(ROLE_MAINTAINER);
	AUTO(buf_fini) struct buf end = BUF_INIT;
	AUTO(buf_fini) struct buf commit = BUF_INIT;
	char host[] = "host";
	struct set set = { .session = { { 5, 5 } },
			   .host = host,
			   .program = host };
	struct err e = ERR_INIT;
	char name[OUTCOME_NAME];

	(void)state;
	outcome_name(&set.session, name);
	wr_bytes(&end, revoked, sizeof(revoked));
	wr_u16(&commit, 1);
	wr_u8(&commit, OUTCOME_COMMIT);
	assert_int_equal(set_encode(&set, &commit, &e), 0);
	/* a writer commits and does not revoke, a maintainer the reverse */
	assert_int_equal(outcome_of(w, name, &commit, &e), 1);
	assert_int_equal(outcome_of(m, name, &end, &e), 0);
	assert_int_equal(outcome_of(w, name, &end, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_int_equal(outcome_of(m, name, &commit, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_int_equal(outcome_of(repo->keys, name, &end, &e), 0);
	assert_int_equal(outcome_of(repo->keys, name, &commit, &e), 1);
}

/* A session of kind 2, and a segment: the reader knows who it was. */
static void test_collectors_objects(void **state)
{
	static const char *const names[] = {
		"sess/05050000000000000000000000000000",
		"idx/05050000000000000000000000000000-0"
	};
	AUTO(keyring_free_at) struct keyring *w = reckless(ROLE_WRITER);
	AUTO(keyring_free_at) struct keyring *m = reckless(ROLE_MAINTAINER);
	AUTO(buf_fini) struct buf record = BUF_INIT;
	struct session_record s;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		struct signer by = { .role = 0 };
		const struct sign_want want = { names[i],
						SIGN_WRITE | SIGN_KEEP, &by };

		forge(w, names[i], "x", 1);
		assert_int_equal(obj_load_want(store, repo->keys, &want,
					       OBJECT_MAX_SMALL, &b, &e),
				 0);
		assert_int_equal(by.role, ROLE_WRITER);
		assert_int_equal(by.uses, SIGN_WRITE);
		assert_memory_equal(&by.id, &w->cert.signer, ID_SIZE);
		unforge(names[i]);
	}
	wr_u16(&record, 1);
	wr_u8(&record, 5);
	wr_u8(&record, 5);
	wr_zero(&record, ID_SIZE - 2);
	wr_u64(&record, 0);
	wr_u64(&record, 1);
	wr_string(&record, "host");
	wr_u8(&record, SESSION_COLLECTOR);
	forge(w, names[0], record.p, record.len);
	assert_int_equal(session_load(repo, names[0], &s, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	unforge(names[0]);
	forge(m, names[0], record.p, record.len);
	assert_int_equal(session_load(repo, names[0], &s, &e), 0);
	session_record_fini(&s);
	unforge(names[0]);
}

/* Raising oneself; being certified by another authority; by oneself. */
static void test_forged_certificates(void **state)
{
	AUTO(keyring_free_at) struct keyring *raised = reckless(ROLE_WRITER);
	AUTO(keyring_free_at) struct keyring *own = reckless(ROLE_WRITER);
	struct err e = ERR_INIT;
	AUTO(keyring_free_at)
	struct keyring *other = keyring_new(&repo->config.repo, &e);

	(void)state;
	raised->cert.role = ROLE_OWNER;
	forge(raised, "tomb/1", "x", 1);
	refused("tomb/1", SIGN_WRITE | SIGN_KEEP | SIGN_OWN);
	unforge("tomb/1");
	/* an owner of a repository of the same id and K_meta, made by a thief
	 */
	memcpy(other->meta_key, repo->keys->meta_key, 32);
	forge(other, "tomb/1", "x", 1);
	refused("tomb/1", SIGN_WRITE | SIGN_KEEP | SIGN_OWN);
	unforge("tomb/1");
	/* signed with the writer's own key as if it were the authority's */
	memcpy(own->authority_seed, own->sign_seed, 32);
	AUTO(keyring_free_at)
	struct keyring *mine = keyring_issue(own, ROLE_MAINTAINER, &e);

	assert_non_null(mine);
	mine->role = ROLE_OWNER;
	forge(mine, "tomb/1", "x", 1);
	refused("tomb/1", SIGN_WRITE | SIGN_KEEP | SIGN_OWN);
	unforge("tomb/1");
	/* a restorer has nothing to sign with */
	AUTO(keyring_free_at) struct keyring *r = reckless(ROLE_RESTORER);
	AUTO(buf_fini) struct buf b = BUF_INIT;

	assert_int_equal(obj_put_new(store, r, "tomb/1", &b, &e), -1);
	r->has_sign = true;
	forge(r, "points/1", "x", 1);
	refused("points/1", SIGN_WRITE | SIGN_KEEP | SIGN_OWN);
	unforge("points/1");
}

/* A thief's recipient is nobody's recipient. */
static void test_forged_recipient(void **state)
{
	AUTO(keyring_free_at) struct keyring *w = reckless(ROLE_WRITER);
	char label[] = "thief";
	struct issued_key key = { .id = { { 3 } },
				  .box = true,
				  .label = label };
	uint8_t secret[BOX_SECRET];
	struct err e = ERR_INIT;
	const uint8_t *data_key;
	struct id session = { { 1 } };
	struct id id;

	(void)state;
	box_keypair(key.box_public, secret);
	assert_int_equal(issued_put(store, w, &key, &e), 0);
	struct repo *r = kit_open(&kit, store);

	assert_int_equal(r->issued->count, 0);
	assert_int_equal(r->issued->damaged_count, 1);
	assert_int_equal(data_key_new(r, &session, &id, &data_key, &e), 0);
	AUTO(buf_fini) struct buf body = BUF_INIT;
	char hex[ID_TEXT];

	hex_encode(id.b, ID_SIZE, hex);
	autofree char *name = mem_fmt("ring/%s", hex);

	assert_int_equal(obj_load(store, r->keys, name, SIGN_WRITE,
				  OBJECT_MAX_SMALL, &body, &e),
			 0);
	assert_null(memmem(body.p, body.len, key.box_public, BOX_PUBLIC));
	assert_non_null(
		memmem(body.p, body.len, r->keys->box_public, BOX_PUBLIC));
	unforge(name);
	unforge("issued/03000000000000000000000000000000");
	repo_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner_reads),
		cmocka_unit_test(test_writer_reads_nothing),
		cmocka_unit_test(test_maintainer_reads_nothing),
		cmocka_unit_test(test_writer_forges_keeping),
		cmocka_unit_test(test_writer_forges_generation),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_collectors_objects),
		cmocka_unit_test(test_forged_certificates),
		cmocka_unit_test(test_forged_recipient),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
