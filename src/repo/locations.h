/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_LOCATIONS_H
#define VMKEEP_REPO_LOCATIONS_H

/*
 * Sets of locations, (pack, blob), as generations condemn and doom them and
 * notes of damage name them: by pack, whole ones in one word.
 *
 *   packs u32, for each in order of id: pack id, class u8, count u32 (0: the
 *   whole pack), that many blob numbers u32, ascending
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repo/format.h"

struct pack_locations {
	struct id pack;
	enum blob_class class;
	bool whole;
	uint32_t *blobs; /* NULL when whole */
	uint32_t count, room;
};

/* Embedded; zero is empty. */
struct locations {
	struct pack_locations *packs;
	size_t count, room;
	bool sorted;
};

void locations_fini(struct locations *l);

/* Add, in any order, also twice; then sort once before the other calls. */
void locations_add(struct locations *l, enum blob_class class,
		   const struct id *pack, uint32_t blob);
void locations_add_pack(struct locations *l, enum blob_class class,
			const struct id *pack);
void locations_sort(struct locations *l);

/* The pack's entry, or NULL. */
const struct pack_locations *locations_pack(const struct locations *l,
					    const struct id *pack);
bool locations_has(const struct locations *l, const struct id *pack,
		   uint32_t blob);

void locations_encode(const struct locations *l, struct buf *out);

/* Makes r bad for anything that locations_encode() does not write. */
void locations_decode(struct reader *r, struct locations *l);

#endif
