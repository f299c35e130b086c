/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_SEGMENT_H
#define VMKEEP_REPO_INDEX_SEGMENT_H

/* One open segment of the index.  For index*.c only. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "repo/index.h"
#include "repo/shelf.h"

/* Where segments come from, and where they are kept; the index owns it. */
struct index_local {
	struct index_parts parts;
	bool has_key;       /* else nothing is kept in files */
	struct hash key;    /* of the cache */
	atomic_int files;   /* that are held open */
	atomic_size_t held; /* bytes of those that are held in memory */
};

/* A segment as it is kept.  Where it turns out to be damaged another one takes
 * its place; it stays until the segment goes, for others may be reading it. */
struct kept {
	struct shelf shelf;
	atomic_bool ready[2]; /* filters of nodes, of chunks, are loaded */
	struct kept *older;
};

/* What changes about an open segment. */
struct keeping {
	struct kept *_Atomic kept;
	pthread_mutex_t lock; /* loading filters, putting another in place */
	unsigned mended;      /* how often another was put in place */
	bool hopeless;        /* that failed */
};

struct index_segment {
	char *name;
	struct index_local *local;
	struct index_about about;
	struct keeping *keeping;
	bool listed; /* by the generation; under the index's lock */
};

struct index_segment *index_segment_open(struct index_local *local,
					 const char *name, struct err *e);
void index_segment_free(struct index_segment *s);

/* The keys of its first and last node or chunk; false when it has none. */
bool index_segment_range(const struct index_segment *s, enum blob_class class,
			 uint64_t *low, uint64_t *high);

/* Entries of one prefix, one after the other. */
struct index_walk {
	const struct index_segment *s;
	enum blob_class class;
	const struct hash *id;
	uint64_t entry; /* the next one */
	uint64_t end;
	struct shelf_cursor cursor;
};

/*
 * 1: there may be some; 0: there are none; -1: the segment cannot be read,
 * neither here nor in the store.
 */
int index_walk_begin(struct index_walk *w, const struct index_segment *s,
		     enum blob_class class, const struct hash *id,
		     struct err *e);

/* The next one that points into a pack: 1 and the hit (without its tier); 0
 * at the end; -1 as above. */
int index_walk_next(struct index_walk *w, struct index_hit *hit, struct err *e);

#endif
