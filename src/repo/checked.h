/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_CHECKED_H
#define VMKEEP_REPO_CHECKED_H

/*
 * When which pack was verified, and how well: notes/verify/<id>.
 *
 *   version u16, host string, groups u32, for each: time u64 (ns since 1970),
 *   level u8, packs u32, {pack id} sorted
 *
 * Whoever may delete writes one note of all that is known and deletes those
 * that it has read; others add one of their own.  About 16 bytes a pack: half a
 * MiB a TiB.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "repo/repo.h"

#define CHECKED_PREFIX "notes/verify/"
#define CHECKED_NAME   48

struct checked_pack {
	struct id pack;
	uint8_t level;
	int64_t time_ns; /* wall clock */
};

/* Embedded; zero is empty. */
struct checked {
	struct checked_pack *packs; /* by id; the latest of each level */
	size_t count, room;
	char **notes; /* names of those that were read */
	size_t note_count;
};

void checked_fini(struct checked *c);

void checked_add(struct checked *c, const struct id *pack, uint8_t level,
		 int64_t time_ns);

/* Sort, and keep of each pack and level the latest. */
void checked_sort(struct checked *c);

/* When the pack was last verified at this level or a higher one; 0: never, as
 * far as is known. */
int64_t checked_when(const struct checked *c, const struct id *pack,
		     uint8_t level);

/* Add what all notes say, sorted.  What cannot be read is left out. */
int checked_load(struct repo *r, struct checked *c, struct err *e);

/* Is this note whole? */
int checked_check(struct repo *r, const char *name, struct err *e);

/* Write a note of all that is in c, which is sorted; then delete those that
 * were read into c, as far as the store lets us. */
int checked_put(struct repo *r, const struct checked *c, struct err *e);

/* Bytes and back; checked_decode() makes r bad for anything else. */
void checked_encode(const struct checked *c, struct buf *out);
void checked_decode(struct reader *r, struct checked *c);

#endif
