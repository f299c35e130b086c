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

int segment_parse(const void *data, size_t size, struct segment *s,
		  struct err *e)
{
	struct reader r = reader_of(data, size);
	uint16_t version = rd_u16(&r);
	uint64_t need;

	rd_u16(&r);
	s->data = data;
	s->size = size;
	s->packs = rd_u32(&r);
	rd_copy(&r, s->session.b, ID_SIZE);
	s->generation = rd_u64(&r);
	s->entries = rd_u64(&r);
	if (r.bad || version != SEGMENT_VERSION ||
	    __builtin_mul_overflow(s->entries, SEGMENT_ENTRY, &need) ||
	    __builtin_add_overflow(need, (uint64_t)s->packs * SEGMENT_PACK,
				   &need) ||
	    need != r.left)
		return segment_bad(e);
	return 0;
}

static const uint8_t *entry_at(const struct segment *s, uint64_t i)
{
	return s->data + SEGMENT_HEAD + (size_t)s->packs * SEGMENT_PACK +
	       (size_t)i * SEGMENT_ENTRY;
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

uint64_t segment_find(const struct segment *s, const struct hash *id)
{
	uint64_t key = prefix_key(id->b);
	uint64_t lo = 0;
	uint64_t hi = s->entries;

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

bool segment_pack(const struct segment *s, uint32_t i, struct id *pack,
		  enum blob_class *class)
{
	if (i >= s->packs)
		return false;
	const uint8_t *p = s->data + SEGMENT_HEAD + (size_t)i * SEGMENT_PACK;

	memcpy(pack->b, p, ID_SIZE);
	*class = p[ID_SIZE];
	return *class == BLOB_DATA || *class == BLOB_NODE;
}

bool segment_place(const struct segment *s, uint64_t i, struct place *place)
{
	if (i >= s->entries)
		return false;
	struct reader r =
		reader_of(entry_at(s, i) + PREFIX, SEGMENT_ENTRY - PREFIX);
	uint32_t pack = rd_u32(&r);
	uint32_t lo = rd_u16(&r);

	place->blob = lo | (uint32_t)rd_u8(&r) << 16;
	place->slot = rd_u8(&r);
	return segment_pack(s, pack, &place->pack, &place->class);
}

bool segment_entry(const struct segment *s, uint64_t i, const struct hash *id,
		   struct place *place)
{
	return i < s->entries && memcmp(entry_at(s, i), id->b, PREFIX) == 0 &&
	       segment_place(s, i, place);
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

void segment_encode(struct segment_new *s, struct buf *out)
{
	if (s->entry_count > 0)
		qsort(s->entries, s->entry_count, sizeof(*s->entries),
		      by_prefix);
	wr_u16(out, SEGMENT_VERSION);
	wr_u16(out, 0);
	wr_u32(out, (uint32_t)s->pack_count);
	wr_bytes(out, s->session.b, ID_SIZE);
	wr_u64(out, s->generation);
	wr_u64(out, s->entry_count);
	for (size_t i = 0; i < s->pack_count; i++) {
		wr_bytes(out, s->packs[i].id.b, ID_SIZE);
		wr_u8(out, (uint8_t)s->packs[i].class);
	}
	for (size_t i = 0; i < s->entry_count; i++) {
		const struct segment_entry_new *n = &s->entries[i];

		wr_bytes(out, n->prefix, PREFIX);
		wr_u32(out, n->pack);
		wr_u16(out, (uint16_t)n->blob);
		wr_u8(out, (uint8_t)(n->blob >> 16));
		wr_u8(out, n->slot);
	}
}

void segment_name(const struct id *session, unsigned number,
		  char out[SEGMENT_NAME])
{
	char hex[ID_TEXT];

	hex_encode(session->b, ID_SIZE, hex);
	snprintf(out, SEGMENT_NAME, "idx/%s-%u", hex, number);
}
