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
 * nothing.  Only for sets of the newest generation and the one before it, of
 * which a collector still needs them: of older ones the index of a generation
 * has taken the place.
 */
int index_rebuild_set(struct repo *r, const struct set *set,
		      struct index_rebuilt *out, struct err *e);

/*
 * The same for segments of other sessions that the set leans on, for readers
 * and collectors: after those of all sets, of which writers may go on to use
 * theirs.  Owners only.
 */
int index_rebuild_leans(struct repo *r, const struct set *set,
			struct index_rebuilt *out, struct err *e);

/*
 * Write segments of all packs, for readers, who open them in the end
 * (index_last_resort()), and for the next collection, which takes them in the
 * place of those that its generation lists and that are lost.  They belong to
 * a session of their own, which a set without points ends that names them: so
 * they stay until that collection is done.  Owners only.
 */
int index_rebuild_all(struct repo *r, const char *host,
		      struct index_rebuilt *out, struct err *e);

#endif
