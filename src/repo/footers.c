/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/footers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Locks: threads that look up chunks of different packs do not meet. */
#define DRAWERS 16
#define BUCKETS 64

struct entry {
	struct footer_use use;       /* first: footers_put() gets its address */
	struct entry *next;          /* in its bucket */
	struct entry *older, *newer; /* in the line of those not in use */
	unsigned users;
	size_t bytes;
};

/* Those of packs whose ids begin alike. */
struct drawer {
	pthread_mutex_t lock; /* all below */
	struct entry *buckets[BUCKETS];
	struct entry *oldest, *newest;
	size_t bytes; /* of all entries */
};

struct footers {
	struct store *store;
	const uint8_t *meta_key;
	size_t max_bytes; /* of a drawer */
	struct drawer drawers[DRAWERS];
};

struct footers *footers_new(struct store *store, const uint8_t meta_key[32],
			    size_t max_bytes)
{
	struct footers *f = mem_zalloc(1, sizeof(*f));

	f->store = store;
	f->meta_key = meta_key;
	f->max_bytes = max_bytes / DRAWERS;
	for (size_t i = 0; i < DRAWERS; i++)
		pthread_mutex_init(&f->drawers[i].lock, NULL);
	return f;
}

static void entry_free(struct entry *n)
{
	footer_fini(&n->use.footer);
	free(n);
}

static void drawer_fini(struct drawer *d)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		while (d->buckets[i] != NULL) {
			struct entry *n = d->buckets[i];

			d->buckets[i] = n->next;
			entry_free(n);
		}
	}
	pthread_mutex_destroy(&d->lock);
}

void footers_free(struct footers *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < DRAWERS; i++)
		drawer_fini(&f->drawers[i]);
	free(f);
}

/* ---- reading one ----------------------------------------------------- */

static int load_footer(struct store *store, const uint8_t meta_key[32],
		       const char *name, struct footer_use *use, struct err *e)
{
	uint8_t head[PACK_HEADER];
	uint8_t tail[PACK_TRAILER];
	struct pack_trailer trailer;
	struct store_stat st;

	if (store_stat(store, name, &st, e) < 0)
		return -1;
	if (st.size < PACK_HEADER + PACK_TRAILER || st.size > PACK_MAX_SIZE)
		return err_set(e, ERR_INTEGRITY, "has an impossible size");
	if (store_get(store, name, 0, sizeof(head), head, e) < 0 ||
	    store_get(store, name, st.size - sizeof(tail), sizeof(tail), tail,
		      e) < 0 ||
	    pack_header_decode(head, &use->header, e) < 0 ||
	    pack_trailer_decode(tail, &trailer, e) < 0)
		return -1;
	if (trailer.footer_offset + trailer.footer_size + PACK_TRAILER !=
	    st.size)
		return err_set(e, ERR_INTEGRITY, "its parts do not fit");
	AUTO(mem_free_at) uint8_t *sealed = mem_try(trailer.footer_size, 1);

	if (sealed == NULL)
		return err_set(e, ERR_FAILED, "no memory for a footer");
	if (store_get(store, name, trailer.footer_offset, trailer.footer_size,
		      sealed, e) < 0)
		return -1;
	use->body_end = trailer.footer_offset;
	use->footer_size = trailer.footer_size;
	use->size = st.size;
	use->sum = trailer.sum;
	return footer_open(&use->header, meta_key, sealed, trailer.footer_size,
			   trailer.footer_offset, &use->footer, e);
}

int footer_load(struct store *store, const uint8_t meta_key[32],
		enum blob_class class, const struct id *pack,
		struct footer_use *use, struct err *e)
{
	char name[PACK_NAME];

	pack_name(class, pack, name);
	memset(use, 0, sizeof(*use));
	if (load_footer(store, meta_key, name, use, e) < 0)
		return err_ctx(e, "pack '%s'", name);
	if (use->header.class != class ||
	    memcmp(use->header.pack.b, pack->b, ID_SIZE) != 0) {
		footer_fini(&use->footer);
		return err_set(e, ERR_INTEGRITY, "pack '%s' is another one",
			       name);
	}
	return 0;
}

/* ---- keeping them ---------------------------------------------------- */

static struct drawer *drawer_of(struct footers *f, const struct id *pack)
{
	return &f->drawers[pack->b[0] % DRAWERS];
}

static struct entry **bucket_of(struct drawer *d, const struct id *pack)
{
	return &d->buckets[pack->b[1] % BUCKETS];
}

static void line_remove(struct drawer *d, struct entry *n)
{
	if (n->older != NULL)
		n->older->newer = n->newer;
	else
		d->oldest = n->newer;
	if (n->newer != NULL)
		n->newer->older = n->older;
	else
		d->newest = n->older;
	n->older = n->newer = NULL;
}

static void line_append(struct drawer *d, struct entry *n)
{
	n->older = d->newest;
	n->newer = NULL;
	if (d->newest != NULL)
		d->newest->newer = n;
	else
		d->oldest = n;
	d->newest = n;
}

static void drop_oldest(struct drawer *d)
{
	struct entry *n = d->oldest;
	struct entry **at = bucket_of(d, &n->use.header.pack);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	line_remove(d, n);
	d->bytes -= n->bytes;
	entry_free(n);
}

/* Under the lock: the entry, now in use, or NULL. */
static struct entry *find_use(struct drawer *d, enum blob_class class,
			      const struct id *pack)
{
	struct entry *n = *bucket_of(d, pack);

	while (n != NULL &&
	       (memcmp(n->use.header.pack.b, pack->b, ID_SIZE) != 0 ||
		n->use.header.class != class))
		n = n->next;
	if (n != NULL && n->users++ == 0)
		line_remove(d, n);
	return n;
}

static struct entry *find_use_locked(struct footers *f, enum blob_class class,
				     const struct id *pack)
{
	struct drawer *d = drawer_of(f, pack);

	pthread_mutex_lock(&d->lock);
	struct entry *n = find_use(d, class, pack);

	pthread_mutex_unlock(&d->lock);
	return n;
}

/* Keep a new one in use, unless another thread was faster. */
static struct entry *keep(struct footers *f, struct entry *n)
{
	struct drawer *d = drawer_of(f, &n->use.header.pack);
	struct entry *extra = NULL;

	pthread_mutex_lock(&d->lock);
	struct entry *there =
		find_use(d, n->use.header.class, &n->use.header.pack);

	if (there != NULL) {
		extra = n;
		n = there;
	} else {
		struct entry **at = bucket_of(d, &n->use.header.pack);

		n->next = *at;
		*at = n;
		n->users = 1;
		d->bytes += n->bytes;
		while (d->bytes > f->max_bytes && d->oldest != NULL)
			drop_oldest(d);
	}
	pthread_mutex_unlock(&d->lock);
	if (extra != NULL)
		entry_free(extra);
	return n;
}

const struct footer_use *footers_get(struct footers *f, enum blob_class class,
				     const struct id *pack, struct err *e)
{
	struct entry *n = find_use_locked(f, class, pack);

	if (n != NULL)
		return &n->use;
	n = mem_zalloc(1, sizeof(*n));
	if (footer_load(f->store, f->meta_key, class, pack, &n->use, e) < 0) {
		free(n);
		return NULL;
	}
	n->bytes = sizeof(*n) + n->use.footer.blob_room * sizeof(struct blob) +
		   n->use.footer.slot_room * sizeof(struct slot);
	return &keep(f, n)->use;
}

void footers_put(struct footers *f, const struct footer_use *use)
{
	if (use == NULL)
		return;
	struct drawer *d = drawer_of(f, &use->header.pack);

	pthread_mutex_lock(&d->lock);
	struct entry *n = *bucket_of(d, &use->header.pack);

	while (&n->use != use)
		n = n->next;
	assert(n->users > 0);
	if (--n->users == 0)
		line_append(d, n);
	pthread_mutex_unlock(&d->lock);
}

int footers_check(struct footers *f, const struct place *place,
		  const struct hash *id, struct err *e)
{
	const struct footer_use *use =
		footers_get(f, place->class, &place->pack, e);
	int same = 0;

	if (use == NULL)
		return -1;
	if (place->blob < use->footer.blob_count) {
		const struct blob *b = &use->footer.blobs[place->blob];

		same = place->slot < b->slots &&
		       hash_equal(&use->footer.slots[b->first + place->slot].id,
				  id);
	}
	footers_put(f, use);
	return same;
}
