/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_REBUILD_H
#define VMKEEP_REPO_INDEX_REBUILD_H

/*
 * Index segments that are lost, made again from the footers of packs.
 *
 * A footer says what is in a pack, not what may be used: blobs that a
 * generation has given up stand in it, too.  So what is rebuilt of a session
 * is what its segments said, for a session gives nothing up; what is rebuilt
 * of everything is for readers only, and says so: its generation is the
 * collector's, and no generation lists it.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/point.h"
#include "repo/repo.h"

struct index_rebuilt {
	unsigned segments; /* written */
	uint64_t packs;    /* named in them */
	uint64_t entries;
	uint64_t unread; /* packs whose footer cannot be read: left out */
};

/*
 * Write again those of the set's own session's segments that are missing or
 * damaged in the store, under their names: from the packs of the session that
 * its other segments do not name.  Adds to *out; with none lost it does
 * nothing.  Only for sets of the newest generation: of older ones the index
 * of a generation has taken the place.
 */
int index_rebuild_set(struct repo *r, const struct set *set,
		      struct index_rebuilt *out, struct err *e);

/*
 * Write segments of all packs as idx/<session>-0 and so on, for readers: who
 * looks for what is nowhere else opens them in the end (index_last_resort()).
 * The session is a new id that nobody else uses.
 */
int index_rebuild_all(struct repo *r, const struct id *session,
		      struct index_rebuilt *out, struct err *e);

#endif
