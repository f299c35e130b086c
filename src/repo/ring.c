/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/internal.h"
#include "repo/obj.h"

/*
 * ring/<id>: version u16, key id, recipients u8, each {public key, sealed
 * box}.  One data key per session: a session cannot open the keys of earlier
 * ones when it is a writer's.
 */
#define RING_VERSION 1
#define RING_NAME    48

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

static void ring_name(const struct id *id, char out[RING_NAME])
{
	char hex[ID_TEXT];

	hex_encode(id->b, ID_SIZE, hex);
	snprintf(out, RING_NAME, "ring/%s", hex);
}

static int open_box(struct repo *r, const struct buf *b, const struct id *id,
		    uint8_t *key, struct err *e)
{
	struct reader rd = reader_of(b->p, b->len);
	uint16_t version = rd_u16(&rd);
	struct id got;

	rd_copy(&rd, got.b, ID_SIZE);
	unsigned n = rd_u8(&rd);

	if (version != RING_VERSION || memcmp(got.b, id->b, ID_SIZE) != 0)
		return err_set(e, ERR_INTEGRITY, "not this data key");
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *to = rd_view(&rd, BOX_PUBLIC);
		const uint8_t *box = rd_view(&rd, 32 + BOX_OVERHEAD);

		if (rd.bad)
			break;
		if (memcmp(to, r->keys->box_public, BOX_PUBLIC) == 0)
			return box_open(to, r->keys->box_secret, box,
					32 + BOX_OVERHEAD, key, e);
	}
	return err_set(e, ERR_REFUSED, "the data key is not sealed to us");
}

int data_key_get(struct repo *r, const struct id *id, const uint8_t **key,
		 struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[RING_NAME];

	*key = find(r->ring, id);
	if (*key != NULL)
		return 0;
	if (!r->keys->has_secret)
		return err_set(e, ERR_REFUSED,
			       "this key cannot read contents: use the "
			       "owner's or a restorer's");
	ring_name(id, name);
	AUTO(keys_secret_free_at) uint8_t *fresh = keys_secret_alloc(32, e);

	if (fresh == NULL ||
	    obj_load(r->store, r->keys, name, SIGN_WRITE, OBJECT_MAX_SMALL, &b,
		     e) < 0 ||
	    open_box(r, &b, id, fresh, e) < 0)
		return err_ctx(e, "data key '%s'", name);
	*key = keep(r->ring, id, mem_take(&fresh));
	return 0;
}

int data_key_new(struct repo *r, struct id *id, const uint8_t **key,
		 struct err *e)
{
	AUTO(keys_secret_free_at) uint8_t *fresh = keys_secret_alloc(32, e);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	uint8_t box[32 + BOX_OVERHEAD];
	char name[RING_NAME];

	if (fresh == NULL)
		return -1;
	keys_random(fresh, 32);
	keys_random(id->b, ID_SIZE);
	if (box_seal(r->keys->box_public, fresh, 32, box, e) < 0)
		return -1;
	wr_u16(&b, RING_VERSION);
	wr_bytes(&b, id->b, ID_SIZE);
	wr_u8(&b, 1);
	wr_bytes(&b, r->keys->box_public, BOX_PUBLIC);
	wr_bytes(&b, box, sizeof(box));
	ring_name(id, name);
	if (obj_put_new(r->store, r->keys, name, &b, e) < 0)
		return err_ctx(e, "cannot store data key '%s'", name);
	*key = keep(r->ring, id, mem_take(&fresh));
	return 0;
}
