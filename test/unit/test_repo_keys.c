/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/issued.h"
#include "repo/obj.h"
#include "repo_kit.h"

static struct kit kit;
static struct keyring *keys;
static const struct id repo = { { 1, 2, 3 } };

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	if (keys_init(&e) < 0)
		return -1;
	keys = keyring_new(&repo, &e);
	return keys != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	keyring_free(keys);
	kit_fini(&kit);
	return 0;
}

/* ---- slots ----------------------------------------------------------- */

static enum err_code open_with(struct store *s, const char *passphrase)
{
	const struct repo_unlock u = { .passphrase = passphrase };
	struct err e = ERR_INIT;
	AUTO(keyring_free_at)
	struct keyring *k = keyring_open(s, &repo, &u, &e);

	if (k == NULL)
		return e.code;
	assert_memory_equal(k, keys, sizeof(*k));
	return ERR_NONE;
}

static void test_slots(void **state)
{
	AUTO(store_close_at) struct store *s = store_mem_new();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(open_with(s, "one"), ERR_REFUSED); /* no slot */
	assert_int_equal(keyring_put_slot(s, keys, "one", &e), 0);
	assert_int_equal(keyring_put_slot(s, keys, "", &e), 0);
	assert_int_equal(open_with(s, "one"), ERR_NONE);
	assert_int_equal(open_with(s, ""), ERR_NONE);
	assert_int_equal(open_with(s, "two"), ERR_REFUSED);
}

/* A damaged slot is told from a wrong passphrase, without trying to derive a
 * key with whatever cost it says. */
static void test_damaged_slot(void **state)
{
	AUTO(store_close_at) struct store *s = store_mem_new();
	AUTO(kit_names_fini) struct kit_names n;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(keyring_put_slot(s, keys, "one", &e), 0);
	kit_list(s, "keys/", &n);
	kit_load(s, n.names[0], &b);
	for (size_t at = 0; at < b.len; at++) {
		b.p[at] ^= 0x20;
		kit_store(s, n.names[0], &b);
		assert_int_equal(open_with(s, "one"), ERR_INTEGRITY);
		b.p[at] ^= 0x20;
	}
	for (size_t len = b.len; b.len-- > 0; len--) {
		kit_store(s, n.names[0], &b);
		assert_int_equal(open_with(s, "one"), ERR_INTEGRITY);
	}
	/* far too large; and a good one beside it */
	b.len = 0;
	wr_zero(&b, 100000);
	kit_store(s, n.names[0], &b);
	assert_int_equal(open_with(s, "one"), ERR_INTEGRITY);
	assert_int_equal(keyring_put_slot(s, keys, "one", &e), 0);
	assert_int_equal(open_with(s, "one"), ERR_NONE);
	assert_int_equal(open_with(s, "two"), ERR_REFUSED);
}

static void test_key_file(void **state)
{
	const struct repo_unlock u = { .key_file = kit.key_file };
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct id other = { { 9 } };
	struct stat st;

	(void)state;
	assert_int_equal(keyring_put_file(kit.key_file, keys, &e), 0);
	assert_int_equal(keyring_put_file(kit.key_file, keys, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(stat(kit.key_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	struct keyring *k = keyring_open(NULL, &repo, &u, &e);

	assert_non_null(k);
	assert_memory_equal(k, keys, sizeof(*k));
	assert_null(keyring_open(NULL, &other, &u, &e));
	assert_int_equal(e.code, ERR_REFUSED);

	assert_int_equal(file_load(kit.key_file, 10000, &text, &e), 0);
	for (size_t at = 0; at < text.len; at++) {
		AUTO(buf_fini) struct buf t = BUF_INIT;

		wr_bytes(&t, text.p, text.len);
		wr_u8(&t, 0);
		t.p[at] ^= 0x01;
		assert_false(keyring_decode_text((char *)t.p, k));
		/* cut here; only the end of the line may be missing */
		memcpy(t.p, text.p, text.len);
		t.p[at] = '\0';
		assert_int_equal(keyring_decode_text((char *)t.p, k),
				 at == text.len - 1);
	}
	keyring_free(k);
}

/* As ssh(1) has it: ours must be ours alone; a pipe is as it is given. */
static void test_key_file_modes(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} modes[] = { { 0600, true },  { 0400, true },  { 0640, false },
		      { 0604, false }, { 0620, false }, { 0601, false } };
	autofree char *path = path_join(kit.dir, "modes");
	const struct repo_unlock u = { .key_file = path };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(keyring_put_file(path, keys, &e), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(path, modes[i].mode), 0);
		AUTO(keyring_free_at)
		struct keyring *k = keyring_open(NULL, &repo, &u, &e);

		assert_int_equal(k != NULL, modes[i].good);
		if (modes[i].good)
			continue;
		assert_int_equal(e.code, ERR_REFUSED);
		assert_non_null(strstr(e.msg, "chmod 600"));
	}
}

/* ---- what a bundle holds --------------------------------------------- */

static void test_bundles(void **state)
{
	static const struct {
		enum role role;
		bool cut, secret, authority, sign;
		unsigned needs; /* bits of enum key_need */
	} all[] = {
		{ ROLE_OWNER, true, true, true, true, 0xf },
		{ ROLE_WRITER, true, false, false, true, 1 << NEED_WRITE },
		{ ROLE_MAINTAINER, false, false, false, true, 1 << NEED_KEEP },
		{ ROLE_RESTORER, false, true, false, false, 1 << NEED_READ },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		AUTO(keyring_free_at) struct keyring *k = NULL;
		struct err e = ERR_INIT;

		k = keyring_issue(keys, all[i].role, &e);
		assert_non_null(k);

		assert_int_equal(bytes_zero(k->cut_key, 32), !all[i].cut);
		assert_int_equal(bytes_zero(k->box_secret, 32), !all[i].secret);
		assert_int_equal(bytes_zero(k->authority_seed, 32),
				 !all[i].authority);
		assert_int_equal(bytes_zero(k->sign_seed, 32), !all[i].sign);
		assert_memory_equal(k->meta_key, keys->meta_key, 32);
		/* nobody's signing or box key is another's */
		assert_memory_not_equal(k->box_secret, keys->box_secret, 32);
		assert_memory_not_equal(k->sign_seed, keys->sign_seed, 32);
		for (unsigned n = 0; n < 4; n++) {
			bool ok = keyring_need(k, (enum key_need)n, &e) == 0;

			assert_int_equal(ok, all[i].needs >> n & 1);
			if (ok)
				continue;
			assert_int_equal(e.code, ERR_REFUSED);
			assert_non_null(strstr(e.msg, role_name(k->role)));
			assert_non_null(strstr(e.msg, "owner's"));
		}
		if (all[i].role != ROLE_OWNER)
			assert_null(keyring_issue(k, ROLE_OWNER, &e));
	}
}

/* ---- the bytes of records -------------------------------------------- */

static void test_records(void **state)
{
	char label[] = "a label";
	char first[] = "gen/1", then[] = "points/2", last[] = "points/3";
	char *names[] = { first, then, last };
	const struct issued_key key = { .id = { { 1, 2 } },
					.role = ROLE_RESTORER,
					.file = true,
					.box = true,
					.box_public = { 7 },
					.time_ns = 42,
					.label = label };
	const struct issued_key gone = { .id = { { 1, 2 } },
					 .removed_ns = 43,
					 .stands = names,
					 .stand_count = 3 };
	AUTO(buf_fini) struct buf a = BUF_INIT;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct issued_key got;
	struct err e = ERR_INIT;

	(void)state;
	issued_encode(&key, &a);
	assert_int_equal(issued_decode(a.p, a.len, &got, &e), 0);
	assert_string_equal(got.label, "a label");
	assert_true(got.file && got.box && got.time_ns == 42);
	issued_key_fini(&got);
	issued_encode_void(&gone, &b);
	assert_int_equal(issued_decode_void(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.stand_count, 3);
	assert_string_equal(got.stands[2], "points/3");
	issued_key_fini(&got);
	for (size_t n = 0; n < a.len; n++)
		assert_int_equal(issued_decode(a.p, n, &got, &e), -1);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(issued_decode_void(b.p, n, &got, &e), -1);
	/* unsorted, a role there is not, more than there is */
	names[0] = names[2];
	b.len = 0;
	issued_encode_void(&gone, &b);
	assert_int_equal(issued_decode_void(b.p, b.len, &got, &e), -1);
	a.p[18] = 9;
	assert_int_equal(issued_decode(a.p, a.len, &got, &e), -1);
	memset(b.p + 26, 0xff, 4);
	assert_int_equal(issued_decode_void(b.p, b.len, &got, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

/* ---- signatures ------------------------------------------------------ */

/* What the signer may, or 0 where its signature will not do. */
static unsigned accepts(const struct keyring *signer, unsigned uses)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct signer by = { .role = 99 };
	struct err e = ERR_INIT;

	wr_string(&b, "body");
	assert_int_equal(keyring_sign(signer, "points/1", &b, &e), 0);
	size_t size = b.len;
	const struct sign_want want = { "points/1", uses, &by };
	bool ok = keyring_check(keys, &want, b.p, &size, &e) == 0;

	assert_int_equal(size, ok ? b.len - SIGNED_EXTRA : b.len);
	if (ok)
		assert_memory_equal(&by.id, &signer->cert.signer, ID_SIZE);
	assert_int_equal(by.role, ok ? signer->cert.role : 99);
	return ok ? by.uses : 0;
}

static void test_roles(void **state)
{
	static const struct {
		uint8_t role;
		unsigned uses;
	} cases[] = { { ROLE_OWNER, SIGN_WRITE | SIGN_KEEP | SIGN_OWN },
		      { ROLE_WRITER, SIGN_WRITE },
		      { ROLE_MAINTAINER, SIGN_KEEP },
		      { ROLE_RESTORER, 0 },
		      { 0, 0 },
		      { 77, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(keyring_free_at)
		struct keyring *k = kit_role(keys, cases[i].role);

		for (unsigned want = 0; want < 8; want++)
			assert_int_equal(accepts(k, want),
					 (cases[i].uses & want) != 0
						 ? cases[i].uses
						 : 0);
	}
	/* who raises himself has no certificate for it */
	AUTO(keyring_free_at) struct keyring *w = kit_role(keys, ROLE_WRITER);

	w->cert.role = ROLE_OWNER;
	assert_int_equal(accepts(w, SIGN_KEEP), 0);
	assert_int_equal(accepts(w, SIGN_WRITE), 0);
	w->has_sign = false;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(keyring_sign(w, "x", &b, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
}

static const struct sign_want point_1 = { "points/1", SIGN_WRITE, NULL };
static const struct sign_want point_2 = { "points/2", SIGN_WRITE, NULL };

static void test_signature_bytes(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	wr_string(&b, "some words");
	assert_int_equal(keyring_sign(keys, "points/1", &b, &e), 0);
	for (size_t at = 0; at < b.len; at++) {
		size_t size = b.len;

		b.p[at] ^= 0x80;
		assert_int_equal(keyring_check(keys, &point_1, b.p, &size, &e),
				 -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		b.p[at] ^= 0x80;
	}
	for (size_t n = 0; n < b.len; n++) {
		size_t size = n;

		assert_int_equal(keyring_check(keys, &point_1, b.p, &size, &e),
				 -1);
	}
	size_t size = b.len;

	assert_int_equal(keyring_check(keys, &point_2, b.p, &size, &e), -1);
}

/* ---- objects --------------------------------------------------------- */

static int open_obj(const char *name, const struct buf *b)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	wr_u8(&out, 1);
	int ok = obj_open(keys, name, SIGN_WRITE, b->p, b->len, &out, &e);

	assert_true(ok == 0 || (out.len == 1 && e.code == ERR_INTEGRITY));
	return ok;
}

static void seal(const char *name, size_t size, struct buf *out)
{
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct err e = ERR_INIT;

	wr_zero(&body, size);
	assert_int_equal(obj_seal(keys, name, &body, out, &e), 0);
}

static void test_objects(void **state)
{
	static const size_t sizes[] = { 0,
					1,
					100,
					OBJ_FRAME - SIGNED_EXTRA - 1,
					OBJ_FRAME - SIGNED_EXTRA,
					OBJ_FRAME - SIGNED_EXTRA + 1,
					3 * OBJ_FRAME };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		AUTO(buf_fini) struct buf out = BUF_INIT;
		struct err e = ERR_INIT;

		seal("points/1", sizes[i], &b);
		assert_int_equal(obj_open(keys, "points/1", SIGN_WRITE, b.p,
					  b.len, &out, &e),
				 0);
		assert_int_equal(out.len, sizes[i]);
		assert_true(bytes_zero(out.p, out.len));
		assert_int_equal(open_obj("points/2", &b), -1);
	}
}

static void test_damaged_object(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf big = BUF_INIT;

	(void)state;
	seal("points/1", 50, &b);
	for (size_t at = 0; at < b.len; at++) {
		b.p[at] ^= 4;
		assert_int_equal(open_obj("points/1", &b), -1);
		b.p[at] ^= 4;
	}
	for (size_t len = b.len; b.len > 0;) {
		b.len--;
		assert_int_equal(open_obj("points/1", &b), -1);
		assert_true(b.len < len);
	}
	/* at the end of a frame, and frames in another order */
	seal("points/1", 3 * OBJ_FRAME, &big);
	const size_t frame = OBJ_FRAME + SEAL_TAG;
	struct buf cut = big;

	for (size_t n = 0; n < 4; n++) {
		cut.len = OBJ_HEADER + n * frame;
		if (cut.len < big.len)
			assert_int_equal(open_obj("points/1", &cut), -1);
	}
	autofree uint8_t *first = mem_dup(big.p + OBJ_HEADER, frame);

	memmove(big.p + OBJ_HEADER, big.p + OBJ_HEADER + frame, frame);
	memcpy(big.p + OBJ_HEADER + frame, first, frame);
	assert_int_equal(open_obj("points/1", &big), -1);
}

/* ---- config ---------------------------------------------------------- */

static const struct repo_config config = {
	.repo = { { 1, 2, 3 } },
	.created = 42,
	.chunk_avg = 32u << 10,
	.data_pack_size = 32u << 20,
	.node_pack_size = 8u << 20,
};

static enum err_code config_code(const struct buf *b)
{
	struct repo_config got;
	struct err e = ERR_INIT;

	return config_decode(b, &got, &e) == 0 ? ERR_NONE : e.code;
}

static void resum(struct buf *b)
{
	struct hash sum;

	hash_sha256(b->p, b->len - HASH_SIZE, &sum);
	memcpy(b->p + b->len - HASH_SIZE, sum.b, HASH_SIZE);
}

static void test_config(void **state)
{
	AUTO(store_close_at) struct store *s = store_mem_new();
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(buf_fini) struct buf loaded = BUF_INIT;
	struct repo_config got;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(config_load(s, &got, &loaded, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(config_put(s, keys, &config, &e), 0);
	assert_int_equal(config_put(s, keys, &config, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(config_load(s, &got, &loaded, &e), 0);
	assert_memory_equal(&got.repo, &config.repo, ID_SIZE);
	assert_int_equal(got.created, config.created);
	assert_int_equal(got.chunk_avg, config.chunk_avg);
	assert_int_equal(got.data_pack_size, config.data_pack_size);
	assert_int_equal(got.node_pack_size, config.node_pack_size);
	assert_int_equal(config_check(&loaded, keys, &e), 0);
	kit_load(s, "config", &b);
	for (size_t at = 0; at < b.len; at++) {
		b.p[at] ^= 8;
		assert_int_equal(config_code(&b), ERR_INTEGRITY);
		b.p[at] ^= 8;
	}
	/* changed by somebody who knows the format, but not the keys */
	b.p[ID_SIZE + 12] ^= 1;
	resum(&b);
	assert_int_equal(config_code(&b), ERR_NONE);
	assert_int_equal(config_check(&b, keys, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
}

static void test_config_of_others(void **state)
{
	AUTO(store_close_at) struct store *s = store_mem_new();
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct repo_config c = config;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(config_put(s, keys, &config, &e), 0);
	kit_load(s, "config", &b);
	b.p[8] = FORMAT_VERSION + 1;
	assert_int_equal(config_code(&b), ERR_INTEGRITY);
	resum(&b);
	assert_int_equal(config_code(&b), ERR_REFUSED);
	wr_zero(&b, 100); /* newer ones may be longer */
	assert_int_equal(config_code(&b), ERR_REFUSED);
	b.p[0] = 'X';
	assert_int_equal(config_code(&b), ERR_NOT_FOUND);
	b.len = 3;
	assert_int_equal(config_code(&b), ERR_NOT_FOUND);
	b.len = 0;
	assert_int_equal(config_code(&b), ERR_NOT_FOUND);

	/* features that must be known */
	assert_int_equal(store_del(s, "config", &e), 0);
	c.may_read = 1;
	assert_int_equal(config_put(s, keys, &c, &e), 0);
	b.len = 0;
	kit_load(s, "config", &b);
	assert_int_equal(config_code(&b), ERR_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_damaged_slot),
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_key_file_modes),
		cmocka_unit_test(test_bundles),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_signature_bytes),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_damaged_object),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_of_others),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
