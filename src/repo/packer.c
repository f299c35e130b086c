/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/packer.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/queue.h"
#include "codec/keys.h"

struct open_pack {
	struct pack_header header;
	struct pack_table *table;
	uint32_t number; /* in the table */
	uint8_t *data;   /* header and body */
	uint32_t len;
	uint32_t room;
	struct footer footer;
	unsigned pending; /* reservations not yet done */
	bool closed;      /* nothing more goes in */
};

enum { CLASS_DATA, CLASS_NODE, CLASSES };

struct packer {
	struct packer_parts parts;
	pthread_mutex_t lock; /* all below but the queue */
	pthread_cond_t change;
	struct open_pack *current[CLASSES];
	unsigned open[CLASSES];                   /* packs that have a buffer */
	uint8_t *spare[CLASSES][PACKER_MAX_OPEN]; /* to be filled again */
	unsigned spares[CLASSES];
	struct id key; /* data key's id */
	const uint8_t *data_key;
	bool stopped;
	struct pack_table tables[2]; /* this turn's and the one before */
	struct pack_table *table;    /* this turn's */
	struct queue *full;
	pthread_t thread;
	atomic_uint_fast64_t stored;
};

static int slot_of(enum blob_class class)
{
	return class == BLOB_DATA ? CLASS_DATA : CLASS_NODE;
}

static void pack_free(struct open_pack *o)
{
	if (o == NULL)
		return;
	footer_fini(&o->footer);
	free(o->data);
	free(o);
}

/* Under the lock: memory that was touched before is kept, for fresh pages
 * cost a fault each. */
static void pack_end(struct packer *p, struct open_pack *o)
{
	int k = slot_of(o->header.class);

	p->open[k]--;
	o->table->open--;
	p->spare[k][p->spares[k]++] = mem_take(&o->data);
	pack_free(o);
}

/* ---- the table of packs ---------------------------------------------- */

/* Under the lock: a new pack gets its number. */
static void table_add(struct pack_table *t, struct open_pack *o)
{
	if (t->count == t->room) {
		t->room = t->room > 0 ? 2 * t->room : 64;
		t->packs = mem_grow(t->packs, t->room, sizeof(*t->packs));
	}
	t->packs[t->count] = (struct segment_pack){ .id = o->header.pack,
						    .class = o->header.class,
						    .key = o->header.key };
	o->table = t;
	o->number = (uint32_t)t->count++;
	t->open++;
}

static void table_stored(struct packer *p, const struct open_pack *o,
			 uint64_t size)
{
	pthread_mutex_lock(&p->lock);
	o->table->packs[o->number].blobs = o->footer.blob_count;
	o->table->packs[o->number].size = (uint32_t)size;
	pthread_mutex_unlock(&p->lock);
}

const struct segment_pack *packer_table(struct packer *p, size_t *count)
{
	*count = p->table->count;
	return p->table->packs;
}

/* ---- storing --------------------------------------------------------- */

static void sum_of(const struct iovec *iov, size_t n, struct hash *sum)
{
	struct sha256 *s = sha256_new();

	for (size_t i = 0; i < n; i++)
		sha256_add(s, iov[i].iov_base, iov[i].iov_len);
	sha256_end(s, sum);
	sha256_free(s);
}

static int pack_store(struct packer *p, struct open_pack *o, struct err *e)
{
	AUTO(buf_fini) struct buf footer = BUF_INIT;
	AUTO(buf_fini) struct buf tail = BUF_INIT;
	struct pack_trailer t = { .footer_offset = o->len };
	char name[PACK_NAME];

	if (footer_seal(&o->header, p->parts.repo->keys->meta_key, &o->footer,
			&footer, e) < 0)
		return -1;
	struct iovec iov[3] = {
		{ .iov_base = o->data, .iov_len = o->len },
		{ .iov_base = footer.p, .iov_len = footer.len },
	};

	t.footer_size = (uint32_t)footer.len;
	sum_of(iov, 2, &t.sum);
	pack_trailer_encode(&t, &tail);
	iov[2] = (struct iovec){ .iov_base = tail.p, .iov_len = tail.len };
	pack_name(o->header.class, &o->header.pack, name);
	if (store_put_new(p->parts.repo->store, name, iov, 3, e) < 0)
		return err_ctx(e, "cannot store pack '%s'", name);
	uint64_t size = o->len + footer.len + tail.len;

	atomic_fetch_add(&p->stored, size);
	table_stored(p, o, size);
	return 0;
}

static void *packer_thread(void *arg)
{
	struct packer *p = arg;
	void *thing;

	while (queue_pop(p->full, &thing) == 1) {
		struct err e = ERR_INIT;
		int stored = pack_store(p, thing, &e);

		if (stored < 0)
			p->parts.failed(p->parts.ctx, &e);
		pthread_mutex_lock(&p->lock);
		pack_end(p, thing);
		p->stopped |= stored < 0;
		pthread_cond_broadcast(&p->change);
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

/* ---- filling --------------------------------------------------------- */

/* Under the lock: it is closed, and nobody is at it any more.  The queue has
 * room for every pack that may be open. */
static void give_away(struct packer *p, struct open_pack *o)
{
	if (o->pending == 0 && o->closed && queue_push(p->full, o) < 0)
		pack_end(p, o);
}

/* Under the lock. */
static void close_pack(struct packer *p, int class)
{
	struct open_pack *o = p->current[class];

	if (o == NULL)
		return;
	p->current[class] = NULL;
	o->closed = true;
	give_away(p, o);
}

/* Under the lock: a pack's memory. */
static uint8_t *pack_memory(struct packer *p, int class, size_t size)
{
	return p->spares[class] > 0 ? p->spare[class][--p->spares[class]]
				    : mem_try_pages(size);
}

/* Under the lock, which makes others wait for the store, once. */
static int need_key(struct packer *p, enum blob_class class, struct err *e)
{
	if (class != BLOB_DATA || p->parts.copies || p->data_key != NULL)
		return 0;
	return data_key_new(p->parts.repo, &p->parts.session, &p->key,
			    &p->data_key, e);
}

static struct open_pack *pack_new(struct packer *p, enum blob_class class,
				  struct err *e)
{
	const struct repo_config *c = &p->parts.repo->config;
	AUTO(buf_fini) struct buf head = BUF_INIT;

	if (need_key(p, class, e) < 0)
		return NULL;
	struct open_pack *o = mem_zalloc(1, sizeof(*o));

	o->room = class == BLOB_DATA ? c->data_pack_size : c->node_pack_size;
	o->data = pack_memory(p, slot_of(class), o->room);
	if (o->data == NULL) {
		free(o);
		err_set(e, ERR_FAILED, "no memory for a pack");
		return NULL;
	}
	o->header.class = class;
	keys_random(o->header.pack.b, ID_SIZE);
	keys_random(o->header.salt, SALT_SIZE);
	if (class == BLOB_DATA)
		o->header.key = p->key;
	o->header.session = p->parts.session;
	pack_header_encode(&o->header, &head);
	memcpy(o->data, head.p, head.len);
	o->len = (uint32_t)head.len;
	table_add(p->table, o);
	return o;
}

/* Under the lock: the pack that takes the blob, or NULL. */
static struct open_pack *pack_for(struct packer *p, enum blob_class class,
				  const struct blob *b, struct err *e)
{
	int k = slot_of(class);

	for (;;) {
		struct open_pack *o = p->current[k];

		if (p->stopped) {
			err_set(e, ERR_STOPPED, "stopped");
			return NULL;
		}
		if (o != NULL && o->room - o->len >= b->stored &&
		    o->footer.blob_count < PACK_MAX_BLOBS)
			return o;
		close_pack(p, k);
		if (p->open[k] < PACKER_MAX_OPEN) {
			p->current[k] = pack_new(p, class, e);
			if (p->current[k] == NULL)
				return NULL;
			p->open[k]++;
		} else {
			pthread_cond_wait(&p->change, &p->lock);
		}
	}
}

int packer_reserve(struct packer *p, enum blob_class class,
		   const struct blob *b, const struct slot *slots,
		   struct reservation *r, struct err *e)
{
	struct blob placed = *b;

	pthread_mutex_lock(&p->lock);
	struct open_pack *o = pack_for(p, class, b, e);

	if (o != NULL) {
		placed.offset = o->len;
		*r = (struct reservation){
			.pack = o,
			.at = o->data + o->len,
			.number = footer_add(&o->footer, &placed, slots),
			.pack_number = o->number,
		};
		o->len += b->stored;
		o->pending++;
	}
	pthread_mutex_unlock(&p->lock);
	return o != NULL ? 0 : -1;
}

void packer_done(struct packer *p, const struct reservation *r)
{
	struct open_pack *o = r->pack;

	pthread_mutex_lock(&p->lock);
	assert(o->pending > 0);
	o->pending--;
	give_away(p, o);
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
}

const struct id *packer_pack(const struct reservation *r)
{
	return &r->pack->header.pack;
}

struct sealer *packer_sealer(struct packer *p, const struct reservation *r,
			     struct err *e)
{
	const struct pack_header *h = &r->pack->header;

	return pack_sealer(h->class == BLOB_DATA
				   ? p->data_key
				   : p->parts.repo->keys->meta_key,
			   &h->pack, h->salt, e);
}

/* Under the lock. */
static void close_all(struct packer *p)
{
	for (int k = 0; k < CLASSES; k++)
		close_pack(p, k);
}

struct pack_table *packer_turn(struct packer *p)
{
	pthread_mutex_lock(&p->lock);
	struct pack_table *t = p->table;

	close_all(p);
	p->table = t == &p->tables[0] ? &p->tables[1] : &p->tables[0];
	assert(p->table->open == 0);
	p->table->count = 0;
	pthread_mutex_unlock(&p->lock);
	return t;
}

int packer_wait(struct packer *p, const struct pack_table *t, struct err *e)
{
	pthread_mutex_lock(&p->lock);
	while (t->open > 0 && !p->stopped)
		pthread_cond_wait(&p->change, &p->lock);
	bool stopped = p->stopped;

	pthread_mutex_unlock(&p->lock);
	return stopped ? err_set(e, ERR_STOPPED, "stopped") : 0;
}

int packer_drain(struct packer *p, struct err *e)
{
	pthread_mutex_lock(&p->lock);
	close_all(p);
	pthread_mutex_unlock(&p->lock);
	return packer_wait(p, p->table, e);
}

void packer_stop(struct packer *p)
{
	pthread_mutex_lock(&p->lock);
	p->stopped = true;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
	queue_stop(p->full);
}

/* ---- life ------------------------------------------------------------ */

struct packer *packer_new(const struct packer_parts *parts, struct err *e)
{
	struct packer *p = mem_zalloc(1, sizeof(*p));

	p->parts = *parts;
	p->table = &p->tables[0];
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->change, NULL);
	p->full = queue_new(CLASSES * PACKER_MAX_OPEN);
	int sys = pthread_create(&p->thread, NULL, packer_thread, p);

	if (sys == 0)
		return p;
	err_sysno(e, sys, "cannot start a thread");
	queue_free(p->full);
	free(p);
	return NULL;
}

static void class_free(struct packer *p, int class)
{
	pack_free(p->current[class]);
	while (p->spares[class] > 0)
		free(p->spare[class][--p->spares[class]]);
}

void packer_free(struct packer *p)
{
	struct open_pack *o;

	if (p == NULL)
		return;
	packer_stop(p);
	pthread_join(p->thread, NULL);
	while ((o = queue_drain(p->full)) != NULL)
		pack_free(o);
	for (int k = 0; k < CLASSES; k++)
		class_free(p, k);
	queue_free(p->full);
	pthread_cond_destroy(&p->change);
	pthread_mutex_destroy(&p->lock);
	free(p->tables[0].packs);
	free(p->tables[1].packs);
	free(p);
}

uint64_t packer_stored(struct packer *p)
{
	return atomic_load(&p->stored);
}
