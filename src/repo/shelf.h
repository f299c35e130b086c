/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_SHELF_H
#define VMKEEP_REPO_SHELF_H

/*
 * A segment as it is kept on this machine, in the cache, in a nameless file or
 * in memory: laid out in pages so that a look-up reads one page of entries and
 * one of packs, with a filter in front.  What is kept is no more than what the
 * segment says, and a page that is not what was written is a failure: whoever
 * can write to the cache can make work, no more.
 *
 *   leans    as in the segment
 *   packs    49 a page
 *   entries  nodes, then chunks, each from a page's start, 84 a page
 *   tables   for each of the two: its first and last key u64; for each page
 *            the first 4 bytes of its first prefix; for each filter its
 *            smallest key u64, keys u32, seed u32
 *   filters  of nodes, then of chunks, each from a page's start
 *   head     one page
 *
 * A key is the first 8 bytes of a prefix.  A filter is of at most a million
 * keys, so that building one needs 32 MiB of memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/filter.h"
#include "repo/pages.h"
#include "repo/segment.h"

/* The keys of a filter, at most. */
#define SHELF_FILTER_KEYS (1u << 20)

struct shelf_filter {
	uint64_t from; /* its smallest key */
	uint32_t keys;
	uint32_t seed;     /* SHELF_NO_FILTER: all keys pass */
	size_t at;         /* in the part's filters */
	struct filter ask; /* once they are loaded */
};

#define SHELF_NO_FILTER UINT32_MAX

/* The nodes, or the chunks. */
struct shelf_part {
	uint64_t first;     /* number of its first entry */
	uint64_t count;     /* of entries */
	uint64_t low, high; /* keys of the first and the last one */
	uint64_t page;      /* where the entries start */
	uint64_t pages;
	uint32_t *fences; /* one a page */
	struct shelf_filter *filters;
	uint32_t filter_count;
	uint64_t filter_page;
	size_t filter_size;
	uint8_t *filter_bytes; /* NULL: not loaded yet */
};

struct shelf {
	struct pages pages;
	struct id session;
	uint64_t generation;
	uint32_t packs;
	uint64_t packs_page;
	char **leans;
	uint32_t lean_count;
	struct shelf_part nodes, chunks;
};

void shelf_fini(struct shelf *sh);

/* Write a segment; ERR_INTEGRITY when its entries are not sorted. */
int shelf_write(struct pages_writer *w, const struct segment *s, struct err *e);

/* Open what shelf_write() wrote; takes the pages, also on failure. */
int shelf_open(struct pages *pages, struct shelf *sh, struct err *e);

struct shelf_part *shelf_part(struct shelf *sh, enum blob_class class);

/* The key of an id or a prefix. */
uint64_t shelf_key(const uint8_t *prefix);

/* Read a part's filters, where they are not loaded yet.  Not thread-safe; the
 * rest is. */
int shelf_load_filters(struct shelf *sh, struct shelf_part *part,
		       struct err *e);

/* Can an entry with this key be in the part?  Its filters are loaded. */
bool shelf_may_have(const struct shelf_part *part, uint64_t key);

/* A page of entries, or of packs, that was read last. */
struct shelf_cursor {
	const struct shelf *shelf;
	uint64_t number;
	const uint8_t *content; /* NULL: none */
	struct page_room room;
};

/* The number of the first entry of a part whose prefix is not less than id's,
 * or of the one behind the part. */
int shelf_seek(struct shelf_cursor *c, const struct shelf_part *part,
	       const struct hash *id, uint64_t *entry, struct err *e);

/* Entry i, which is one; pack i of the table. */
int shelf_entry(struct shelf_cursor *c, uint64_t i,
		struct segment_entry_new *entry, struct err *e);
int shelf_pack(struct shelf_cursor *c, uint32_t i, struct segment_pack *pack,
	       struct err *e);

#endif
