/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_IDSET_H
#define VMKEEP_REPO_IDSET_H

/* Ids that were seen already.  16 bytes an id; not thread-safe. */

#include <stdbool.h>
#include <stddef.h>

#include "repo/format.h"

struct idset {
	struct id *table;
	size_t room;
	size_t count;
};

#define IDSET_INIT                                                             \
	{                                                                      \
		.table = NULL, .room = 0, .count = 0                           \
	}

/* Add the first 16 bytes of an id; false when it was there. */
bool idset_add(struct idset *s, const uint8_t *id);
bool idset_has(const struct idset *s, const uint8_t *id);
void idset_fini(struct idset *s);

#endif
