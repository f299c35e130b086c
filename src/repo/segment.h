/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_SEGMENT_H
#define VMKEEP_REPO_SEGMENT_H

/*
 * An index segment: which chunk or node is where, sorted, immutable.
 *
 *   version u16, 0 u16, pack count u32, session id, generation u64,
 *   entry count u64                                              40 bytes
 *   packs    {pack id[16], class u8}
 *   entries  {id prefix[16], pack number u32, blob number u24, slot u8}
 *            sorted by prefix, then by the rest                24 bytes each
 *
 * The prefix is a hint: who finds an entry looks the full id up in the pack's
 * footer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "repo/format.h"

#define SEGMENT_HEAD  40u
#define SEGMENT_PACK  17u
#define SEGMENT_ENTRY 24u
#define SEGMENT_NAME  96

/* A location: which slot of which blob of which pack. */
struct place {
	struct id pack;
	enum blob_class class;
	uint32_t blob;
	uint8_t slot;
};

/* ---- reading: a view on bytes that somebody else keeps --------------- */

struct segment {
	const uint8_t *data;
	size_t size;
	struct id session;
	uint64_t generation;
	uint32_t packs;
	uint64_t entries;
};

int segment_parse(const void *data, size_t size, struct segment *s,
		  struct err *e);

/* The first entry whose prefix is that of id, or s->entries. */
uint64_t segment_find(const struct segment *s, const struct hash *id);

/* Does entry i have id's prefix, and where does it point?  False also where
 * the entry names a pack that is not in the table. */
bool segment_entry(const struct segment *s, uint64_t i, const struct hash *id,
		   struct place *place);

/* Entry i, whatever its prefix; false when it is out of bounds. */
bool segment_place(const struct segment *s, uint64_t i, struct place *place);

/* Pack number i of the table. */
bool segment_pack(const struct segment *s, uint32_t i, struct id *pack,
		  enum blob_class *class);

/* ---- writing --------------------------------------------------------- */

struct segment_entry_new {
	uint8_t prefix[16];
	uint32_t pack; /* number in the table given to segment_encode() */
	uint32_t blob;
	uint8_t slot;
};

struct segment_pack_new {
	struct id id;
	enum blob_class class;
};

struct segment_new {
	struct id session;
	uint64_t generation;
	const struct segment_pack_new *packs;
	size_t pack_count;
	struct segment_entry_new *entries; /* is sorted in place */
	size_t entry_count;
};

void segment_encode(struct segment_new *s, struct buf *out);

/* "idx/<session>-<number>" */
void segment_name(const struct id *session, unsigned number,
		  char out[SEGMENT_NAME]);

#endif
