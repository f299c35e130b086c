/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/haul.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "codec/zip.h"
#include "repo/internal.h"
#include "repo/reader_internal.h"

/* Blobs in a part: some 8 MiB of an image, so that a part is much to read at
 * once, and little when a thread waits for another one's last part. */
#define PART_BLOBS 16

/* What is read at once.  Bytes between blobs that nobody wants are read, too,
 * where that costs less than another request. */
#define READ_MAX (2u << 20)
#define GAP_MAX  (128u << 10)

struct part {
	uint64_t rank;
	uint32_t first; /* piece */
	uint32_t count;
};

struct haul {
	size_t max;
	size_t count;
	size_t part_count;
	struct haul_piece *pieces;
	struct part *parts; /* at most one a piece */
};

struct haul *haul_new(size_t max, struct err *e)
{
	struct haul *h = mem_zalloc(1, sizeof(*h));

	h->max = max;
	h->pieces = mem_try(max, sizeof(*h->pieces));
	h->parts = mem_try(max, sizeof(*h->parts));
	if (h->pieces == NULL || h->parts == NULL) {
		haul_free(h);
		err_set(e, ERR_FAILED, "no memory for what is to be read");
		return NULL;
	}
	return h;
}

void haul_free(struct haul *h)
{
	if (h == NULL)
		return;
	free(h->pieces);
	free(h->parts);
	free(h);
}

/* ---- what is wanted -------------------------------------------------- */

void haul_locate(struct reader_thread *t, struct haul_piece *pieces,
		 size_t count)
{
	for (size_t i = 0; i < count; i++)
		pieces[i].found = fetch_place(t->fetch, BLOB_DATA,
					      &pieces[i].id, &pieces[i].place);
}

bool haul_add(struct haul *h, const struct haul_piece *pieces, size_t count)
{
	if (count > h->max - h->count)
		return false;
	if (count > 0)
		memcpy(h->pieces + h->count, pieces, count * sizeof(*pieces));
	h->count += count;
	return true;
}

static int by_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* What was not found comes last. */
static int by_place(const void *a, const void *b)
{
	const struct haul_piece *x = a;
	const struct haul_piece *y = b;
	int d = y->found - x->found;

	if (d == 0 && x->found)
		d = memcmp(x->place.pack.b, y->place.pack.b, ID_SIZE);
	if (d == 0 && x->found)
		d = by_number(x->place.blob, y->place.blob);
	if (d == 0 && x->found)
		d = by_number(x->place.slot, y->place.slot);
	return d != 0 ? d : by_number(x->offset, y->offset);
}

static bool same_pack(const struct haul_piece *a, const struct haul_piece *b)
{
	return a->found == b->found &&
	       (!a->found ||
		memcmp(a->place.pack.b, b->place.pack.b, ID_SIZE) == 0);
}

/* How many pieces from `first` on make the next part.  A chunk that is in an
 * image a million times is one blob in many pieces: they are shared out. */
static size_t part_size(const struct haul *h, size_t first)
{
	const struct haul_piece *p = &h->pieces[first];
	size_t most = (size_t)PART_BLOBS * BLOB_MAX_SLOTS;
	size_t blobs = 1;
	size_t n = 1;

	for (; first + n < h->count && n < most; n++) {
		if (!same_pack(p, &p[n]))
			break;
		if (p[n].place.blob != p[n - 1].place.blob &&
		    ++blobs > PART_BLOBS)
			break;
	}
	return n;
}

/* Where in the image the pack of a piece is wanted first. */
static uint64_t pack_rank(const struct haul *h, size_t first)
{
	uint64_t rank = UINT64_MAX;

	for (size_t i = first; i < h->count; i++) {
		if (!same_pack(&h->pieces[first], &h->pieces[i]))
			break;
		if (h->pieces[i].offset < rank)
			rank = h->pieces[i].offset;
	}
	return rank;
}

static int by_rank(const void *a, const void *b)
{
	const struct part *x = a;
	const struct part *y = b;
	int d = by_number(x->rank, y->rank);

	return d != 0 ? d : by_number(x->first, y->first);
}

/* Packs come in the order in which the image wants them, so that what is
 * written is nearly in order, too. */
void haul_sort(struct haul *h)
{
	uint64_t rank = 0;

	assert(h->part_count == 0);
	qsort(h->pieces, h->count, sizeof(*h->pieces), by_place);
	for (size_t i = 0, n; i < h->count; i += n) {
		n = part_size(h, i);
		if (i == 0 || !same_pack(&h->pieces[i - 1], &h->pieces[i]))
			rank = pack_rank(h, i);
		h->parts[h->part_count++] = (struct part){
			.rank = rank,
			.first = (uint32_t)i,
			.count = (uint32_t)n,
		};
	}
	qsort(h->parts, h->part_count, sizeof(*h->parts), by_rank);
}

size_t haul_parts(const struct haul *h)
{
	return h->part_count;
}

uint64_t haul_part_bytes(const struct haul *h, size_t part)
{
	const struct part *p = &h->parts[part];
	uint64_t sum = 0;

	for (size_t i = 0; i < p->count; i++)
		sum += h->pieces[p->first + i].size;
	return sum;
}

/* ---- carrying a part ------------------------------------------------- */

/* One part under way. */
struct carry {
	struct reader_thread *t;
	const struct footer_use *use; /* of the pack */
	const struct haul_sink *sink;
};

static int flush(const struct carry *c, struct err *e)
{
	c->t->raw_used = 0;
	return c->sink->flush(c->sink->ctx, e);
}

static int where(const struct haul_piece *p, struct err *e)
{
	return err_ctx(e, "bytes %" PRIu64 " to %" PRIu64, p->offset,
		       p->offset + p->size);
}

/* One by one, wherever it may be: for what could not be had together. */
static int carry_slowly(const struct carry *c, const struct haul_piece *p,
			size_t count, struct err *e)
{
	for (; count > 0; count--, p++) {
		const uint8_t *data;
		size_t size;

		if (fetch_get(c->t->fetch, BLOB_DATA, &p->id, &data, &size, e) <
		    0)
			return where(p, e);
		if (size != p->size) {
			err_set(e, ERR_INTEGRITY, "a chunk of the wrong size");
			return where(p, e);
		}
		/* it is gone with the next one */
		if (c->sink->take(c->sink->ctx, p->offset, data, size, e) < 0 ||
		    flush(c, e) < 0)
			return -1;
	}
	return 0;
}

/* How many of the pieces that begin with p are of its blob. */
static size_t of_blob(const struct haul_piece *p, size_t count)
{
	size_t n = 1;

	while (n < count && p[n].place.blob == p->place.blob)
		n++;
	return n;
}

/* The footer is not the one that the place was found with where somebody has
 * put another object there. */
static bool fits(const struct carry *c, const struct haul_piece *p)
{
	const struct footer *f = &c->use->footer;

	if (p->place.blob >= f->blob_count)
		return false;
	const struct blob *b = &f->blobs[p->place.blob];
	const struct slot *s = &f->slots[b->first + p->place.slot];

	return p->place.slot < b->slots && s->size == p->size &&
	       hash_equal(&s->id, &p->id);
}

static size_t slot_offset(const struct carry *c, const struct place *place)
{
	const struct blob *b = &c->use->footer.blobs[place->blob];
	size_t offset = 0;

	for (size_t i = 0; i < place->slot; i++)
		offset += c->use->footer.slots[b->first + i].size;
	return offset;
}

/* The same chunk in another place of the image was checked already. */
static bool checked(const struct carry *c, const struct haul_piece *p,
		    bool again, const uint8_t *data)
{
	return (again && p->place.slot == p[-1].place.slot) ||
	       fetch_holds(c->t->fetch, BLOB_DATA, data, p->size, &p->id);
}

/*
 * From the open blob: the longest run of good pieces that follow one another in
 * the image as they do here, in one.  *done of them; 0 when the first one is
 * not what its id says.
 */
static int carry_run(const struct carry *c, const struct haul_piece *p,
		     size_t count, bool again, size_t *done, struct err *e)
{
	const uint8_t *data = c->t->open + slot_offset(c, &p->place);
	size_t size = 0;
	size_t n = 0;

	while (n < count &&
	       (n == 0 || (p[n].place.slot == p[n - 1].place.slot + 1 &&
			   p[n].offset == p->offset + size)) &&
	       fits(c, &p[n]) && checked(c, &p[n], again, data + size)) {
		size += p[n].size;
		again = true;
		n++;
	}
	*done = n;
	return n > 0 ? c->sink->take(c->sink->ctx, p->offset, data, size, e)
		     : 0;
}

static int carry_open(const struct carry *c, const struct haul_piece *p,
		      size_t count, struct err *e)
{
	bool good = false; /* the piece before */

	for (size_t done; count > 0; p += done, count -= done) {
		if (carry_run(c, p, count, good, &done, e) < 0)
			return -1;
		good = done > 0;
		if (good)
			continue;
		if (carry_slowly(c, p, 1, e) < 0)
			return -1;
		done = 1;
	}
	return 0;
}

static const struct blob *blob_of(const struct carry *c,
				  const struct haul_piece *p)
{
	return &c->use->footer.blobs[p->place.blob];
}

/* Pieces of one blob whose sealed bytes are here. */
static int carry_blob(const struct carry *c, const struct haul_piece *p,
		      size_t count, const uint8_t *sealed, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct reader_thread *t = c->t;

	if (t->raw_room - t->raw_used < BLOB_MAX_RAW && flush(c, e) < 0)
		return -1;
	t->open = t->raw + t->raw_used;
	if (fetch_open(t->fetch, c->use, p->place.blob, sealed, t->open,
		       &ignored) < 0)
		return carry_slowly(c, p, count, e);
	/* pages: what follows is aligned, too */
	t->raw_used += num_parts(blob_of(c, p)->raw, PAGE_SIZE_BYTES) *
		       PAGE_SIZE_BYTES;
	return carry_open(c, p, count, e);
}

/* ---- reading --------------------------------------------------------- */

/* Bytes of a pack, and how many pieces they are for. */
struct span {
	uint64_t from, to;
	size_t count;
};

/* As many blobs as lie near each other; their order in the pack is that of
 * their numbers, but that is nothing to rely on. */
static struct span span_of(const struct carry *c, const struct haul_piece *p,
			   size_t count)
{
	const struct blob *b = blob_of(c, p);
	struct span s = { .from = b->offset,
			  .to = (uint64_t)b->offset + b->stored };

	s.count = of_blob(p, count);
	while (s.count < count && fits(c, &p[s.count])) {
		b = blob_of(c, &p[s.count]);
		uint64_t to = (uint64_t)b->offset + b->stored;

		if (b->offset < s.to || b->offset - s.to > GAP_MAX ||
		    to - s.from > READ_MAX)
			break;
		s.to = to;
		s.count += of_blob(p + s.count, count - s.count);
	}
	return s;
}

/* Why it cannot be read is found out again, chunk by chunk. */
static int read_span(const struct carry *c, const struct haul_piece *p,
		     const struct span *s)
{
	struct err ignored = ERR_INIT;

	if (s->to - s->from > READ_MAX)
		return -1;
	return fetch_read(c->t->fetch, &p->place, s->from, s->to - s->from,
			  c->t->sealed, &ignored);
}

static int carry_span(const struct carry *c, const struct haul_piece *p,
		      const struct span *s, struct err *e)
{
	if (read_span(c, p, s) < 0)
		return carry_slowly(c, p, s->count, e);
	for (size_t i = 0, n; i < s->count; i += n) {
		const uint8_t *at =
			c->t->sealed + (blob_of(c, &p[i])->offset - s->from);

		n = of_blob(p + i, s->count - i);
		if (carry_blob(c, p + i, n, at, e) < 0)
			return -1;
	}
	return 0;
}

static int carry_all(const struct carry *c, const struct haul_piece *p,
		     size_t count, struct err *e)
{
	struct span s;

	for (; count > 0; p += s.count, count -= s.count) {
		if (!fits(c, p)) {
			s.count = 1;
			if (carry_slowly(c, p, 1, e) < 0)
				return -1;
			continue;
		}
		s = span_of(c, p, count);
		if (carry_span(c, p, &s, e) < 0)
			return -1;
	}
	return 0;
}

static int prepare(struct reader_thread *t, size_t room, struct err *e)
{
	if (t->sealed == NULL)
		t->sealed = mem_try_pages(READ_MAX);
	if (t->raw == NULL) {
		t->raw_room = num_max(room, BLOB_MAX_RAW);
		t->raw = mem_try_pages(t->raw_room);
	}
	if (t->sealed == NULL || t->raw == NULL)
		return err_set(e, ERR_FAILED, "no memory to read packs with");
	return 0;
}

int haul_carry(struct haul *h, size_t part, struct reader_thread *t,
	       const struct haul_sink *sink, struct err *e)
{
	const struct part *w = &h->parts[part];
	const struct haul_piece *p = &h->pieces[w->first];
	struct carry c = { .t = t, .sink = sink };
	struct err ignored = ERR_INIT;

	if (prepare(t, sink->room, e) < 0)
		return -1;
	if (p->found)
		c.use = fetch_footer(t->fetch, &p->place, &ignored);
	int ok = c.use != NULL ? carry_all(&c, p, w->count, e)
			       : carry_slowly(&c, p, w->count, e);

	fetch_footer_done(t->fetch, c.use);
	return ok < 0 ? -1 : flush(&c, e);
}
