/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/damage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/internal.h"
#include "repo/obj.h"

#define DAMAGE_VERSION 1
#define NODE_BYTES     (ID_SIZE + 4 + 1)

void damage_fini(struct damage *d)
{
	for (size_t i = 0; i < d->note_count; i++)
		free(d->notes[i]);
	free(d->notes);
	locations_fini(&d->places);
	free(d->nodes);
	memset(d, 0, sizeof(*d));
}

bool damage_empty(const struct damage *d)
{
	return d->places.count == 0 && d->count == 0;
}

/* ---- adding ---------------------------------------------------------- */

void damage_add_blob(struct damage *d, enum blob_class class,
		     const struct id *pack, uint32_t blob)
{
	locations_add(&d->places, class, pack, blob);
}

void damage_add_pack(struct damage *d, enum blob_class class,
		     const struct id *pack)
{
	locations_add_pack(&d->places, class, pack);
}

void damage_add_node(struct damage *d, const struct place *node)
{
	if (d->count == d->room) {
		d->room = d->room > 0 ? 2 * d->room : 16;
		d->nodes = mem_grow(d->nodes, d->room, sizeof(*d->nodes));
	}
	d->nodes[d->count++] = *node;
	d->sorted = false;
}

void damage_add_all(struct damage *d, const struct damage *from)
{
	for (size_t i = 0; i < from->places.count; i++) {
		const struct pack_locations *p = &from->places.packs[i];

		if (p->whole)
			damage_add_pack(d, p->class, &p->pack);
		for (uint32_t k = 0; k < p->count; k++)
			damage_add_blob(d, p->class, &p->pack, p->blobs[k]);
	}
	for (size_t i = 0; i < from->count; i++)
		damage_add_node(d, &from->nodes[i]);
}

static int by_place(const void *va, const void *vb)
{
	const struct place *a = va;
	const struct place *b = vb;
	int c = memcmp(a->pack.b, b->pack.b, ID_SIZE);

	if (c != 0)
		return c;
	if (a->blob != b->blob)
		return a->blob < b->blob ? -1 : 1;
	return (int)a->slot - (int)b->slot;
}

void damage_sort(struct damage *d)
{
	size_t kept = 0;

	locations_sort(&d->places);
	if (d->count > 0)
		qsort(d->nodes, d->count, sizeof(*d->nodes), by_place);
	for (size_t i = 0; i < d->count; i++)
		if (kept == 0 || by_place(&d->nodes[kept - 1], &d->nodes[i]))
			d->nodes[kept++] = d->nodes[i];
	d->count = kept;
	d->sorted = true;
}

/* ---- asking ---------------------------------------------------------- */

bool damage_has_blob(const struct damage *d, const struct id *pack,
		     uint32_t blob)
{
	return d->places.count > 0 && locations_has(&d->places, pack, blob);
}

static bool is_frail(const struct damage *d, const struct place *node)
{
	assert(d->sorted || d->count == 0);
	return d->count > 0 && node->class == BLOB_NODE &&
	       bsearch(node, d->nodes, d->count, sizeof(*d->nodes), by_place) !=
		       NULL;
}

bool damage_has(const struct damage *d, const struct place *place)
{
	return damage_has_blob(d, &place->pack, place->blob) ||
	       is_frail(d, place);
}

static bool covers_pack(const struct damage *d, const struct pack_locations *p)
{
	const struct pack_locations *own = locations_pack(&d->places, &p->pack);

	if (own == NULL || (p->whole && !own->whole))
		return false;
	for (uint32_t i = 0; i < p->count; i++)
		if (!damage_has_blob(d, &p->pack, p->blobs[i]))
			return false;
	return true;
}

bool damage_covers(const struct damage *d, const struct damage *other)
{
	for (size_t i = 0; i < other->places.count; i++)
		if (!covers_pack(d, &other->places.packs[i]))
			return false;
	for (size_t i = 0; i < other->count; i++)
		if (!is_frail(d, &other->nodes[i]))
			return false;
	return true;
}

/* ---- bytes ----------------------------------------------------------- */

void damage_encode(const struct damage *d, struct buf *out)
{
	char host[256] = "";

	assert(d->sorted);
	gethostname(host, sizeof(host) - 1);
	wr_u16(out, DAMAGE_VERSION);
	wr_u64(out, (uint64_t)clock_wall_ns());
	wr_string(out, host);
	locations_encode(&d->places, out);
	wr_u32(out, (uint32_t)d->count);
	for (size_t i = 0; i < d->count; i++) {
		wr_bytes(out, d->nodes[i].pack.b, ID_SIZE);
		wr_u32(out, d->nodes[i].blob);
		wr_u8(out, d->nodes[i].slot);
	}
}

static void get_nodes(struct reader *r, struct damage *d)
{
	size_t count = rd_u32(r);
	struct place last;

	if (count > r->left / NODE_BYTES)
		r->bad = true;
	for (size_t i = 0; i < count && !r->bad; i++) {
		struct place p = { .class = BLOB_NODE };

		rd_copy(r, p.pack.b, ID_SIZE);
		p.blob = rd_u32(r);
		p.slot = rd_u8(r);
		if (p.blob >= PACK_MAX_BLOBS ||
		    (i > 0 && by_place(&last, &p) >= 0))
			r->bad = true;
		else
			damage_add_node(d, &p);
		last = p;
	}
}

void damage_decode(struct reader *r, struct damage *d)
{
	if (rd_u16(r) != DAMAGE_VERSION)
		r->bad = true;
	rd_u64(r);
	free(rd_string(r, 255)); /* the host, for people */

	locations_decode(r, &d->places);
	get_nodes(r, d);
	d->sorted = true;
	if (!rd_complete(r))
		r->bad = true;
}

/* ---- notes ----------------------------------------------------------- */

int damage_load_note(struct repo *r, const char *name, struct damage *d,
		     struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	AUTO(damage_fini) struct damage got = { .count = 0 };

	if (obj_load(r->store, r->keys, name, SIGN_NONE, OBJECT_MAX_SEGMENT, &b,
		     e) < 0)
		return -1;
	struct reader rd = reader_of(b.p, b.len);

	damage_decode(&rd, &got);
	if (rd.bad)
		return err_set(e, ERR_INTEGRITY,
			       "object '%s': not a note of damage", name);
	damage_add_all(d, &got);
	return 0;
}

struct loading {
	struct repo *repo;
	struct damage *d;
};

static int load_one(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	struct loading *l = ctx;
	struct err why = ERR_INIT;

	(void)st;
	if (damage_load_note(l->repo, name, l->d, &why) < 0) {
		if (why.code == ERR_INTEGRITY || why.code == ERR_NOT_FOUND)
			return 0;
		*e = why;
		return -1;
	}
	l->d->notes = mem_grow(l->d->notes, l->d->note_count + 1,
			       sizeof(*l->d->notes));
	l->d->notes[l->d->note_count++] = mem_strdup(name);
	return 0;
}

int damage_load(struct repo *r, struct damage *d, struct err *e)
{
	struct loading l = { r, d };

	if (store_list(r->store, DAMAGE_PREFIX, load_one, &l, e) < 0)
		return err_ctx(e, "cannot read the notes of damage");
	damage_sort(d);
	return 0;
}

int damage_put(struct repo *r, const struct damage *d, char out[DAMAGE_NAME],
	       struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char hex[ID_TEXT];
	struct id id;

	keys_random(id.b, ID_SIZE);
	hex_encode(id.b, ID_SIZE, hex);
	snprintf(out, DAMAGE_NAME, DAMAGE_PREFIX "%s", hex);
	damage_encode(d, &b);
	if (repo_writable(r, e) < 0 ||
	    obj_put_unsigned(r->store, r->keys, out, &b, e) < 0)
		return err_ctx(e, "cannot note the damage as '%s'", out);
	return 0;
}

/* Somebody else may have been faster. */
void damage_forget(struct repo *r, const struct damage *d)
{
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < d->note_count; i++)
		store_del(r->store, d->notes[i], &ignored);
}
