/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

static const char head_magic[8] = "VMKPACK";
static const char tail_magic[8] = "VMKEND";

DEFINE_AUTO(sealer_free, struct sealer *);

void pack_name(enum blob_class class, const struct id *pack,
	       char out[PACK_NAME])
{
	char hex[ID_TEXT];

	hex_encode(pack->b, ID_SIZE, hex);
	snprintf(out, PACK_NAME, "%s/%.2s/%s",
		 class == BLOB_DATA ? "data" : "meta", hex, hex);
}

/* ---- header and trailer --------------------------------------------- */

void pack_header_encode(const struct pack_header *h, struct buf *out)
{
	wr_bytes(out, head_magic, sizeof(head_magic));
	wr_u16(out, FORMAT_VERSION);
	wr_u8(out, FORMAT_SUITE);
	wr_u8(out, (uint8_t)h->class);
	wr_u32(out, 0);
	wr_bytes(out, h->pack.b, ID_SIZE);
	wr_bytes(out, h->salt, SALT_SIZE);
	wr_bytes(out, h->key.b, ID_SIZE);
	wr_bytes(out, h->session.b, ID_SIZE);
}

int pack_header_decode(const uint8_t data[PACK_HEADER], struct pack_header *h,
		       struct err *e)
{
	struct reader r = reader_of(data, PACK_HEADER);
	char magic[sizeof(head_magic)];

	rd_copy(&r, magic, sizeof(magic));
	uint16_t version = rd_u16(&r);
	uint8_t suite = rd_u8(&r);
	uint8_t class = rd_u8(&r);

	if (memcmp(magic, head_magic, sizeof(magic)) != 0 ||
	    version != FORMAT_VERSION || suite != FORMAT_SUITE ||
	    (class != BLOB_DATA && class != BLOB_NODE) || rd_u32(&r) != 0)
		return err_set(e, ERR_INTEGRITY, "not a pack's header");
	h->class = class;
	rd_copy(&r, h->pack.b, ID_SIZE);
	rd_copy(&r, h->salt, SALT_SIZE);
	rd_copy(&r, h->key.b, ID_SIZE);
	rd_copy(&r, h->session.b, ID_SIZE);
	return 0;
}

void pack_trailer_encode(const struct pack_trailer *t, struct buf *out)
{
	wr_u64(out, t->footer_offset);
	wr_u32(out, t->footer_size);
	wr_bytes(out, t->sum.b, HASH_SIZE);
	wr_bytes(out, tail_magic, sizeof(tail_magic));
}

int pack_trailer_decode(const uint8_t data[PACK_TRAILER],
			struct pack_trailer *t, struct err *e)
{
	struct reader r = reader_of(data, PACK_TRAILER);
	char magic[sizeof(tail_magic)];

	t->footer_offset = rd_u64(&r);
	t->footer_size = rd_u32(&r);
	rd_copy(&r, t->sum.b, HASH_SIZE);
	rd_copy(&r, magic, sizeof(magic));
	if (memcmp(magic, tail_magic, sizeof(magic)) != 0 ||
	    t->footer_offset < PACK_HEADER ||
	    t->footer_offset > PACK_MAX_SIZE || t->footer_size < SEAL_TAG ||
	    t->footer_size > PACK_MAX_SIZE)
		return err_set(e, ERR_INTEGRITY, "not a pack's trailer");
	return 0;
}

/* ---- footer --------------------------------------------------------- */

void footer_fini(struct footer *f)
{
	free(f->blobs);
	free(f->slots);
	memset(f, 0, sizeof(*f));
}

/* Grow in steps, so that a pack costs a few allocations, not one a blob. */
static void *grow(void *p, uint32_t *room, uint32_t need, size_t size)
{
	if (need <= *room)
		return p;
	*room = need + need / 2 + 64;
	return mem_grow(p, *room, size);
}

uint32_t footer_add(struct footer *f, const struct blob *b,
		    const struct slot *slots)
{
	f->blobs = grow(f->blobs, &f->blob_room, f->blob_count + 1,
			sizeof(*f->blobs));
	f->slots = grow(f->slots, &f->slot_room, f->slot_count + b->slots,
			sizeof(*f->slots));
	f->blobs[f->blob_count] = *b;
	f->blobs[f->blob_count].first = f->slot_count;
	if (b->slots > 0)
		memcpy(f->slots + f->slot_count, slots,
		       b->slots * sizeof(*slots));
	f->slot_count += b->slots;
	return f->blob_count++;
}

/* Fixed part of a blob's entry, of an origin, of a slot. */
#define ENTRY_BLOB   (4 + 4 + 4 + 1 + 1 + 1)
#define ENTRY_ORIGIN (ID_SIZE + SALT_SIZE + ID_SIZE + 4)
#define ENTRY_SLOT   (4 + HASH_SIZE)

size_t footer_sealed_size(const struct footer *f)
{
	size_t size = 4 + (size_t)f->blob_count * ENTRY_BLOB +
		      (size_t)f->slot_count * ENTRY_SLOT + SEAL_TAG;

	for (uint32_t i = 0; i < f->blob_count; i++)
		if (f->blobs[i].moved)
			size += ENTRY_ORIGIN;
	return size;
}

/* An empty footer has no table of slots to point into. */
static const struct slot *slots_of(const struct footer *f, const struct blob *b)
{
	return b->slots > 0 ? f->slots + b->first : NULL;
}

static void put_blob(struct buf *b, const struct blob *blob,
		     const struct slot *slots)
{
	wr_u32(b, blob->offset);
	wr_u32(b, blob->stored);
	wr_u32(b, blob->raw);
	wr_u8(b, blob->method);
	wr_u8(b, blob->slots);
	wr_u8(b, blob->moved);
	if (blob->moved) {
		wr_bytes(b, blob->origin.pack.b, ID_SIZE);
		wr_bytes(b, blob->origin.salt, SALT_SIZE);
		wr_bytes(b, blob->origin.key.b, ID_SIZE);
		wr_u32(b, blob->origin.number);
	}
	for (size_t i = 0; i < blob->slots; i++) {
		wr_u32(b, slots[i].size);
		wr_bytes(b, slots[i].id.b, HASH_SIZE);
	}
}

void footer_encode(const struct footer *f, struct buf *out)
{
	wr_u32(out, f->blob_count);
	for (uint32_t i = 0; i < f->blob_count; i++)
		put_blob(out, &f->blobs[i], slots_of(f, &f->blobs[i]));
}

static struct sealer *footer_sealer(const struct pack_header *h,
				    const uint8_t meta_key[32], struct err *e)
{
	uint8_t salt[SALT_SIZE + ID_SIZE];

	memcpy(salt, h->salt, SALT_SIZE);
	memcpy(salt + SALT_SIZE, h->pack.b, ID_SIZE);
	return sealer_new(meta_key, salt, sizeof(salt), "vmkeep footer", e);
}

int footer_seal(const struct pack_header *h, const uint8_t meta_key[32],
		const struct footer *f, struct buf *out, struct err *e)
{
	AUTO(sealer_free_at) struct sealer *s = footer_sealer(h, meta_key, e);
	AUTO(buf_fini) struct buf plain = BUF_INIT;
	AUTO(buf_fini) struct buf head = BUF_INIT;

	if (s == NULL)
		return -1;
	footer_encode(f, &plain);
	pack_header_encode(h, &head);
	uint8_t *to = buf_room(out, plain.len + SEAL_TAG);

	if (sealer_seal(s, 0, head.p, head.len, plain.p, plain.len, to, e) < 0)
		return -1;
	out->len += plain.len + SEAL_TAG;
	return 0;
}

static void get_origin(struct reader *r, struct blob_origin *o)
{
	rd_copy(r, o->pack.b, ID_SIZE);
	rd_copy(r, o->salt, SALT_SIZE);
	rd_copy(r, o->key.b, ID_SIZE);
	o->number = rd_u32(r);
}

/* One blob's entry, with all that can be wrong in it. */
static bool get_blob(struct reader *r, uint64_t body_end, struct footer *f)
{
	struct blob b = { 0 };
	struct slot slots[BLOB_MAX_SLOTS];
	uint64_t total = 0;

	b.offset = rd_u32(r);
	b.stored = rd_u32(r);
	b.raw = rd_u32(r);
	b.method = rd_u8(r);
	b.slots = rd_u8(r);
	uint8_t moved = rd_u8(r);

	b.moved = moved == 1;
	if (b.moved)
		get_origin(r, &b.origin);
	for (size_t i = 0; i < b.slots && !r->bad; i++) {
		slots[i].size = rd_u32(r);
		rd_copy(r, slots[i].id.b, HASH_SIZE);
		total += slots[i].size;
	}
	if (r->bad || moved > 1 || b.slots == 0 || b.method > ZIP_ZSTD ||
	    b.raw > BLOB_MAX_RAW || total != b.raw || b.stored < SEAL_TAG ||
	    b.offset < PACK_HEADER || (uint64_t)b.offset + b.stored > body_end)
		return false;
	footer_add(f, &b, slots);
	return true;
}

int footer_decode(const void *data, size_t size, uint64_t body_end,
		  struct footer *f, struct err *e)
{
	struct reader r = reader_of(data, size);
	struct footer got = { 0 };
	uint32_t count = rd_u32(&r);
	bool ok = count <= PACK_MAX_BLOBS;

	for (uint32_t i = 0; i < count && ok; i++)
		ok = get_blob(&r, body_end, &got);
	if (!ok || !rd_complete(&r)) {
		footer_fini(&got);
		return err_set(e, ERR_INTEGRITY, "not a pack's footer");
	}
	*f = got;
	return 0;
}

int footer_open(const struct pack_header *h, const uint8_t meta_key[32],
		const void *data, size_t size, uint64_t body_end,
		struct footer *f, struct err *e)
{
	AUTO(sealer_free_at) struct sealer *s = footer_sealer(h, meta_key, e);
	AUTO(buf_fini) struct buf plain = BUF_INIT;
	AUTO(buf_fini) struct buf head = BUF_INIT;

	if (s == NULL)
		return -1;
	if (size < SEAL_TAG)
		return err_set(e, ERR_INTEGRITY, "not a pack's footer");
	pack_header_encode(h, &head);
	plain.len = size - SEAL_TAG;
	plain.p = mem_try(plain.len, 1);
	plain.cap = plain.len;
	if (plain.p == NULL)
		return err_set(e, ERR_FAILED, "no memory for a footer");
	if (sealer_open(s, 0, head.p, head.len, data, plain.len, plain.p, e) <
	    0)
		return -1;
	return footer_decode(plain.p, plain.len, body_end, f, e);
}

/* ---- blobs ---------------------------------------------------------- */

void blob_aad(enum blob_class class, const struct blob *b,
	      const struct slot *slots, struct buf *out)
{
	buf_clear(out);
	wr_u8(out, (uint8_t) class);
	wr_u8(out, b->method);
	wr_u32(out, b->raw);
	wr_u8(out, b->slots);
	for (size_t i = 0; i < b->slots; i++) {
		wr_u32(out, slots[i].size);
		wr_bytes(out, slots[i].id.b, HASH_SIZE);
	}
}

struct sealer *pack_sealer(const uint8_t key[32], const struct id *pack,
			   const uint8_t salt[SALT_SIZE], struct err *e)
{
	uint8_t both[SALT_SIZE + ID_SIZE];

	memcpy(both, salt, SALT_SIZE);
	memcpy(both + SALT_SIZE, pack->b, ID_SIZE);
	return sealer_new(key, both, sizeof(both), "vmkeep blob", e);
}
