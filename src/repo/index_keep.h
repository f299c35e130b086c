/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_KEEP_H
#define VMKEEP_REPO_INDEX_KEEP_H

/*
 * Segments and the place where they are kept on this machine: the cache, else,
 * when they are large, a nameless file in /var/tmp, else memory.  For index*.c
 * only.
 */

#include "base/err.h"
#include "repo/index_segment.h"

void index_local_init(struct index_local *l, const struct index_parts *parts);

/* What is in the cache: -1 when it is not there, or not good. */
int index_keep_open(struct index_local *l, const char *name, struct shelf *sh);

/* Put a segment into the cache. */
int index_keep_save(struct index_local *l, const char *name,
		    const struct segment *s, struct err *e);

/* From the store, and into the cache where there is one. */
int index_keep_load(struct index_local *l, const char *name, struct shelf *sh,
		    struct err *e);

/*
 * What is in the cache now: names of segments, for index_keep_clean(), which
 * removes those that are not in the sorted list of what is in the store.  To
 * be asked for before the store is, so that what others publish meanwhile
 * stays.
 */
struct index_names {
	char **names;
	size_t count, room;
};

void index_names_add(struct index_names *n, const char *name);
void index_names_remove(struct index_names *n, const char *name);
void index_names_fini(struct index_names *n);
void index_keep_list(const struct index_local *l, struct index_names *n);
void index_keep_clean(const struct index_local *l,
		      const struct index_names *kept,
		      struct index_names *stored);

#endif
