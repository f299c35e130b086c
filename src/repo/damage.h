/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_DAMAGE_H
#define VMKEEP_REPO_DAMAGE_H

/*
 * Notes of damage, notes/damage/<id>: whoever finds out that something is
 * lost says so, and the next backup stores it again.
 *
 *   version u16, time u64 (ns since 1970), host string,
 *   damaged places, as struct locations,
 *   frail nodes: count u32, for each in order: pack id, blob u32, slot u8
 *
 * A node is frail when it can be read, but something below it is lost.  A
 * writer does not look below a node that it knows: so it must not know those
 * above what is lost.  A wrong note costs storing something twice, no more:
 * notes are sealed, but not signed, so that every role can write them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/locations.h"
#include "repo/repo.h"
#include "repo/segment.h"

#define DAMAGE_PREFIX "notes/damage/"
#define DAMAGE_NAME   48

/* Embedded; zero is empty. */
struct damage {
	struct locations places;
	struct place *nodes; /* frail ones */
	size_t count, room;
	bool sorted;
	char **notes; /* names of those that damage_load() has read */
	size_t note_count;
};

void damage_fini(struct damage *d);
bool damage_empty(const struct damage *d);

/* Add, in any order, also twice; then sort once before asking. */
void damage_add_blob(struct damage *d, enum blob_class class,
		     const struct id *pack, uint32_t blob);
void damage_add_pack(struct damage *d, enum blob_class class,
		     const struct id *pack);
void damage_add_node(struct damage *d, const struct place *node);
void damage_add_all(struct damage *d, const struct damage *from);
void damage_sort(struct damage *d);

/* Is this place damaged, or a frail node?  Fast, above all when d is empty. */
bool damage_has(const struct damage *d, const struct place *place);

/* Is it damaged itself?  A frail node is not. */
bool damage_has_blob(const struct damage *d, const struct id *pack,
		     uint32_t blob);

/* Does d know all that is in other? */
bool damage_covers(const struct damage *d, const struct damage *other);

/*
 * Add what all notes say to d, sorted.  A note that cannot be read is left
 * out: verify reports it.
 */
int damage_load(struct repo *r, struct damage *d, struct err *e);

/* Add what one note says; sort afterwards. */
int damage_load_note(struct repo *r, const char *name, struct damage *d,
		     struct err *e);

/* Write a note of all that is in d, which is sorted; out is its name. */
int damage_put(struct repo *r, const struct damage *d, char out[DAMAGE_NAME],
	       struct err *e);

/* Delete the notes that d was loaded from, as far as the store lets us. */
void damage_forget(struct repo *r, const struct damage *d);

/* Bytes and back; damage_decode() makes r bad for anything else. */
void damage_encode(const struct damage *d, struct buf *out);
void damage_decode(struct reader *r, struct damage *d);

#endif
