/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_READER_INTERNAL_H
#define VMKEEP_REPO_READER_INTERNAL_H

/* What a reading thread has, for reader.c and haul.c. */

#include "repo/fetch.h"
#include "repo/node.h"

struct reader_thread {
	struct fetch *fetch;
	struct extent extent;
	uint8_t *sealed; /* of haul.c, from its first use on */
	uint8_t *raw;
	size_t raw_room;
	size_t raw_used; /* since the last flush */
	uint8_t *open;   /* in raw: the blob that is looked at */
};

#endif
