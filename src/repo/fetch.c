/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Blobs kept opened by one thread: 4 MiB, as much as an extent. */
#define KEPT_BLOBS   8
#define KEPT_SEALERS 4

/* Places of one id that are tried. */
#define MAX_PLACES 16

struct kept_blob {
	struct place place; /* slot is not meant */
	bool used;
	uint64_t last; /* when, in calls */
	uint8_t *raw;  /* BLOB_MAX_RAW */
	uint32_t size;
};

struct kept_sealer {
	struct sealer *sealer;
	struct id pack; /* where it was sealed first */
};

struct fetch {
	struct repo *repo;
	struct hasher *hasher;
	struct zip *zip;
	struct kept_blob blobs[KEPT_BLOBS];
	struct kept_sealer sealers[KEPT_SEALERS];
	unsigned next_sealer;
	uint64_t calls;
	struct place last[2]; /* of data, of nodes: to guess the next */
	bool has_last[2];
	struct buf aad;
	uint8_t *sealed; /* bound of a sealed blob */
	uint8_t *packed;
	struct hash leaves[BLOB_MAX_RAW / PAGE_SIZE_BYTES];
};

void fetch_free(struct fetch *f)
{
	if (f == NULL)
		return;
	hasher_free(f->hasher);
	zip_free(f->zip);
	for (size_t i = 0; i < KEPT_BLOBS; i++)
		free(f->blobs[i].raw);
	for (size_t i = 0; i < KEPT_SEALERS; i++)
		sealer_free(f->sealers[i].sealer);
	buf_fini(&f->aad);
	free(f->sealed);
	free(f->packed);
	free(f);
}

void fetch_free_at(struct fetch **f)
{
	fetch_free(*f);
}

struct fetch *fetch_new(struct repo *r, struct err *e)
{
	AUTO(fetch_free_at) struct fetch *f = mem_zalloc(1, sizeof(*f));

	f->repo = r;
	f->hasher = hasher_new(r->keys->id_key, r->keys->cut_key, e);
	if (f->hasher == NULL)
		return NULL;
	f->zip = zip_new(r->zip_level, e);
	if (f->zip == NULL)
		return NULL;
	f->sealed = mem_alloc(zip_bound(BLOB_MAX_RAW) + SEAL_TAG);
	f->packed = mem_alloc(zip_bound(BLOB_MAX_RAW) + SEAL_TAG);
	return mem_take(&f);
}

/* ---- a blob ---------------------------------------------------------- */

static bool same_blob(const struct place *a, const struct place *b)
{
	return a->blob == b->blob && a->class == b->class &&
	       memcmp(a->pack.b, b->pack.b, ID_SIZE) == 0;
}

static struct kept_blob *kept_find(struct fetch *f, const struct place *place)
{
	for (size_t i = 0; i < KEPT_BLOBS; i++)
		if (f->blobs[i].used && same_blob(&f->blobs[i].place, place))
			return &f->blobs[i];
	return NULL;
}

static struct kept_blob *kept_oldest(struct fetch *f)
{
	struct kept_blob *oldest = &f->blobs[0];

	for (size_t i = 1; i < KEPT_BLOBS; i++)
		if (f->blobs[i].last < oldest->last)
			oldest = &f->blobs[i];
	if (oldest->raw == NULL)
		oldest->raw = mem_alloc(BLOB_MAX_RAW);
	oldest->used = false;
	return oldest;
}

/* Where a blob of this pack was sealed first: there, or in its origin. */
static void origin_of(const struct footer_use *use, uint32_t number,
		      struct blob_origin *o)
{
	const struct blob *b = &use->footer.blobs[number];

	if (b->moved) {
		*o = b->origin;
		return;
	}
	o->pack = use->header.pack;
	memcpy(o->salt, use->header.salt, SALT_SIZE);
	o->key = use->header.key;
	o->number = number;
}

static struct sealer *sealer_of(struct fetch *f, enum blob_class class,
				const struct blob_origin *o, struct err *e)
{
	const uint8_t *key = f->repo->keys->meta_key;

	for (size_t i = 0; i < KEPT_SEALERS; i++)
		if (f->sealers[i].sealer != NULL &&
		    memcmp(f->sealers[i].pack.b, o->pack.b, ID_SIZE) == 0)
			return f->sealers[i].sealer;
	if (class == BLOB_DATA && data_key_get(f->repo, &o->key, &key, e) < 0)
		return NULL;
	struct sealer *s = pack_sealer(key, &o->pack, o->salt, e);

	if (s == NULL)
		return NULL;
	struct kept_sealer *k = &f->sealers[f->next_sealer++ % KEPT_SEALERS];

	sealer_free(k->sealer);
	k->sealer = s;
	k->pack = o->pack;
	return s;
}

int fetch_open(struct fetch *f, const struct footer_use *use, uint32_t number,
	       const uint8_t *sealed, uint8_t *raw, struct err *e)
{
	const struct blob *b = &use->footer.blobs[number];
	size_t packed = b->stored - SEAL_TAG;
	bool as_it_is = b->method == ZIP_RAW && packed == b->raw;
	uint8_t *to = as_it_is ? raw : f->packed;
	struct blob_origin o;

	if (b->stored > zip_bound(BLOB_MAX_RAW) + SEAL_TAG)
		return err_set(e, ERR_INTEGRITY, "an impossible size");
	origin_of(use, number, &o);
	struct sealer *s = sealer_of(f, use->header.class, &o, e);

	if (s == NULL)
		return -1;
	blob_aad(use->header.class, b, use->footer.slots + b->first, &f->aad);
	if (sealer_open(s, o.number, f->aad.p, f->aad.len, sealed, packed, to,
			e) < 0)
		return -1;
	if (as_it_is)
		return 0;
	return zip_unpack(f->zip, b->method, f->packed, packed, raw, b->raw, e);
}

static int read_blob(struct fetch *f, const struct footer_use *use,
		     uint32_t number, uint8_t *raw, struct err *e)
{
	const struct blob *b = &use->footer.blobs[number];
	char name[PACK_NAME];

	pack_name(use->header.class, &use->header.pack, name);
	if (b->stored > zip_bound(BLOB_MAX_RAW) + SEAL_TAG)
		return err_set(e, ERR_INTEGRITY,
			       "pack '%s': blob %u has an impossible size",
			       name, number);
	if (store_get(f->repo->store, name, b->offset, b->stored, f->sealed,
		      e) < 0)
		return err_ctx(e, "pack '%s'", name);
	if (fetch_open(f, use, number, f->sealed, raw, e) < 0)
		return err_ctx(e, "pack '%s', blob %u", name, number);
	return 0;
}

/* The blob at a place, opened. */
static struct kept_blob *blob_at(struct fetch *f, const struct place *place,
				 const struct footer_use *use, struct err *e)
{
	struct kept_blob *k = kept_find(f, place);

	if (k == NULL) {
		k = kept_oldest(f);
		k->used = false; /* until it holds what it says */
		if (read_blob(f, use, place->blob, k->raw, e) < 0)
			return NULL;
		k->place = *place;
		k->size = use->footer.blobs[place->blob].raw;
		k->used = true;
	}
	k->last = ++f->calls;
	return k;
}

/* ---- an id ----------------------------------------------------------- */

bool fetch_holds(struct fetch *f, enum blob_class class, const uint8_t *data,
		 size_t size, const struct hash *id)
{
	struct hash got;

	if (size > BLOB_MAX_RAW)
		return false;
	if (class == BLOB_NODE) {
		cut_node_id(f->hasher, data, size, &got);
	} else {
		size_t pages = size / PAGE_SIZE_BYTES;

		hasher_pages(f->hasher, data, pages, f->leaves);
		cut_chunk_id(f->hasher, f->leaves, pages, &got);
		if (size % PAGE_SIZE_BYTES != 0)
			got.b[0] ^= 1;
	}
	return hash_equal(&got, id);
}

static int check_id(struct fetch *f, enum blob_class class, const uint8_t *data,
		    size_t size, const struct hash *id, struct err *e)
{
	/* a maintainer must take a node's seal, which names it, for proof */
	if (!f->repo->keys->has_id || fetch_holds(f, class, data, size, id))
		return 0;
	return err_set(e, ERR_INTEGRITY, "its content is not what its id says");
}

static size_t class_index(enum blob_class class)
{
	return class == BLOB_NODE;
}

static void remember(struct fetch *f, const struct place *place)
{
	f->last[class_index(place->class)] = *place;
	f->has_last[class_index(place->class)] = true;
}

/* Is the slot after the last one, or the first of the next blob, what we
 * want?  Nearly always, when an image is read from front to end. */
static bool guess_next(struct fetch *f, const struct footer_use *use,
		       const struct hash *id, struct place *place)
{
	const struct footer *ft = &use->footer;
	struct place p = f->last[class_index(use->header.class)];

	p.slot++;
	for (int i = 0; i < 2 && p.blob < ft->blob_count; i++) {
		const struct blob *b = &ft->blobs[p.blob];

		if (p.slot < b->slots &&
		    hash_equal(&ft->slots[b->first + p.slot].id, id)) {
			*place = p;
			return true;
		}
		p.blob++;
		p.slot = 0;
	}
	return false;
}

static bool guess(struct fetch *f, enum blob_class class, const struct hash *id,
		  struct place *place)
{
	struct err ignored = ERR_INIT;
	size_t i = class_index(class);

	if (!f->has_last[i])
		return false;
	const struct footer_use *use = footers_get(f->repo->footers, class,
						   &f->last[i].pack, &ignored);
	bool hit = use != NULL && guess_next(f, use, id, place);

	footers_put(f->repo->footers, use);
	return hit;
}

/* "chunk 0123456789abcdef... is missing", and why where that is known. */
static int missing(struct fetch *f, enum blob_class class,
		   const struct hash *id, struct err *why, struct err *e)
{
	char hex[17];

	hex_encode(id->b, 8, hex);
	if (why->code == ERR_NONE)
		index_trouble(f->repo->index, why);
	return err_set(e, err_passing(why) ? why->code : ERR_INTEGRITY,
		       "%s %s... is missing%s%s",
		       class == BLOB_DATA ? "chunk" : "node", hex,
		       why->msg[0] != '\0' ? ": " : "", why->msg);
}

/* Place number skip of those where the id is. */
static int find(struct fetch *f, enum blob_class class, const struct hash *id,
		unsigned skip, struct place *place, struct err *e)
{
	const struct index_ask ask = { .most = TIER_FRAIL, .skip = skip };
	struct err why = ERR_INIT;
	struct index_hit hit;
	int found = index_find(f->repo->index, &ask, class, id, &hit, &why);

	if (found == 1) {
		*place = hit.place;
		return 0;
	}
	if (found < 0) {
		*e = why;
		return err_ctx(e, "cannot look up a %s",
			       class == BLOB_DATA ? "chunk" : "node");
	}
	return missing(f, class, id, &why, e);
}

static int get_at(struct fetch *f, const struct place *place,
		  const struct hash *id, const uint8_t **data, size_t *size,
		  struct err *e)
{
	const struct footer_use *use =
		footers_get(f->repo->footers, place->class, &place->pack, e);
	size_t offset = 0;

	if (use == NULL)
		return -1;
	const struct blob *b = &use->footer.blobs[place->blob];
	const struct slot *slots = use->footer.slots + b->first;

	for (size_t i = 0; i < place->slot; i++)
		offset += slots[i].size;
	*size = slots[place->slot].size;
	struct kept_blob *k = blob_at(f, place, use, e);

	footers_put(f->repo->footers, use);
	if (k == NULL)
		return -1;
	*data = k->raw + offset;
	return check_id(f, place->class, *data, *size, id, e);
}

/* From a place, which the next guess then starts from. */
static int get_from(struct fetch *f, const struct place *place,
		    const struct hash *id, const uint8_t **data, size_t *size,
		    struct err *e)
{
	int ok = get_at(f, place, id, data, size, e);

	if (ok == 0)
		remember(f, place);
	else
		f->has_last[class_index(place->class)] = false;
	return ok;
}

/* An id may be in several places: where a damaged one was stored again, or
 * two sessions were at it at once.  The first failure says most. */
static int get_any(struct fetch *f, enum blob_class class,
		   const struct hash *id, const uint8_t **data, size_t *size,
		   struct err *e)
{
	struct err ignored = ERR_INIT;
	struct err *why = e;
	struct place place = { .class = class };

	if (guess(f, class, id, &place) &&
	    get_from(f, &place, id, data, size, &ignored) == 0)
		return 0;
	for (unsigned i = 0; i < MAX_PLACES; i++) {
		if (find(f, class, id, i, &place, why) < 0)
			return -1;
		if (get_from(f, &place, id, data, size, why) == 0)
			return 0;
		why = &ignored;
	}
	return -1;
}

bool fetch_place(struct fetch *f, enum blob_class class, const struct hash *id,
		 struct place *place)
{
	struct err ignored = ERR_INIT;

	if (!guess(f, class, id, place) &&
	    find(f, class, id, 0, place, &ignored) < 0)
		return false;
	remember(f, place);
	return true;
}

const struct footer_use *fetch_footer(struct fetch *f,
				      const struct place *place, struct err *e)
{
	return footers_get(f->repo->footers, place->class, &place->pack, e);
}

void fetch_footer_done(struct fetch *f, const struct footer_use *use)
{
	footers_put(f->repo->footers, use);
}

int fetch_read(struct fetch *f, const struct place *place, uint64_t offset,
	       size_t size, uint8_t *to, struct err *e)
{
	char name[PACK_NAME];

	pack_name(place->class, &place->pack, name);
	return store_get(f->repo->store, name, offset, size, to, e);
}

int fetch_at(struct fetch *f, const struct place *place, const struct hash *id,
	     const uint8_t **data, size_t *size, struct err *e)
{
	return get_from(f, place, id, data, size, e);
}

int fetch_get(struct fetch *f, enum blob_class class, const struct hash *id,
	      const uint8_t **data, size_t *size, struct err *e)
{
	unsigned rounds = index_rounds(f->repo->index);
	struct err why = ERR_INIT;

	if (get_any(f, class, id, data, size, &why) == 0)
		return 0;
	if (why.code != ERR_REFUSED &&
	    index_last_resort(f->repo->index, rounds) &&
	    get_any(f, class, id, data, size, &why) == 0)
		return 0;
	*e = why;
	if (e->code == ERR_NOT_FOUND) /* a pack is: that is damage */
		e->code = ERR_INTEGRITY;
	return -1;
}

int fetch_check_blob(struct fetch *f, const struct footer_use *use,
		     uint32_t number, const uint8_t *sealed, struct err *e)
{
	const struct blob *b = &use->footer.blobs[number];
	const struct slot *slots = use->footer.slots + b->first;
	struct kept_blob *room = kept_oldest(f);
	size_t offset = 0;

	if (fetch_open(f, use, number, sealed, room->raw, e) < 0)
		return -1;
	for (size_t i = 0; i < b->slots; i++) {
		if (check_id(f, use->header.class, room->raw + offset,
			     slots[i].size, &slots[i].id, e) < 0)
			return -1;
		offset += slots[i].size;
	}
	return 0;
}
