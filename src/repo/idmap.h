/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_IDMAP_H
#define VMKEEP_REPO_IDMAP_H

/* From an id to a number.  20 bytes a place, at most half of them used; not
 * thread-safe.  The id of zeroes is never in it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repo/format.h"

struct idmap_place {
	struct id id;
	uint32_t value;
};

/* Embedded; zero is empty. */
struct idmap {
	struct idmap_place *table;
	size_t room;
	size_t count;
};

/* Set the id's number. */
void idmap_put(struct idmap *m, const struct id *id, uint32_t value);

/* The id's number; false when it has none. */
bool idmap_get(const struct idmap *m, const struct id *id, uint32_t *value);

void idmap_fini(struct idmap *m);

#endif
