/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/shelf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/shelf_internal.h"

uint64_t shelf_key(const uint8_t *prefix)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | prefix[i];
	return v;
}

/* The first four bytes: what a fence is. */
static uint32_t fence_key(const uint8_t *prefix)
{
	return (uint32_t)(shelf_key(prefix) >> 32);
}

struct shelf_part *shelf_part(struct shelf *sh, enum blob_class class)
{
	return class == BLOB_NODE ? &sh->nodes : &sh->chunks;
}

/* ---- opening --------------------------------------------------------- */

static void part_fini(struct shelf_part *p)
{
	free(p->fences);
	free(p->filters);
	free(p->filter_bytes);
}

void shelf_fini(struct shelf *sh)
{
	part_fini(&sh->nodes);
	part_fini(&sh->chunks);
	for (uint32_t i = 0; i < sh->lean_count; i++)
		free(sh->leans[i]);
	free(sh->leans);
	pages_fini(&sh->pages);
	memset(sh, 0, sizeof(*sh));
	sh->pages.fd = -1;
}

static int shelf_bad(struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "not a segment as it is kept here");
}

/* No number in it is near an overflow: then sums need no checks. */
static bool head_decode(struct reader *r, struct shelf_head *h)
{
	char magic[sizeof(SHELF_MAGIC)];

	rd_copy(r, magic, sizeof(magic));
	rd_copy(r, h->session.b, ID_SIZE);
	h->generation = rd_u64(r);
	h->packs = rd_u32(r);
	h->leans = rd_u32(r);
	h->leans_size = rd_u64(r);
	bool fits = h->leans_size < SHELF_MOST;

	for (size_t i = 0; i < 2; i++) {
		h->entries[i] = rd_u64(r);
		h->filters[i] = rd_u32(r);
		h->filters_size[i] = rd_u64(r);
		fits = fits && h->entries[i] < SHELF_MOST &&
		       h->filters_size[i] < SHELF_MOST;
	}
	return fits && memcmp(magic, SHELF_MAGIC, sizeof(magic)) == 0;
}

/* Where everything is: false when it is not as many pages as there are. */
static bool lay_out(struct shelf *sh, const struct shelf_head *h,
		    uint64_t *tables)
{
	struct shelf_part *parts[2] = { &sh->nodes, &sh->chunks };
	uint64_t at = num_parts(h->leans_size, PAGES_CONTENT);
	uint64_t size = 0;

	sh->packs_page = at;
	at += num_parts(h->packs, SHELF_PACKS);
	for (size_t i = 0; i < 2; i++) {
		parts[i]->first = i == 0 ? 0 : h->entries[0];
		parts[i]->count = h->entries[i];
		parts[i]->page = at;
		parts[i]->pages = num_parts(h->entries[i], SHELF_ENTRIES);
		parts[i]->filter_count = h->filters[i];
		parts[i]->filter_size = h->filters_size[i];
		at += parts[i]->pages;
		size += shelf_table_size(parts[i]);
	}
	*tables = at;
	at += num_parts(size, PAGES_CONTENT);
	for (size_t i = 0; i < 2; i++) {
		parts[i]->filter_page = at;
		at += num_parts(parts[i]->filter_size, PAGES_CONTENT);
	}
	return at + 1 == sh->pages.count;
}

static bool get_filters(struct reader *r, struct shelf_part *p)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < p->filter_count; i++) {
		struct shelf_filter *f = &p->filters[i];

		f->from = rd_u64(r);
		f->keys = rd_u32(r);
		f->seed = rd_u32(r);
		f->at = size;
		if (f->keys > FILTER_MAX_KEYS)
			return false;
		if (f->seed != SHELF_NO_FILTER)
			size += filter_size(f->keys);
	}
	return size == p->filter_size &&
	       (p->count == 0) == (p->filter_count == 0);
}

static bool get_table(struct reader *r, struct shelf_part *p)
{
	p->low = rd_u64(r);
	p->high = rd_u64(r);
	p->fences = mem_try(p->pages, sizeof(*p->fences));
	p->filters = mem_try(p->filter_count, sizeof(*p->filters));
	if (p->fences == NULL || p->filters == NULL)
		return false;
	for (uint64_t i = 0; i < p->pages; i++)
		p->fences[i] = rd_u32(r);
	return get_filters(r, p);
}

static int load_tables(struct shelf *sh, uint64_t page, struct err *e)
{
	size_t size =
		shelf_table_size(&sh->nodes) + shelf_table_size(&sh->chunks);
	autofree uint8_t *bytes = mem_try(size, 1);

	if (bytes == NULL)
		return err_set(e, ERR_FAILED, "no memory for an index segment");
	if (pages_load(&sh->pages, page, bytes, size, e) < 0)
		return -1;
	struct reader r = reader_of(bytes, size);

	if (!get_table(&r, &sh->nodes) || !get_table(&r, &sh->chunks) ||
	    !rd_complete(&r))
		return shelf_bad(e);
	return 0;
}

static int load_leans(struct shelf *sh, const struct shelf_head *h,
		      struct err *e)
{
	autofree uint8_t *bytes = mem_try(h->leans_size, 1);

	if (bytes == NULL || h->leans > SEGMENT_MAX_LEANS)
		return shelf_bad(e);
	if (pages_load(&sh->pages, 0, bytes, h->leans_size, e) < 0)
		return -1;
	struct reader r = reader_of(bytes, h->leans_size);

	sh->leans = mem_zalloc(h->leans, sizeof(*sh->leans));
	while (sh->lean_count < h->leans && !r.bad) {
		char *name = rd_string(&r, SEGMENT_NAME - 1);

		if (name != NULL)
			sh->leans[sh->lean_count++] = name;
	}
	return rd_complete(&r) ? 0 : shelf_bad(e);
}

static int open_all(struct shelf *sh, struct err *e)
{
	struct page_room room;
	struct shelf_head h;
	uint64_t tables;
	const uint8_t *last =
		sh->pages.count > 0
			? pages_get(&sh->pages, sh->pages.count - 1, &room, e)
			: NULL;

	if (last == NULL)
		return shelf_bad(e);
	struct reader r = reader_of(last, PAGES_CONTENT);

	if (!head_decode(&r, &h) || !lay_out(sh, &h, &tables))
		return shelf_bad(e);
	sh->session = h.session;
	sh->generation = h.generation;
	sh->packs = h.packs;
	return load_leans(sh, &h, e) < 0 ? -1 : load_tables(sh, tables, e);
}

int shelf_open(struct pages *pages, struct shelf *sh, struct err *e)
{
	memset(sh, 0, sizeof(*sh));
	sh->pages = *pages;
	*pages = (struct pages){ .fd = -1 };
	if (open_all(sh, e) == 0)
		return 0;
	shelf_fini(sh);
	return -1;
}

/* ---- asking ---------------------------------------------------------- */

int shelf_load_filters(struct shelf *sh, struct shelf_part *p, struct err *e)
{
	if (p->filter_bytes != NULL)
		return 0;
	autofree uint8_t *bytes = mem_try(p->filter_size + 1, 1);

	if (bytes == NULL)
		return err_set(e, ERR_FAILED, "no memory for an index filter");
	if (pages_load(&sh->pages, p->filter_page, bytes, p->filter_size, e) <
	    0)
		return -1;
	p->filter_bytes = mem_take(&bytes);
	for (uint32_t i = 0; i < p->filter_count; i++) {
		struct shelf_filter *f = &p->filters[i];

		if (f->seed != SHELF_NO_FILTER)
			f->ask = filter_of(p->filter_bytes + f->at, f->keys,
					   f->seed);
	}
	return 0;
}

bool shelf_may_have(const struct shelf_part *p, uint64_t key)
{
	uint32_t lo = 0, hi = p->filter_count;

	if (p->count == 0 || key < p->low || key > p->high)
		return false;
	while (hi - lo > 1) { /* the last one that starts at or before key */
		uint32_t mid = lo + (hi - lo) / 2;

		if (p->filters[mid].from <= key)
			lo = mid;
		else
			hi = mid;
	}
	const struct shelf_filter *f = &p->filters[lo];

	return f->seed == SHELF_NO_FILTER || filter_has(&f->ask, key);
}

/* A page, where it is not the one that was read last. */
static const uint8_t *turn(struct shelf_cursor *c, uint64_t page, struct err *e)
{
	if (c->content == NULL || c->number != page) {
		c->content = pages_get(&c->shelf->pages, page, &c->room, e);
		c->number = page;
	}
	return c->content;
}

/*
 * The pages of a part in which the first entry of this prefix can be: that
 * before the first whose fence is not less, to the last whose fence is not
 * more.  Nearly always one.
 */
static void fence_in(const struct shelf_part *p, uint32_t key, uint64_t *first,
		     uint64_t *last)
{
	uint64_t lo = 0, hi = p->pages;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (p->fences[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	*first = lo > 0 ? lo - 1 : 0;
	hi = p->pages;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (p->fences[mid] <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	*last = lo > 0 ? lo - 1 : 0;
}

/* The number of entries in a page whose prefix is less than id's. */
static uint64_t less_in_page(const uint8_t *content, uint64_t entries,
			     const struct hash *id)
{
	uint64_t lo = 0, hi = entries;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (memcmp(content + mid * SEGMENT_ENTRY, id->b, 16) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int shelf_seek(struct shelf_cursor *c, const struct shelf_part *p,
	       const struct hash *id, uint64_t *entry, struct err *e)
{
	uint64_t first, last;

	*entry = p->first + p->count;
	if (p->count == 0)
		return 0;
	fence_in(p, fence_key(id->b), &first, &last);
	while (first < last) { /* the last page that starts before id */
		uint64_t mid = first + (last - first + 1) / 2;
		const uint8_t *content = turn(c, p->page + mid, e);

		if (content == NULL)
			return -1;
		if (memcmp(content, id->b, 16) < 0)
			first = mid;
		else
			last = mid - 1;
	}
	const uint8_t *content = turn(c, p->page + first, e);
	uint64_t before = first * SHELF_ENTRIES;

	if (content == NULL)
		return -1;
	*entry = p->first + before +
		 less_in_page(content,
			      num_min(SHELF_ENTRIES, p->count - before), id);
	return 0;
}

int shelf_entry(struct shelf_cursor *c, uint64_t i,
		struct segment_entry_new *entry, struct err *e)
{
	const struct shelf_part *p = &c->shelf->nodes;

	if (i >= p->count)
		p = &c->shelf->chunks;
	i -= p->first;
	if (i >= p->count)
		return err_set(e, ERR_INTEGRITY, "no entry of that number");
	const uint8_t *content = turn(c, p->page + i / SHELF_ENTRIES, e);

	if (content == NULL)
		return -1;
	segment_entry_get(content + i % SHELF_ENTRIES * SEGMENT_ENTRY, entry);
	return 0;
}

int shelf_pack(struct shelf_cursor *c, uint32_t i, struct segment_pack *pack,
	       struct err *e)
{
	if (i >= c->shelf->packs)
		return err_set(e, ERR_INTEGRITY, "no pack of that number");
	const uint8_t *content =
		turn(c, c->shelf->packs_page + i / SHELF_PACKS, e);

	if (content == NULL)
		return -1;
	if (!segment_pack_get(content + i % SHELF_PACKS * SEGMENT_PACK, pack))
		return err_set(e, ERR_INTEGRITY, "a pack of no class");
	return 0;
}
