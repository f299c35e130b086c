/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/issued.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/obj.h"

#define ISSUED_VERSION 1
#define ISSUED_NAME    48
#define STAND_MAX      200

enum { ISSUED_FILE = 1, ISSUED_BOX = 2 };

void issued_key_fini(struct issued_key *key)
{
	for (size_t i = 0; i < key->stand_count; i++)
		free(key->stands[i]);
	free(key->stands);
	free(key->label);
	*key = (struct issued_key){ .label = NULL };
}

/* ---- bytes ---------------------------------------------------------- */

void issued_encode(const struct issued_key *key, struct buf *out)
{
	wr_u16(out, ISSUED_VERSION);
	wr_bytes(out, key->id.b, ID_SIZE);
	wr_u8(out, key->role);
	wr_u8(out, (uint8_t)((key->file ? ISSUED_FILE : 0) |
			     (key->box ? ISSUED_BOX : 0)));
	wr_u64(out, (uint64_t)key->time_ns);
	wr_bytes(out, key->box_public, BOX_PUBLIC);
	wr_string(out, key->label != NULL ? key->label : "");
}

/* What was read, where it is good; else it is freed. */
static int give(bool ok, struct issued_key *from, struct issued_key *to,
		struct err *e)
{
	if (!ok) {
		issued_key_fini(from);
		return err_set(e, ERR_INTEGRITY,
			       "not the record of a key or its removal");
	}
	*to = *from;
	return 0;
}

int issued_decode(const void *data, size_t size, struct issued_key *key,
		  struct err *e)
{
	struct issued_key k = { .label = NULL };
	struct reader r = reader_of(data, size);
	uint16_t version = rd_u16(&r);

	rd_copy(&r, k.id.b, ID_SIZE);
	k.role = rd_u8(&r);
	uint8_t flags = rd_u8(&r);

	k.file = flags & ISSUED_FILE;
	k.box = flags & ISSUED_BOX;
	k.time_ns = (int64_t)rd_u64(&r);
	rd_copy(&r, k.box_public, BOX_PUBLIC);
	k.label = rd_string(&r, LABEL_MAX);
	bool ok = version == ISSUED_VERSION && k.role <= ROLE_RESTORER &&
		  flags <= (ISSUED_FILE | ISSUED_BOX) && rd_complete(&r) &&
		  (k.box ||
		   (k.role != 0 && bytes_zero(k.box_public, BOX_PUBLIC)));

	return give(ok, &k, key, e);
}

void issued_encode_void(const struct issued_key *key, struct buf *out)
{
	wr_u16(out, ISSUED_VERSION);
	wr_bytes(out, key->id.b, ID_SIZE);
	wr_u64(out, (uint64_t)key->removed_ns);
	wr_u32(out, (uint32_t)key->stand_count);
	for (size_t i = 0; i < key->stand_count; i++)
		wr_string(out, key->stands[i]);
}

int issued_decode_void(const void *data, size_t size, struct issued_key *key,
		       struct err *e)
{
	struct issued_key k = { .removed = true };
	struct reader r = reader_of(data, size);
	uint16_t version = rd_u16(&r);

	rd_copy(&r, k.id.b, ID_SIZE);
	k.removed_ns = (int64_t)rd_u64(&r);
	uint32_t n = rd_u32(&r);
	bool ok = version == ISSUED_VERSION && n <= r.left / 2;

	if (ok)
		k.stands = mem_zalloc(n, sizeof(*k.stands));
	for (; ok && k.stand_count < n; k.stand_count++) {
		char *name = rd_string(&r, STAND_MAX);
		size_t at = k.stand_count;

		k.stands[at] = name;
		ok = name != NULL &&
		     (at == 0 || strcmp(k.stands[at - 1], name) < 0);
	}
	return give(ok && rd_complete(&r), &k, key, e);
}

/* ---- storing -------------------------------------------------------- */

static void record_name(const char *folder, const struct id *id,
			char out[ISSUED_NAME])
{
	char hex[ID_TEXT];

	hex_encode(id->b, ID_SIZE, hex);
	snprintf(out, ISSUED_NAME, "%s/%s", folder, hex);
}

int issued_put(struct store *s, const struct keyring *owner,
	       const struct issued_key *key, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[ISSUED_NAME];

	if (key->label != NULL && strlen(key->label) > LABEL_MAX)
		return err_set(e, ERR_USAGE, "the label has more than %d bytes",
			       LABEL_MAX);
	issued_encode(key, &b);
	record_name("issued", &key->id, name);
	return obj_put_new(s, owner, name, &b, e);
}

int issued_put_void(struct store *s, const struct keyring *owner,
		    const struct issued_key *key, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[ISSUED_NAME];

	issued_encode_void(key, &b);
	if (b.len > OBJECT_MAX_POINT - (64u << 10))
		return err_set(e, ERR_FAILED,
			       "the key has made too many points to list them "
			       "in one object: forget some, and collect");
	record_name("void", &key->id, name);
	return obj_put_new(s, owner, name, &b, e);
}

/* ---- loading -------------------------------------------------------- */

struct issued_listing {
	struct store *store;
	const struct keyring *k;
	struct issued *to;
};

static void add_damaged(struct issued *i, const char *name)
{
	i->damaged =
		mem_grow(i->damaged, i->damaged_count + 1, sizeof(*i->damaged));
	i->damaged[i->damaged_count++] = mem_strdup(name);
}

static struct issued_key *find(const struct issued *i, const struct id *id)
{
	for (size_t n = 0; i != NULL && n < i->count; n++)
		if (memcmp(i->keys[n].id.b, id->b, ID_SIZE) == 0)
			return &i->keys[n];
	return NULL;
}

/* Takes the key. */
static void add_key(struct issued *i, struct issued_key *key)
{
	i->keys = mem_grow(i->keys, i->count + 1, sizeof(*i->keys));
	i->keys[i->count++] = *key;
	*key = (struct issued_key){ .label = NULL };
}

/* A removal belongs to the key's record; where that is lost it is all that is
 * known of the key. */
static void add_void(struct issued *i, struct issued_key *gone)
{
	struct issued_key *key = find(i, &gone->id);

	if (key == NULL) {
		gone->time_ns = gone->removed_ns;
		gone->label = mem_strdup("");
		add_key(i, gone);
		return;
	}
	key->removed = true;
	key->removed_ns = gone->removed_ns;
	key->stands = mem_take(&gone->stands);
	key->stand_count = gone->stand_count;
	gone->stand_count = 0;
}

static int load_record(struct issued_listing *l, const char *name, bool gone,
		       struct issued_key *key, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char own[ISSUED_NAME];
	int ok;

	if (obj_load(l->store, l->k, name, SIGN_OWN, OBJECT_MAX_POINT, &b, e) <
	    0)
		return -1;
	ok = gone ? issued_decode_void(b.p, b.len, key, e)
		  : issued_decode(b.p, b.len, key, e);
	if (ok < 0)
		return -1;
	record_name(gone ? "void" : "issued", &key->id, own);
	if (strcmp(own, name) == 0)
		return 0;
	return err_set(e, ERR_INTEGRITY, "the record of another key");
}

static int see_record(void *ctx, const char *name, const struct store_stat *st,
		      struct err *e)
{
	AUTO(issued_key_fini) struct issued_key key = { .label = NULL };
	struct issued_listing *l = ctx;
	bool gone = strncmp(name, "void/", 5) == 0;
	struct err why = ERR_INIT;

	(void)st;
	if (load_record(l, name, gone, &key, &why) < 0) {
		if (why.code != ERR_INTEGRITY) {
			*e = why;
			return -1;
		}
		add_damaged(l->to, name);
	} else if (gone) {
		add_void(l->to, &key);
	} else {
		add_key(l->to, &key);
	}
	return 0;
}

static int by_time(const void *va, const void *vb)
{
	const struct issued_key *a = va;
	const struct issued_key *b = vb;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return memcmp(a->id.b, b->id.b, ID_SIZE);
}

struct issued *issued_load(struct store *s, const struct keyring *k,
			   struct err *e)
{
	AUTO(issued_free_at) struct issued *i = mem_zalloc(1, sizeof(*i));
	struct issued_listing l = { s, k, i };

	if (store_list(s, "issued/", see_record, &l, e) < 0 ||
	    store_list(s, "void/", see_record, &l, e) < 0) {
		err_ctx(e, "cannot read which keys there are");
		return NULL;
	}
	if (i->count > 0)
		qsort(i->keys, i->count, sizeof(*i->keys), by_time);
	return mem_take(&i);
}

void issued_free(struct issued *i)
{
	if (i == NULL)
		return;
	for (size_t n = 0; n < i->count; n++)
		issued_key_fini(&i->keys[n]);
	for (size_t n = 0; n < i->damaged_count; n++)
		free(i->damaged[n]);
	free(i->keys);
	free(i->damaged);
	free(i);
}

void issued_free_at(struct issued **i)
{
	issued_free(*i);
}

/* ---- asking --------------------------------------------------------- */

const struct issued_key *issued_find(const struct issued *i,
				     const struct id *id)
{
	return find(i, id);
}

bool issued_removed(const struct issued *i, const struct id *signer)
{
	const struct issued_key *key = find(i, signer);

	return key != NULL && key->removed;
}

static int by_name(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

/* What commits, collects and forgets.  Sessions, segments and data keys mean
 * nothing without a commit. */
static bool decides(const char *name)
{
	return strncmp(name, "points/", 7) == 0 ||
	       strncmp(name, "gen/", 4) == 0 || strncmp(name, "tomb/", 5) == 0;
}

bool issued_refuses(const struct issued *i, const struct id *signer,
		    const char *name, struct err *e)
{
	const struct issued_key *key = find(i, signer);
	char hex[ID_TEXT];
	char when[CLOCK_TEXT];

	if (key == NULL || !key->removed || !decides(name))
		return false;
	if (key->stand_count > 0 &&
	    bsearch(name, key->stands, key->stand_count, sizeof(*key->stands),
		    by_name) != NULL)
		return false;
	hex_encode(signer->b, ID_SIZE, hex);
	clock_text(key->removed_ns, when);
	err_set(e, ERR_REFUSED,
		"signed after %s by key %.12s (%s), which was removed then: it "
		"does not count",
		when, hex, key->label);
	return true;
}
