/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/access.h"
#include "repo/issued.h"
#include "repo/obj.h"
#include "repo_kit.h"

/* Keys given out and taken back, while others work and things fail. */

static struct kit kit;
static const struct fake image = { .size = 5 * PAGE_SIZE_BYTES, .seed = 9 };
static char new_file[96];

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	snprintf(new_file, sizeof(new_file), "%s/new", kit.dir);
	return keys_init(&e);
}

static int teardown(void **state)
{
	(void)state;
	kit_fini(&kit);
	return 0;
}

static struct repo *try_open(struct store *s, const char *key_file,
			     const char *passphrase, struct err *e)
{
	const struct repo_open o = { .unlock = { .key_file = key_file,
						 .passphrase = passphrase },
				     .zip_level = 1 };

	return repo_open(store_mem_share(s), &o, e);
}

static struct repo *must_open(struct store *s, const char *key_file,
			      const char *passphrase)
{
	struct err e = ERR_INIT;
	struct repo *r = try_open(s, key_file, passphrase, &e);

	if (r == NULL)
		fail_msg("%s", e.msg);
	return r;
}

/* A repository as `init` makes it: a key file, and perhaps a passphrase, which
 * costs time wherever it is used. */
static struct store *made(const char *passphrase)
{
	struct store *s = store_mem_new();
	const struct repo_create c = { .unlock = { .passphrase = passphrase,
						   .key_file = kit.key_file } };
	struct err e = ERR_INIT;

	unlink(kit.key_file);
	unlink(new_file);
	assert_int_equal(repo_create(s, &c, &e), 0);
	return s;
}

/* A key of the role in the new file; its id. */
static struct id add_file(struct repo *owner, enum role role)
{
	const struct access_new new = { .role = role, .key_file = new_file };
	struct access_sealing sealing;
	struct err e = ERR_INIT;
	struct id id;

	unlink(new_file);
	if (access_add(owner, &new, &id, &sealing, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(sealing.failed, 0);
	return id;
}

static void remove_key(struct repo *owner, const struct id *id, uint64_t *late)
{
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };
	struct err e = ERR_INIT;
	char hex[ID_TEXT];

	hex_encode(id->b, ID_SIZE, hex);
	assert_int_equal(access_list(owner, &l, &e), 0);
	const struct access_key *key = access_find(&l, hex, &e);

	assert_non_null(key);
	if (access_remove(owner, key, late, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Points that can be read whole with this key; -1: refused. */
static int readable(struct store *s, const char *key_file,
		    const char *passphrase)
{
	struct repo *r = must_open(s, key_file, passphrase);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;
	int n = 0;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.damaged_count, 0);
	for (size_t i = 0; i < c.count; i++)
		n += kit_compare(r, &c.sets[i],
				 &c.sets[i].points[0].images[0].root, &image,
				 &e) == 0;
	repo_close(r);
	return n;
}

/* Other data each time: a session without new data needs no data key. */
static void back_up_other(struct repo *r, unsigned seed)
{
	const struct fake other = { .size = image.size, .seed = 100 + seed };

	kit_backup_one(r, &other, NULL);
}

static size_t point_count(struct store *s)
{
	struct repo *r = must_open(s, kit.key_file, NULL);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.damaged_count, 0);
	size_t n = c.count;

	repo_close(r);
	return n;
}

/* ---- listing --------------------------------------------------------- */

static void test_list(void **state)
{
	AUTO(store_close_at) struct store *s = made(NULL);
	struct repo *r = must_open(s, kit.key_file, NULL);
	const struct access_new new = { .role = ROLE_WRITER,
					.passphrase = "w",
					.label = "host a" };
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct access_sealing sealing;
	struct err e = ERR_INIT;
	struct id id;

	(void)state;
	assert_int_equal(access_add(r, &new, &id, &sealing, &e), 0);
	assert_int_equal(access_list(r, &l, &e), 0);
	assert_int_equal(l.count, 2);
	assert_true(l.keys[0].own && l.keys[0].box && !l.keys[1].box);
	assert_true(l.keys[0].file && !l.keys[1].file);
	assert_int_equal(l.keys[0].role, ROLE_OWNER);
	assert_int_equal(l.keys[1].role, ROLE_WRITER);
	assert_int_equal(l.keys[1].slots, 1);
	assert_string_equal(l.keys[1].label, "host a");
	assert_true(l.keys[1].time_ns >= l.keys[0].time_ns);
	assert_null(access_find(&l, "abc", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	access_list_fini(&l);
	/* a damaged slot and a damaged record are named; the rest is shown */
	wr_string(&b, "garbage");
	kit_store(s, "keys/00112233445566778899aabbccddeeff", &b);
	kit_store(s, "void/00112233445566778899aabbccddeeff", &b);
	assert_int_equal(access_list(r, &l, &e), 0);
	assert_int_equal(l.count, 2);
	assert_int_equal(l.damaged_count, 2);
	/* a key whose record is lost is still one */
	AUTO(kit_names_fini) struct kit_names n;

	kit_list(s, "issued/", &n);
	for (size_t i = 0; i < n.count; i++)
		assert_int_equal(store_del(s, n.names[i], &e), 0);
	access_list_fini(&l);
	assert_int_equal(access_list(r, &l, &e), 0);
	assert_int_equal(l.count, 2);
	repo_close(r);
}

/* ---- the ring -------------------------------------------------------- */

/* Old points get readable for a new restorer; those of a writer that was under
 * way do so when sealing is repeated. */
static void test_restorer(void **state)
{
	AUTO(store_close_at) struct store *s = made(NULL);
	struct repo *owner = must_open(s, kit.key_file, NULL);
	struct repo *writer;
	struct access_sealing sealing;
	struct err e = ERR_INIT;
	char second[100];

	(void)state;
	kit_backup_one(owner, &image, NULL);
	add_file(owner, ROLE_WRITER);
	snprintf(second, sizeof(second), "%s-w", new_file);
	assert_int_equal(rename(new_file, second), 0);
	writer = must_open(s, second, NULL);
	add_file(owner, ROLE_RESTORER);
	assert_int_equal(readable(s, new_file, NULL), 1);
	/* it does not know of the restorer yet; another image, other data */
	const struct fake more = { .size = 2 * image.size, .seed = 10 };

	kit_backup_one(writer, &more, NULL);
	repo_close(writer);
	struct repo *r = must_open(s, new_file, NULL);
	AUTO(catalog_fini) struct catalog c;
	struct image_root *root;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.count, 2);
	/* their points are of the same time */
	size_t at = c.sets[1].points[0].images[0].root.size == more.size;

	root = &c.sets[at].points[0].images[0].root;
	assert_int_equal(kit_compare(r, &c.sets[at], root, &more, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "key recipient seal"));
	repo_close(r);
	for (uint64_t want = 1; want + 1 > 0; want--) {
		assert_int_equal(access_seal(owner, &sealing, &e), 0);
		assert_int_equal(sealing.keys, 2);
		assert_int_equal(sealing.sealed, want);
		assert_int_equal(sealing.failed, 0);
		if (want == 0)
			break;
	}
	r = must_open(s, new_file, NULL);
	err_clear(&e);
	if (kit_compare(r, &c.sets[at], root, &more, &e) < 0)
		fail_msg("%s", e.msg);
	/* and a restorer cannot do that itself */
	assert_int_equal(access_seal(r, &sealing, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	repo_close(r);
	unlink(second);
	repo_close(owner);
}

/* One data key that is damaged must not keep the others from being sealed. */
static void test_damaged_ring(void **state)
{
	AUTO(store_close_at) struct store *s = made(NULL);
	struct repo *owner = must_open(s, kit.key_file, NULL);
	AUTO(kit_names_fini) struct kit_names ring;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct access_sealing sealing;
	struct err e = ERR_INIT;
	struct id id, session;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		back_up_other(owner, i);
	repo_close(owner);
	kit_list(s, "ring/", &ring);
	assert_int_equal(ring.count, 3);
	kit_load(s, ring.names[1], &b);
	b.p[60] ^= 1;
	kit_store(s, ring.names[1], &b);
	owner = must_open(s, kit.key_file, NULL);
	uint8_t public_key[BOX_PUBLIC], secret[BOX_SECRET];

	box_keypair(public_key, secret);
	assert_int_equal(access_recipient(owner, public_key, NULL, &id, &e), 1);
	assert_int_equal(access_recipient(owner, public_key, NULL, &id, &e), 0);
	assert_int_equal(access_seal(owner, &sealing, &e), 0);
	assert_int_equal(sealing.keys, 3);
	assert_int_equal(sealing.sealed, 2);
	assert_int_equal(sealing.failed, 1);
	assert_int_equal(sealing.why.code, ERR_INTEGRITY);
	kit_names_fini(&ring);
	kit_list(s, "ring/", &ring);
	assert_int_equal(ring.count, 5);
	/* the added one, too, says of what session it is */
	assert_int_equal(data_key_session(owner, ring.names[ring.count - 1],
					  &id, &session, &e),
			 0);
	assert_int_equal(data_key_session(owner, "ring/1", &id, &session, &e),
			 -1);
	repo_close(owner);
}

/* ---- removing -------------------------------------------------------- */

/* What a writer has made stays; what it makes with a stolen key does not
 * count, also where a program asks for nothing. */
static void test_removed_writer(void **state)
{
	AUTO(store_close_at) struct store *s = made(NULL);
	struct repo *owner = must_open(s, kit.key_file, NULL);
	struct id id = add_file(owner, ROLE_WRITER);
	struct repo *writer = must_open(s, new_file, NULL);
	struct kit_backup late_one = { .images = &image, .count = 1 };
	struct err e = ERR_INIT;
	uint64_t late;

	(void)state;
	kit_backup_one(writer, &image, NULL);
	assert_int_equal(point_count(s), 1);
	remove_key(owner, &id, &late);
	assert_int_equal(late, 0);
	assert_null(try_open(s, new_file, NULL, &e));
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "was removed"));
	/* the one that is open goes on, and is told at the end */
	assert_int_equal(kit_backup(writer, &late_one, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "does not count"));
	assert_int_equal(kit_count(s, "points/"), 2);
	assert_int_equal(point_count(s), 1);
	/* removing again tells of it */
	remove_key(owner, &id, &late);
	assert_int_equal(late, 1);
	assert_int_equal(point_count(s), 1);
	assert_int_equal(readable(s, kit.key_file, NULL), 1);
	repo_close(writer);
	repo_close(owner);
}

/* A removed restorer gets no new data keys, and keeps what it could read. */
static void test_removed_restorer(void **state)
{
	AUTO(store_close_at) struct store *s = made(NULL);
	struct repo *owner = must_open(s, kit.key_file, NULL);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(kit_names_fini) struct kit_names ring;
	struct err e = ERR_INIT;
	uint64_t late;

	(void)state;
	struct id id = add_file(owner, ROLE_RESTORER);
	uint8_t public_key[BOX_PUBLIC];

	memcpy(public_key, issued_find(owner->issued, &id)->box_public,
	       BOX_PUBLIC);
	kit_backup_one(owner, &image, NULL);
	assert_int_equal(readable(s, new_file, NULL), 1);
	remove_key(owner, &id, &late);
	kit_list(s, "ring/", &ring);
	back_up_other(owner, 1);
	AUTO(kit_names_fini) struct kit_names now;

	kit_list(s, "ring/", &now);
	assert_int_equal(ring.count, 1);
	assert_int_equal(now.count, 2);
	for (size_t i = 0; i < 2; i++) {
		bool old = strcmp(now.names[i], ring.names[0]) == 0;

		b.len = 0;
		assert_int_equal(obj_load(s, owner->keys, now.names[i],
					  SIGN_WRITE, OBJECT_MAX_SMALL, &b, &e),
				 0);
		assert_int_equal(memmem(b.p, b.len, public_key, BOX_PUBLIC) !=
					 NULL,
				 old);
	}
	assert_int_equal(access_recipient(owner, public_key, NULL, &id, &e),
			 -1);
	assert_int_equal(e.code, ERR_REFUSED);
	repo_close(owner);
}

static void test_last_owner(void **state)
{
	AUTO(store_close_at) struct store *s = made(NULL);
	struct repo *owner = must_open(s, kit.key_file, NULL);
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };
	struct err e = ERR_INIT;
	uint64_t late;

	(void)state;
	add_file(owner, ROLE_WRITER);
	add_file(owner, ROLE_RESTORER);
	assert_int_equal(access_list(owner, &l, &e), 0);
	assert_int_equal(access_remove(owner, &l.keys[0], &late, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "last owner"));
	assert_int_equal(kit_count(s, "void/"), 0);
	/* with another it goes, and the other cannot go then */
	const struct access_new new = { .role = ROLE_OWNER,
					.passphrase = "two" };
	struct access_sealing sealing;
	struct id id;

	assert_int_equal(access_add(owner, &new, &id, &sealing, &e), 0);
	remove_key(owner, &l.keys[0].id, &late);
	repo_close(owner);
	assert_null(try_open(s, kit.key_file, NULL, &e));
	owner = must_open(s, NULL, "two");
	access_list_fini(&l);
	assert_int_equal(access_list(owner, &l, &e), 0);
	for (size_t i = 0; i < l.count; i++)
		if (l.keys[i].own)
			assert_int_equal(
				access_remove(owner, &l.keys[i], &late, &e),
				-1);
	kit_backup_one(owner, &image, NULL);
	assert_int_equal(readable(s, NULL, "two"), 1);
	repo_close(owner);
}

/* ---- failing at every call ------------------------------------------- */

/* One verb on a store that dies at call n: 1 done, 0 it failed. */
typedef int verb(struct repo *owner, struct err *e);

static int dying(struct store *s, uint64_t n, verb *run)
{
	const struct store_fault_plan plan = { .fail_at = n,
					       .kind = FAULT_DEAD };
	const struct repo_open o = { .unlock = { .key_file = kit.key_file },
				     .zip_level = 1 };
	struct err e = ERR_INIT;
	struct repo *r =
		repo_open(store_fault_new(store_mem_share(s), &plan), &o, &e);
	int ok = r != NULL && run(r, &e) == 0;

	repo_close(r);
	return ok;
}

static int change_passphrase(struct repo *owner, struct err *e)
{
	return access_passphrase(owner, "new", e);
}

static void test_passphrase_dies(void **state)
{
	(void)state;
	for (uint64_t n = 1, done = 0; !done; n++) {
		AUTO(store_close_at) struct store *s = made("owner");
		struct err e = ERR_INIT;

		done = (uint64_t)dying(s, n, change_passphrase);
		struct repo *old = try_open(s, NULL, "owner", &e);
		struct repo *new = try_open(s, NULL, "new", &e);

		assert_true(old != NULL || new != NULL);
		if (done)
			assert_true(old == NULL && new != NULL);
		/* again, with whatever opens it: then only the new one does */
		if (!done) {
			assert_int_equal(
				access_passphrase(old != NULL ? old : new,
						  "new", &e),
				0);
			assert_int_equal(kit_count(s, "keys/"), 1);
		}
		repo_close(old);
		repo_close(new);
		assert_true(n < 100);
	}
}

static int add_restorer(struct repo *owner, struct err *e)
{
	const struct access_new new = { .role = ROLE_RESTORER,
					.key_file = new_file };
	struct access_sealing sealing;
	struct id id;

	unlink(new_file);
	if (access_add(owner, &new, &id, &sealing, e) < 0)
		return -1;
	return sealing.failed == 0 ? 0 : -1;
}

/* Killed anywhere, the next try works, and the owner still has all. */
static void test_add_dies(void **state)
{
	(void)state;
	for (uint64_t n = 1, done = 0; !done; n++) {
		AUTO(store_close_at) struct store *s = made(NULL);
		struct repo *owner = must_open(s, kit.key_file, NULL);
		struct access_sealing sealing;
		struct err e = ERR_INIT;

		kit_backup_one(owner, &image, NULL);
		kit_backup_one(owner, &image, NULL);
		done = (uint64_t)dying(s, n, add_restorer);
		assert_int_equal(readable(s, kit.key_file, NULL), 2);
		if (!done)
			/* the key file may be there: sealing is enough then */
			assert_int_equal(access_seal(owner, &sealing, &e), 0);
		if (access(new_file, F_OK) == 0)
			assert_int_equal(readable(s, new_file, NULL), 2);
		else
			assert_int_equal(add_restorer(owner, &e), 0);
		assert_int_equal(readable(s, new_file, NULL), 2);
		repo_close(owner);
		unlink(new_file);
		assert_true(n < 200);
	}
}

static struct id victim;

static int remove_victim(struct repo *owner, struct err *e)
{
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };
	uint64_t late;

	if (access_list(owner, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.count; i++)
		if (memcmp(&l.keys[i].id, &victim, ID_SIZE) == 0)
			return access_remove(owner, &l.keys[i], &late, e);
	return -1;
}

static void test_remove_dies(void **state)
{
	(void)state;
	for (uint64_t n = 1, done = 0; !done; n++) {
		AUTO(store_close_at) struct store *s = made(NULL);
		struct repo *owner = must_open(s, kit.key_file, NULL);
		const struct access_new new = { .role = ROLE_WRITER,
						.passphrase = "writer" };
		struct access_sealing sealing;
		struct err e = ERR_INIT;

		assert_int_equal(access_add(owner, &new, &victim, &sealing, &e),
				 0);
		kit_backup_one(owner, &image, NULL);
		done = (uint64_t)dying(s, n, remove_victim);
		assert_int_equal(remove_victim(owner, &e), 0);
		assert_int_equal(kit_count(s, "keys/"), 0);
		assert_int_equal(kit_count(s, "void/"), 1);
		assert_int_equal(readable(s, kit.key_file, NULL), 1);
		repo_close(owner);
		assert_true(n < 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_restorer),
		cmocka_unit_test(test_damaged_ring),
		cmocka_unit_test(test_removed_writer),
		cmocka_unit_test(test_removed_restorer),
		cmocka_unit_test(test_last_owner),
		cmocka_unit_test(test_passphrase_dies),
		cmocka_unit_test(test_add_dies),
		cmocka_unit_test(test_remove_dies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
