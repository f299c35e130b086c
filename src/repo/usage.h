/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_USAGE_H
#define VMKEEP_REPO_USAGE_H

/*
 * Which packs there are, and which slots of them are in use: for those who
 * walk all trees.  A bit a slot, not an id a chunk: a repository of 1 TiB in
 * chunks of 32 KiB takes 4 MiB of bits and about 5 MiB for its packs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repo/footers.h"
#include "repo/format.h"
#include "repo/segment.h"

struct usage_pack {
	struct id id;
	struct id key; /* data key; zero: none, or not known */
	enum blob_class class;
	uint32_t size;  /* as a segment's table says; 0: in none */
	uint32_t seen;  /* as the store's list says; 0: not in it */
	uint32_t slots; /* these three once a slot is in use */
	uint32_t blobs;
	uint64_t *used; /* a bit a slot */
	void *more;     /* the user's own, freed with it */
	bool hurts;     /* the user's own words */
	bool done;
};

/* Embedded; zero is empty. */
struct usage {
	struct usage_pack *packs; /* a pointer into it lives until the next
				   * usage_add() */
	size_t count, room;
	uint32_t *table; /* number in packs and 1, by id */
	size_t table_room;
};

void usage_fini(struct usage *u);

/* The pack, or NULL. */
struct usage_pack *usage_find(const struct usage *u, const struct id *pack);

/* The same, and made when it is not there. */
struct usage_pack *usage_add(struct usage *u, enum blob_class class,
			     const struct id *pack);

/*
 * The pack of a place, and the number of its slot.  The place's footer says
 * how many there are; NULL when it cannot be read.
 */
struct usage_pack *usage_slot(struct usage *u, struct footers *f,
			      const struct place *p, uint32_t *slot,
			      struct err *e);

bool usage_is(const struct usage_pack *p, uint32_t slot);

/* Take note; false when it was in use already. */
bool usage_set(struct usage_pack *p, uint32_t slot);

/* Nothing is in use any more. */
void usage_clear(struct usage *u);

#endif
