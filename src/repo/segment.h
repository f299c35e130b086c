/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_SEGMENT_H
#define VMKEEP_REPO_SEGMENT_H

/*
 * An index segment: which node or chunk is where, sorted, immutable.
 *
 *   version u16, 0 u16, packs u32, session id, generation u64, nodes u64,
 *   chunks u64, leans u32, 0 u32                                   56 bytes
 *   packs    {pack id, class u8, blobs u32, object's size u32, data key id}
 *   leans    {name string}: segments that this one leans on
 *   entries  {id prefix[16], pack number u32, blob number u24, slot u8}
 *            nodes, then chunks, each part sorted           24 bytes each
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

#define SEGMENT_HEAD  56u
#define SEGMENT_PACK  41u
#define SEGMENT_ENTRY 24u
#define SEGMENT_NAME  96

/* A location: which slot of which blob of which pack. */
struct place {
	struct id pack;
	enum blob_class class;
	uint32_t blob;
	uint8_t slot;
};

/* A pack as a segment's table has it. */
struct segment_pack {
	struct id id;
	enum blob_class class;
	uint32_t blobs; /* how many are in it */
	uint32_t size;  /* of the whole object, bytes */
	struct id key;  /* data key; zero for nodes, and for moved blobs */
};

/* An entry. */
struct segment_entry_new {
	uint8_t prefix[16];
	uint32_t pack; /* number in the table */
	uint32_t blob;
	uint8_t slot;
};

/* The generation of segments that collectors write: no session's. */
#define SEGMENT_COLLECTED UINT64_MAX

/* Names in a segment's list, or in a set's. */
#define SEGMENT_MAX_LEANS 65536u

/* ---- reading: a view on bytes that somebody else keeps --------------- */

struct segment {
	const uint8_t *data;
	size_t size;
	struct id session;
	uint64_t generation;
	uint32_t packs;
	uint32_t leans;
	size_t entries_at; /* offset of the first entry, bytes */
	uint64_t nodes;    /* entries 0 to nodes - 1 */
	uint64_t chunks;   /* the entries behind them */
};

int segment_parse(const void *data, size_t size, struct segment *s,
		  struct err *e);

/* The entries of a class: from, and the one after the last. */
void segment_part(const struct segment *s, enum blob_class class,
		  uint64_t *from, uint64_t *end);

/* The first entry of this class whose prefix is not less than that of id; the
 * end of the part when there is none. */
uint64_t segment_find(const struct segment *s, enum blob_class class,
		      const struct hash *id);

/* Does entry i have id's prefix, and where does it point?  False also where
 * the entry names a pack that is not in the table, or is of another class
 * than the part of the table that the entry stands in. */
bool segment_entry(const struct segment *s, uint64_t i, const struct hash *id,
		   struct place *place);

/* Entry i, whatever its prefix; false as above. */
bool segment_place(const struct segment *s, uint64_t i, struct place *place);

/* Entry i as it stands there; false when there is none. */
bool segment_raw(const struct segment *s, uint64_t i,
		 struct segment_entry_new *out);

/* The 16 bytes of entry i's prefix; i is in bounds. */
const uint8_t *segment_prefix(const struct segment *s, uint64_t i);

/* One entry, or one pack of the table (false: it is none), from its bytes. */
void segment_entry_get(const uint8_t data[SEGMENT_ENTRY],
		       struct segment_entry_new *n);
bool segment_pack_get(const uint8_t data[SEGMENT_PACK], struct segment_pack *p);

/* Pack number i of the table; false when it is none. */
bool segment_pack(const struct segment *s, uint32_t i, struct segment_pack *p);

/* The names that the segment leans on, one after the other: true and the
 * name, which the caller frees; false after the last. */
struct segment_leans {
	struct reader r;
	uint32_t left;
};

void segment_leans(const struct segment *s, struct segment_leans *l);
bool segment_leans_next(struct segment_leans *l, char **name);

/* ---- writing --------------------------------------------------------- */

struct segment_new {
	struct id session;
	uint64_t generation;
	const struct segment_pack *packs;
	size_t pack_count;
	char *const *leans;
	size_t lean_count;
	struct segment_entry_new *entries; /* is sorted in place */
	size_t entry_count;
};

/* Appends to out; sorts the entries, of which those in packs of nodes come
 * first. */
void segment_encode(struct segment_new *s, struct buf *out);

/* "idx/<session>-<number>" */
void segment_name(const struct id *session, unsigned number,
		  char out[SEGMENT_NAME]);

#endif
