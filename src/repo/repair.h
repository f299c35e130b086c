/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_REPAIR_H
#define VMKEEP_REPO_REPAIR_H

/*
 * Put back what verify finds damaged or lost:
 *
 * - index segments, from the footers of packs;
 * - objects of every kind, byte for byte, from a copy of the repository; what
 *   stood there is kept under aside/;
 * - images, from another repository that has the same ones, whatever its
 *   keys: read there, and stored here as a backup would store them, which
 *   stores what is missing and nothing else.  The tree's root proves that it
 *   is the same content.
 *
 * Nothing is deleted.  Without another repository the next backup of the
 * source does what the last of these does (damage.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/talk.h"
#include "repo/repo.h"
#include "repo/verify.h"

struct repair_options {
	struct repo *from;       /* the other repository, or NULL */
	enum verify_level level; /* how well to look for damage */
	const struct talk *talk;
	const _Atomic bool *cancel; /* true: stop with ERR_STOPPED; or NULL */
};

struct repair_result {
	uint64_t segments;     /* of the index that were made again */
	uint64_t objects;      /* put back from the copy */
	uint64_t images;       /* of which something was stored again */
	uint64_t stored_bytes; /* written for these */
	bool changed;          /* any of that */
	struct verify_result before;
	struct verify_result after; /* meant when changed */
	struct catalog catalog;     /* what the last of them borrows from */
};

/* 0 also when damage is left: look at the result. */
int repair_run(struct repo *r, const struct repair_options *o,
	       struct repair_result *result, struct err *e);
void repair_result_fini(struct repair_result *result);

#endif
