/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/shelf_internal.h"

/* A part while it is written. */
struct part_writer {
	uint64_t low, high;
	struct buf fences;
	struct buf filters; /* their lines in the table */
	struct buf bytes;   /* of all filters */
	uint32_t filter_count;
	uint64_t *keys; /* of the filter that comes next, different ones */
	uint32_t key_count;
	uint32_t key_most; /* so many, and a filter is made */
};

static void part_writer_fini(struct part_writer *p)
{
	buf_fini(&p->fences);
	buf_fini(&p->filters);
	buf_fini(&p->bytes);
	free(p->keys);
}

static bool part_writer_init(struct part_writer *p, uint64_t count)
{
	uint64_t filters = num_parts(count, SHELF_FILTER_KEYS);

	p->key_most = filters > 0 ? (uint32_t)num_parts(count, filters) : 0;
	p->keys = mem_try(p->key_most + 1, sizeof(*p->keys));
	return p->keys != NULL;
}

static void make_filter(struct part_writer *p)
{
	uint32_t seed = SHELF_NO_FILTER;
	size_t size = filter_size(p->key_count);

	if (p->key_count == 0)
		return;
	if (filter_build(p->keys, p->key_count, buf_room(&p->bytes, size),
			 &seed))
		p->bytes.len += size;
	else
		seed = SHELF_NO_FILTER; /* all pass: it costs time, no more */
	wr_u64(&p->filters, p->keys[0]);
	wr_u32(&p->filters, p->key_count);
	wr_u32(&p->filters, seed);
	p->filter_count++;
	p->key_count = 0;
}

/* Equal keys follow one another, and go into one filter. */
static void add_key(struct part_writer *p, uint64_t key)
{
	if (p->key_count > 0 && p->keys[p->key_count - 1] == key)
		return;
	if (p->key_count == p->key_most)
		make_filter(p);
	p->keys[p->key_count++] = key;
}

static int write_part(struct pages_writer *w, const struct segment *s,
		      enum blob_class class, struct part_writer *p,
		      struct err *e)
{
	const uint8_t *last = NULL;
	uint64_t from, end;

	segment_part(s, class, &from, &end);
	if (!part_writer_init(p, end - from))
		return err_set(e, ERR_FAILED, "no memory for an index filter");
	pages_next(w);
	for (uint64_t i = from; i < end; i++) {
		const uint8_t *entry = segment_prefix(s, i);
		uint64_t key = shelf_key(entry);

		if (last != NULL && memcmp(last, entry, 16) > 0)
			return err_set(e, ERR_INTEGRITY,
				       "its entries are not sorted");
		if ((i - from) % SHELF_ENTRIES == 0)
			wr_u32(&p->fences, (uint32_t)(key >> 32));
		p->low = i == from ? key : p->low;
		p->high = key;
		add_key(p, key);
		pages_add(w, entry, SEGMENT_ENTRY);
		last = entry;
	}
	make_filter(p);
	return 0;
}

static void write_table(struct pages_writer *w, const struct part_writer *p)
{
	AUTO(buf_fini) struct buf range = BUF_INIT;

	wr_u64(&range, p->low);
	wr_u64(&range, p->high);
	pages_stream(w, range.p, range.len);
	pages_stream(w, p->fences.p, p->fences.len);
	pages_stream(w, p->filters.p, p->filters.len);
}

static void write_head(struct pages_writer *w, const struct segment *s,
		       uint64_t leans_size, const struct part_writer parts[2])
{
	const uint64_t entries[2] = { s->nodes, s->chunks };
	AUTO(buf_fini) struct buf b = BUF_INIT;

	wr_bytes(&b, SHELF_MAGIC, sizeof(SHELF_MAGIC));
	wr_bytes(&b, s->session.b, ID_SIZE);
	wr_u64(&b, s->generation);
	wr_u32(&b, s->packs);
	wr_u32(&b, s->leans);
	wr_u64(&b, leans_size);
	for (size_t i = 0; i < 2; i++) {
		wr_u64(&b, entries[i]);
		wr_u32(&b, parts[i].filter_count);
		wr_u64(&b, parts[i].bytes.len);
	}
	pages_next(w);
	pages_add(w, b.p, b.len);
}

static int write_packs(struct pages_writer *w, const struct segment *s,
		       struct err *e)
{
	struct segment_pack p;

	pages_next(w);
	for (uint32_t i = 0; i < s->packs; i++) {
		if (!segment_pack(s, i, &p))
			return err_set(e, ERR_INTEGRITY,
				       "names a pack of no class");
		pages_add(w, s->data + SEGMENT_HEAD + (size_t)i * SEGMENT_PACK,
			  SEGMENT_PACK);
	}
	return 0;
}

static int write_all(struct pages_writer *w, const struct segment *s,
		     struct part_writer parts[2], struct err *e)
{
	const uint8_t *leans =
		s->data + SEGMENT_HEAD + (size_t)s->packs * SEGMENT_PACK;
	size_t leans_size = (size_t)(s->data + s->entries_at - leans);

	pages_stream(w, leans, leans_size);
	if (write_packs(w, s, e) < 0 ||
	    write_part(w, s, BLOB_NODE, &parts[0], e) < 0 ||
	    write_part(w, s, BLOB_DATA, &parts[1], e) < 0)
		return -1;
	pages_next(w);
	for (size_t i = 0; i < 2; i++)
		write_table(w, &parts[i]);
	for (size_t i = 0; i < 2; i++) {
		pages_next(w);
		pages_stream(w, parts[i].bytes.p, parts[i].bytes.len);
	}
	write_head(w, s, leans_size, parts);
	return pages_finish(w, e);
}

int shelf_write(struct pages_writer *w, const struct segment *s, struct err *e)
{
	struct part_writer parts[2] = { 0 };
	int written = write_all(w, s, parts, e);

	part_writer_fini(&parts[0]);
	part_writer_fini(&parts[1]);
	return written;
}
