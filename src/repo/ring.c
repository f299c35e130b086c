/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/internal.h"
#include "repo/issued.h"
#include "repo/obj.h"

/*
 * ring/<id>: version u16, key id, session id, recipients u8, each {public
 * key, sealed box}.  One data key per session: a session cannot open the keys
 * of earlier ones when it is a writer's.
 *
 * ring/<id>-<key id of a recipient>: the same, sealed by an owner to one who
 * became a recipient later.  Objects are never changed, so it is one more.
 */
#define RING_NAME 80
#define BOX_SIZE  (32 + BOX_OVERHEAD)

#define RING_VERSION 1

struct data_key {
	struct id id;
	uint8_t *key; /* 32 bytes of secret memory */
	struct data_key *next;
};

struct data_keys {
	pthread_mutex_t lock; /* the list */
	struct data_key *first;
};

struct data_keys *data_keys_new(void)
{
	struct data_keys *d = mem_zalloc(1, sizeof(*d));

	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void data_keys_free(struct data_keys *d)
{
	if (d == NULL)
		return;
	while (d->first != NULL) {
		struct data_key *k = d->first;

		d->first = k->next;
		keys_secret_free(k->key);
		free(k);
	}
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static const uint8_t *find(struct data_keys *d, const struct id *id)
{
	const uint8_t *key = NULL;

	pthread_mutex_lock(&d->lock);
	for (struct data_key *k = d->first; k != NULL; k = k->next)
		if (memcmp(k->id.b, id->b, ID_SIZE) == 0)
			key = k->key;
	pthread_mutex_unlock(&d->lock);
	return key;
}

/* Takes the key. */
static const uint8_t *keep(struct data_keys *d, const struct id *id,
			   uint8_t *key)
{
	struct data_key *k = mem_zalloc(1, sizeof(*k));

	k->id = *id;
	k->key = key;
	pthread_mutex_lock(&d->lock);
	k->next = d->first;
	d->first = k;
	pthread_mutex_unlock(&d->lock);
	return key;
}

static void ring_name(const struct id *id, const struct id *to,
		      char out[RING_NAME])
{
	char hex[ID_TEXT];
	char rest[ID_TEXT];

	hex_encode(id->b, ID_SIZE, hex);
	if (to == NULL) {
		snprintf(out, RING_NAME, "ring/%s", hex);
		return;
	}
	hex_encode(to->b, ID_SIZE, rest);
	snprintf(out, RING_NAME, "ring/%s-%s", hex, rest);
}

/* The key id in a name; false where it is another kind of name. */
static bool ring_parse(const char *name, struct id *id, bool *more)
{
	char hex[ID_TEXT];
	size_t n = strlen(name);

	*more = n == 5 + 32 + 1 + 32 && name[5 + 32] == '-';
	if (!*more && n != 5 + 32)
		return false;
	memcpy(hex, name + 5, 32);
	hex[32] = '\0';
	return hex_decode(hex, id->b, ID_SIZE);
}

/* ---- bytes ----------------------------------------------------------- */

/* What stands in a ring object; the boxes are in its bytes. */
struct ring_body {
	struct id session;
	unsigned recipients;
	const uint8_t *boxes; /* recipients * (BOX_PUBLIC + BOX_SIZE) */
};

static int ring_decode(const struct buf *b, const struct id *id,
		       struct ring_body *body, struct err *e)
{
	struct reader rd = reader_of(b->p, b->len);
	uint16_t version = rd_u16(&rd);
	struct id got;

	rd_copy(&rd, got.b, ID_SIZE);
	rd_copy(&rd, body->session.b, ID_SIZE);
	body->recipients = rd_u8(&rd);
	body->boxes = rd_view(&rd, (size_t)body->recipients *
					   (BOX_PUBLIC + BOX_SIZE));
	if (version != RING_VERSION || memcmp(got.b, id->b, ID_SIZE) != 0 ||
	    !rd_complete(&rd))
		return err_set(e, ERR_INTEGRITY, "not this data key");
	return 0;
}

/* The box for this public key, or NULL. */
static const uint8_t *ring_box(const struct ring_body *body,
			       const uint8_t to[BOX_PUBLIC])
{
	for (unsigned i = 0; i < body->recipients; i++) {
		const uint8_t *p =
			body->boxes + (size_t)i * (BOX_PUBLIC + BOX_SIZE);

		if (memcmp(p, to, BOX_PUBLIC) == 0)
			return p + BOX_PUBLIC;
	}
	return NULL;
}

static void ring_head(struct buf *b, const struct id *id,
		      const struct id *session, size_t recipients)
{
	wr_u16(b, RING_VERSION);
	wr_bytes(b, id->b, ID_SIZE);
	wr_bytes(b, session->b, ID_SIZE);
	wr_u8(b, (uint8_t)recipients);
}

static int ring_add(struct buf *b, const uint8_t to[BOX_PUBLIC],
		    const uint8_t key[32], struct err *e)
{
	uint8_t box[BOX_SIZE];

	if (box_seal(to, key, 32, box, e) < 0)
		return -1;
	wr_bytes(b, to, BOX_PUBLIC);
	wr_bytes(b, box, sizeof(box));
	return 0;
}

static int ring_load(struct repo *r, const char *name, const struct id *id,
		     unsigned uses, struct buf *b, struct ring_body *body,
		     struct err *e)
{
	if (obj_load(r->store, r->keys, name, uses, OBJECT_MAX_SMALL, b, e) < 0)
		return -1;
	return ring_decode(b, id, body, e);
}

/* ---- opening --------------------------------------------------------- */

/* Sealed to us later?  Those are an owner's word only. */
static int open_more(struct repo *r, const struct id *id, uint8_t *key,
		     struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	const struct keyring *k = r->keys;
	const uint8_t *box = NULL;
	struct ring_body body;
	char name[RING_NAME];

	ring_name(id, &k->cert.signer, name);
	if (ring_load(r, name, id, SIGN_OWN, &b, &body, e) == 0)
		box = ring_box(&body, k->box_public);
	else if (e->code != ERR_NOT_FOUND)
		return -1;
	if (box != NULL) {
		err_clear(e);
		return box_open(k->box_public, k->box_secret, box, BOX_SIZE,
				key, e);
	}
	return err_set(e, ERR_REFUSED,
		       "not sealed to this key yet: let an owner run "
		       "'vmkeep key recipient seal'");
}

static int open_key(struct repo *r, const struct id *id, uint8_t *key,
		    struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	const struct keyring *k = r->keys;
	struct ring_body body;
	char name[RING_NAME];

	ring_name(id, NULL, name);
	if (ring_load(r, name, id, SIGN_WRITE, &b, &body, e) < 0)
		return -1;
	const uint8_t *box = ring_box(&body, k->box_public);

	return box == NULL ? open_more(r, id, key, e)
			   : box_open(k->box_public, k->box_secret, box,
				      BOX_SIZE, key, e);
}

int data_key_get(struct repo *r, const struct id *id, const uint8_t **key,
		 struct err *e)
{
	char hex[ID_TEXT];

	*key = find(r->ring, id);
	if (*key != NULL)
		return 0;
	if (keyring_need(r->keys, NEED_READ, e) < 0)
		return -1;
	AUTO(keys_secret_free_at) uint8_t *fresh = keys_secret_alloc(32, e);

	hex_encode(id->b, ID_SIZE, hex);
	if (fresh == NULL || open_key(r, id, fresh, e) < 0)
		return err_ctx(e, "data key 'ring/%s'", hex);
	*key = keep(r->ring, id, mem_take(&fresh));
	return 0;
}

/* ---- making ---------------------------------------------------------- */

static bool is_removed_box(const struct issued *i,
			   const uint8_t box[BOX_PUBLIC])
{
	for (size_t n = 0; i != NULL && n < i->count; n++)
		if (i->keys[n].box && i->keys[n].removed &&
		    memcmp(i->keys[n].box_public, box, BOX_PUBLIC) == 0)
			return true;
	return false;
}

/*
 * Whom new data keys are sealed to: all recipients that were not removed, and
 * the one in our own bundle, should a list be hidden from us.  At most as many
 * as fit; each once.
 */
static size_t recipients(const struct repo *r, const uint8_t *out[255])
{
	const struct issued *i = r->issued;
	size_t n = 0;

	if (!is_removed_box(i, r->keys->box_public))
		out[n++] = r->keys->box_public;
	for (size_t k = 0; i != NULL && k < i->count && n < 255; k++) {
		const struct issued_key *key = &i->keys[k];
		bool there = !key->box || key->removed;

		for (size_t at = 0; at < n; at++)
			there |= memcmp(out[at], key->box_public, BOX_PUBLIC) ==
				 0;
		if (!there)
			out[n++] = key->box_public;
	}
	return n;
}

static int seal_to_all(const struct repo *r, const struct id *id,
		       const struct id *session, const uint8_t key[32],
		       struct buf *b, struct err *e)
{
	const uint8_t *to[255];
	size_t n = recipients(r, to);

	if (n == 0)
		return err_set(e, ERR_REFUSED,
			       "every key that could read it has been removed: "
			       "add one with 'vmkeep key add'");
	ring_head(b, id, session, n);
	for (size_t i = 0; i < n; i++)
		if (ring_add(b, to[i], key, e) < 0)
			return -1;
	return 0;
}

int data_key_new(struct repo *r, const struct id *session, struct id *id,
		 const uint8_t **key, struct err *e)
{
	AUTO(keys_secret_free_at) uint8_t *fresh = keys_secret_alloc(32, e);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[RING_NAME];

	if (fresh == NULL)
		return -1;
	keys_random(fresh, 32);
	keys_random(id->b, ID_SIZE);
	ring_name(id, NULL, name);
	if (seal_to_all(r, id, session, fresh, &b, e) < 0 ||
	    obj_put_new(r->store, r->keys, name, &b, e) < 0)
		return err_ctx(e, "cannot store data key '%s'", name);
	*key = keep(r->ring, id, mem_take(&fresh));
	return 0;
}

/* ---- whose it is, and for whom ---------------------------------------- */

int data_key_session(struct repo *r, const char *name, struct id *id,
		     struct id *session, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct ring_body body;
	bool more;

	if (!ring_parse(name, id, &more))
		return err_set(e, ERR_INTEGRITY,
			       "object '%s': no name of a data key", name);
	if (ring_load(r, name, id, more ? SIGN_OWN : SIGN_WRITE, &b, &body, e) <
	    0)
		return -1;
	*session = body.session;
	return 0;
}

/* Names of ring objects. */
struct ring_names {
	char (*names)[RING_NAME];
	size_t count;
};

static void ring_names_fini(struct ring_names *n)
{
	free(n->names);
}

static int ring_see(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	struct ring_names *n = ctx;
	struct id id;
	bool more;

	(void)st;
	(void)e;
	if (!ring_parse(name, &id, &more))
		return 0;
	n->names = mem_grow(n->names, n->count + 1, sizeof(*n->names));
	snprintf(n->names[n->count++], RING_NAME, "%s", name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool ring_has(const struct ring_names *n, const char *name)
{
	char want[RING_NAME];

	snprintf(want, sizeof(want), "%s", name);
	return n->count > 0 && bsearch(want, n->names, n->count,
				       sizeof(*n->names), by_name) != NULL;
}

static int seal_one_more(struct repo *r, const struct id *id,
			 const struct id *session, const struct issued_key *to,
			 struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[RING_NAME];
	const uint8_t *key;

	if (data_key_get(r, id, &key, e) < 0)
		return -1;
	ring_head(&b, id, session, 1);
	ring_name(id, &to->id, name);
	if (ring_add(&b, to->box_public, key, e) < 0)
		return -1;
	/* another owner may be at it, too */
	if (obj_put_new(r->store, r->keys, name, &b, e) == 0)
		return 0;
	if (e->code != ERR_EXISTS)
		return -1;
	err_clear(e);
	return 0;
}

/* One data key to all that it is not sealed to yet. */
static int seal_missing(struct repo *r, const char *name,
			const struct ring_names *all, uint64_t *sealed,
			struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct ring_body body;
	char other[RING_NAME];
	struct id id;
	bool more;

	if (!ring_parse(name, &id, &more) || more)
		return 0;
	if (ring_load(r, name, &id, SIGN_WRITE, &b, &body, e) < 0)
		/* collected since we have listed it */
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	for (size_t i = 0; i < r->issued->count; i++) {
		const struct issued_key *to = &r->issued->keys[i];

		ring_name(&id, &to->id, other);
		if (!to->box || to->removed || ring_has(all, other) ||
		    ring_box(&body, to->box_public) != NULL)
			continue;
		if (seal_one_more(r, &id, &body.session, to, e) < 0)
			return -1;
		++*sealed;
	}
	return 0;
}

int data_keys_seal(struct repo *r, struct access_sealing *s, struct err *e)
{
	AUTO(ring_names_fini) struct ring_names all = { .count = 0 };

	*s = (struct access_sealing){ .keys = 0 };
	if (repo_need(r, NEED_OWN, e) < 0 ||
	    store_list(r->store, "ring/", ring_see, &all, e) < 0)
		return -1;
	if (all.count > 0)
		qsort(all.names, all.count, sizeof(*all.names), by_name);
	for (size_t i = 0; i < all.count; i++) {
		struct err why = ERR_INIT;

		s->keys += strchr(all.names[i], '-') == NULL;
		/* one that is damaged must not keep the others from it */
		if (seal_missing(r, all.names[i], &all, &s->sealed, &why) ==
			    0 ||
		    why.code == ERR_NOT_FOUND)
			continue;
		if (s->failed++ == 0)
			s->why = why;
	}
	return 0;
}
