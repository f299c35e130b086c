/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_VERSION 1
#define PREFIX          16u

/* ---- reading --------------------------------------------------------- */

static int segment_bad(struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "not an index segment");
}

/* Where the entries start: behind the names. */
static bool skip_leans(struct reader *r, uint32_t count)
{
	for (uint32_t i = 0; i < count && !r->bad; i++)
		rd_view(r, rd_u16(r));
	return !r->bad;
}

int segment_parse(const void *data, size_t size, struct segment *s,
		  struct err *e)
{
	struct reader r = reader_of(data, size);
	uint64_t need;

	if (rd_u16(&r) != SEGMENT_VERSION || rd_u16(&r) != 0)
		return segment_bad(e);
	*s = (struct segment){ .data = data, .size = size };
	s->packs = rd_u32(&r);
	rd_copy(&r, s->session.b, ID_SIZE);
	s->generation = rd_u64(&r);
	s->nodes = rd_u64(&r);
	s->chunks = rd_u64(&r);
	s->leans = rd_u32(&r);
	if (rd_u32(&r) != 0 || s->leans > SEGMENT_MAX_LEANS ||
	    rd_view(&r, (size_t)s->packs * SEGMENT_PACK) == NULL ||
	    !skip_leans(&r, s->leans) ||
	    __builtin_add_overflow(s->nodes, s->chunks, &need) ||
	    __builtin_mul_overflow(need, SEGMENT_ENTRY, &need) ||
	    need != r.left)
		return segment_bad(e);
	s->entries_at = size - r.left;
	return 0;
}

static const uint8_t *entry_at(const struct segment *s, uint64_t i)
{
	return s->data + s->entries_at + (size_t)i * SEGMENT_ENTRY;
}

const uint8_t *segment_prefix(const struct segment *s, uint64_t i)
{
	return entry_at(s, i);
}

/* The first eight bytes as a number that sorts as the bytes do. */
static uint64_t prefix_key(const uint8_t *p)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/*
 * Ids are uniformly distributed, so the place can be guessed: a few steps of
 * interpolation, and halving as soon as a guess gains little (entries from a
 * damaged cache need not be sorted at all).
 */
static uint64_t guess(const struct segment *s, uint64_t lo, uint64_t hi,
		      uint64_t key)
{
	uint64_t a = prefix_key(entry_at(s, lo));
	uint64_t b = prefix_key(entry_at(s, hi - 1));

	if (key <= a)
		return lo;
	if (key >= b || b <= a)
		return hi - 1;
	double share = (double)(key - a) / (double)(b - a);
	uint64_t at = lo + (uint64_t)(share * (double)(hi - 1 - lo));

	return at < hi ? at : hi - 1;
}

void segment_part(const struct segment *s, enum blob_class class,
		  uint64_t *from, uint64_t *end)
{
	*from = class == BLOB_NODE ? 0 : s->nodes;
	*end = class == BLOB_NODE ? s->nodes : s->nodes + s->chunks;
}

uint64_t segment_find(const struct segment *s, enum blob_class class,
		      const struct hash *id)
{
	uint64_t key = prefix_key(id->b);
	uint64_t lo, hi;

	segment_part(s, class, &lo, &hi);
	for (unsigned step = 0; lo < hi; step++) {
		uint64_t mid =
			step < 6 ? guess(s, lo, hi, key) : lo + (hi - lo) / 2;

		if (memcmp(entry_at(s, mid), id->b, PREFIX) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool segment_pack_get(const uint8_t data[SEGMENT_PACK], struct segment_pack *p)
{
	struct reader r = reader_of(data, SEGMENT_PACK);

	rd_copy(&r, p->id.b, ID_SIZE);
	p->class = rd_u8(&r);
	p->blobs = rd_u32(&r);
	p->size = rd_u32(&r);
	rd_copy(&r, p->key.b, ID_SIZE);
	return p->class == BLOB_DATA || p->class == BLOB_NODE;
}

bool segment_pack(const struct segment *s, uint32_t i, struct segment_pack *p)
{
	return i < s->packs &&
	       segment_pack_get(
		       s->data + SEGMENT_HEAD + (size_t)i * SEGMENT_PACK, p);
}

void segment_entry_get(const uint8_t data[SEGMENT_ENTRY],
		       struct segment_entry_new *n)
{
	struct reader r = reader_of(data, SEGMENT_ENTRY);

	rd_copy(&r, n->prefix, PREFIX);
	n->pack = rd_u32(&r);
	n->blob = rd_u16(&r);
	n->blob |= (uint32_t)rd_u8(&r) << 16;
	n->slot = rd_u8(&r);
}

bool segment_raw(const struct segment *s, uint64_t i,
		 struct segment_entry_new *out)
{
	if (i >= s->nodes + s->chunks)
		return false;
	segment_entry_get(entry_at(s, i), out);
	return true;
}

bool segment_place(const struct segment *s, uint64_t i, struct place *place)
{
	struct segment_entry_new n;
	struct segment_pack p;

	if (!segment_raw(s, i, &n) || !segment_pack(s, n.pack, &p) ||
	    (p.class == BLOB_NODE) != (i < s->nodes))
		return false;
	*place = (struct place){
		.pack = p.id, .class = p.class, .blob = n.blob, .slot = n.slot
	};
	return true;
}

bool segment_entry(const struct segment *s, uint64_t i, const struct hash *id,
		   struct place *place)
{
	return i < s->nodes + s->chunks &&
	       memcmp(entry_at(s, i), id->b, PREFIX) == 0 &&
	       segment_place(s, i, place);
}

void segment_leans(const struct segment *s, struct segment_leans *l)
{
	size_t at = SEGMENT_HEAD + (size_t)s->packs * SEGMENT_PACK;

	l->r = reader_of(s->data + at, s->entries_at - at);
	l->left = s->leans;
}

bool segment_leans_next(struct segment_leans *l, char **name)
{
	*name = l->left > 0 ? rd_string(&l->r, SEGMENT_NAME - 1) : NULL;
	if (*name != NULL)
		l->left--;
	return *name != NULL;
}

/* ---- writing --------------------------------------------------------- */

static int by_prefix(const void *va, const void *vb)
{
	const struct segment_entry_new *a = va;
	const struct segment_entry_new *b = vb;
	int c = memcmp(a->prefix, b->prefix, PREFIX);

	if (c != 0)
		return c;
	if (a->pack != b->pack)
		return a->pack < b->pack ? -1 : 1;
	if (a->blob != b->blob)
		return a->blob < b->blob ? -1 : 1;
	return (int)a->slot - (int)b->slot;
}

static void sort_entries(struct segment_entry_new *entries, size_t n)
{
	if (n > 1)
		qsort(entries, n, sizeof(*entries), by_prefix);
}

/* Nodes to the front; how many there are. */
static size_t part_nodes(struct segment_new *s)
{
	size_t nodes = 0;

	for (size_t i = 0; i < s->entry_count; i++) {
		struct segment_entry_new n = s->entries[i];

		if (s->packs[n.pack].class != BLOB_NODE)
			continue;
		s->entries[i] = s->entries[nodes];
		s->entries[nodes++] = n;
	}
	return nodes;
}

static void put_pack(struct buf *out, const struct segment_pack *p)
{
	wr_bytes(out, p->id.b, ID_SIZE);
	wr_u8(out, (uint8_t)p->class);
	wr_u32(out, p->blobs);
	wr_u32(out, p->size);
	wr_bytes(out, p->key.b, ID_SIZE);
}

static void put_entry(struct buf *out, const struct segment_entry_new *n)
{
	wr_bytes(out, n->prefix, PREFIX);
	wr_u32(out, n->pack);
	wr_u16(out, (uint16_t)n->blob);
	wr_u8(out, (uint8_t)(n->blob >> 16));
	wr_u8(out, n->slot);
}

void segment_encode(struct segment_new *s, struct buf *out)
{
	size_t nodes = part_nodes(s);

	sort_entries(s->entries, nodes);
	/* where there are none at all, entries is NULL */
	if (s->entry_count > nodes)
		sort_entries(s->entries + nodes, s->entry_count - nodes);
	wr_u16(out, SEGMENT_VERSION);
	wr_u16(out, 0);
	wr_u32(out, (uint32_t)s->pack_count);
	wr_bytes(out, s->session.b, ID_SIZE);
	wr_u64(out, s->generation);
	wr_u64(out, nodes);
	wr_u64(out, s->entry_count - nodes);
	wr_u32(out, (uint32_t)s->lean_count);
	wr_u32(out, 0);
	for (size_t i = 0; i < s->pack_count; i++)
		put_pack(out, &s->packs[i]);
	for (size_t i = 0; i < s->lean_count; i++)
		wr_string(out, s->leans[i]);
	for (size_t i = 0; i < s->entry_count; i++)
		put_entry(out, &s->entries[i]);
}

void segment_name(const struct id *session, unsigned number,
		  char out[SEGMENT_NAME])
{
	char hex[ID_TEXT];

	hex_encode(session->b, ID_SIZE, hex);
	snprintf(out, SEGMENT_NAME, "idx/%s-%u", hex, number);
}
