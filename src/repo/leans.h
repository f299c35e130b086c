/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_LEANS_H
#define VMKEEP_REPO_LEANS_H

/*
 * What a session leans on outside the generation's index: names of segments,
 * each once, in order of arrival.
 */

#include <stdbool.h>
#include <stddef.h>

#include "repo/index.h"

/* Embedded; zero is empty. */
struct leans {
	char **names;
	size_t count, room;

	/* segments that were added, so that asking again costs little */
	const struct index_segment **seen;
	size_t seen_count;

	/* those of which leans_try() has said no */
	const struct index_segment **shunned;
	size_t shunned_count;
};

void leans_fini(struct leans *l);

/* Add a name, unless it is there. */
void leans_add(struct leans *l, const char *name);

/* Add a segment and all that it leans on. */
void leans_on(struct leans *l, const struct index_segment *s);

/* The same, unless something that it leans on is not open: then it is false,
 * for good. */
bool leans_try(struct leans *l, struct index *ix,
	       const struct index_segment *s);

#endif
