/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/locations.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PACK_HEAD (ID_SIZE + 1 + 4)

void locations_fini(struct locations *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->packs[i].blobs);
	free(l->packs);
	memset(l, 0, sizeof(*l));
}

/* ---- adding ---------------------------------------------------------- */

/* The last entry when it is this pack's, else a new one. */
static struct pack_locations *last_of(struct locations *l,
				      enum blob_class class,
				      const struct id *pack)
{
	struct pack_locations *last =
		l->count > 0 ? &l->packs[l->count - 1] : NULL;

	l->sorted = false;
	if (last != NULL && memcmp(last->pack.b, pack->b, ID_SIZE) == 0)
		return last;
	if (l->count == l->room) {
		l->room = l->room > 0 ? 2 * l->room : 16;
		l->packs = mem_grow(l->packs, l->room, sizeof(*l->packs));
	}
	last = &l->packs[l->count++];
	*last = (struct pack_locations){ .pack = *pack, .class = class };
	return last;
}

static void add_blob(struct pack_locations *p, uint32_t blob)
{
	if (p->count == p->room) {
		p->room = p->room > 0 ? 2 * p->room : 4;
		p->blobs = mem_grow(p->blobs, p->room, sizeof(*p->blobs));
	}
	p->blobs[p->count++] = blob;
}

void locations_add(struct locations *l, enum blob_class class,
		   const struct id *pack, uint32_t blob)
{
	struct pack_locations *p = last_of(l, class, pack);

	if (!p->whole)
		add_blob(p, blob);
}

static void make_whole(struct pack_locations *p)
{
	free(p->blobs);
	p->blobs = NULL;
	p->count = p->room = 0;
	p->whole = true;
}

void locations_add_pack(struct locations *l, enum blob_class class,
			const struct id *pack)
{
	make_whole(last_of(l, class, pack));
}

/* ---- sorting --------------------------------------------------------- */

static int by_pack(const void *a, const void *b)
{
	return memcmp(((const struct pack_locations *)a)->pack.b,
		      ((const struct pack_locations *)b)->pack.b, ID_SIZE);
}

static int by_number(const void *va, const void *vb)
{
	uint32_t a = *(const uint32_t *)va;
	uint32_t b = *(const uint32_t *)vb;

	return (a > b) - (a < b);
}

/* One pack's entries become one. */
static void join(struct pack_locations *to, struct pack_locations *from)
{
	if (from->whole || to->whole)
		make_whole(to);
	for (uint32_t i = 0; i < from->count && !to->whole; i++)
		add_blob(to, from->blobs[i]);
	free(from->blobs);
}

static void sort_blobs(struct pack_locations *p)
{
	uint32_t kept = 0;

	if (p->whole)
		return;
	qsort(p->blobs, p->count, sizeof(*p->blobs), by_number);
	for (uint32_t i = 0; i < p->count; i++)
		if (kept == 0 || p->blobs[kept - 1] != p->blobs[i])
			p->blobs[kept++] = p->blobs[i];
	p->count = kept;
}

void locations_sort(struct locations *l)
{
	size_t kept = 0;

	if (l->count > 0)
		qsort(l->packs, l->count, sizeof(*l->packs), by_pack);
	for (size_t i = 0; i < l->count; i++) {
		if (kept > 0 && by_pack(&l->packs[kept - 1], &l->packs[i]) == 0)
			join(&l->packs[kept - 1], &l->packs[i]);
		else
			l->packs[kept++] = l->packs[i];
	}
	l->count = kept;
	for (size_t i = 0; i < l->count; i++)
		sort_blobs(&l->packs[i]);
	l->sorted = true;
}

/* ---- asking ---------------------------------------------------------- */

const struct pack_locations *locations_pack(const struct locations *l,
					    const struct id *pack)
{
	const struct pack_locations key = { .pack = *pack };

	if (l->count == 0)
		return NULL;
	assert(l->sorted);
	return bsearch(&key, l->packs, l->count, sizeof(*l->packs), by_pack);
}

bool locations_has(const struct locations *l, const struct id *pack,
		   uint32_t blob)
{
	const struct pack_locations *p = locations_pack(l, pack);

	return p != NULL &&
	       (p->whole || bsearch(&blob, p->blobs, p->count,
				    sizeof(*p->blobs), by_number) != NULL);
}

/* ---- bytes ----------------------------------------------------------- */

void locations_encode(const struct locations *l, struct buf *out)
{
	assert(l->sorted || l->count == 0);
	wr_u32(out, (uint32_t)l->count);
	for (size_t i = 0; i < l->count; i++) {
		const struct pack_locations *p = &l->packs[i];

		wr_bytes(out, p->pack.b, ID_SIZE);
		wr_u8(out, (uint8_t)p->class);
		wr_u32(out, p->count);
		for (uint32_t k = 0; k < p->count; k++)
			wr_u32(out, p->blobs[k]);
	}
}

static void decode_blobs(struct reader *r, struct pack_locations *p)
{
	uint32_t count = rd_u32(r);

	p->whole = count == 0;
	if (count > r->left / 4)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		uint32_t blob = rd_u32(r);

		if (blob >= PACK_MAX_BLOBS ||
		    (i > 0 && blob <= p->blobs[i - 1]))
			r->bad = true;
		add_blob(p, blob);
	}
}

static void decode_pack(struct reader *r, struct locations *l)
{
	struct id pack;

	rd_copy(r, pack.b, ID_SIZE);
	uint8_t class = rd_u8(r);

	if ((class != BLOB_DATA && class != BLOB_NODE) ||
	    (l->count > 0 &&
	     memcmp(l->packs[l->count - 1].pack.b, pack.b, ID_SIZE) >= 0))
		r->bad = true;
	if (!r->bad)
		decode_blobs(r, last_of(l, (enum blob_class) class, &pack));
}

void locations_decode(struct reader *r, struct locations *l)
{
	uint32_t count = rd_u32(r);

	if (count > r->left / PACK_HEAD)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++)
		decode_pack(r, l);
	l->sorted = true;
}
