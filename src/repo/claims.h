/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_CLAIMS_H
#define VMKEEP_REPO_CLAIMS_H

/*
 * What a session has stored or is about to store, and must name in its
 * segment.  Thread-safe.
 *
 * An id is claimed by the worker that meets it first; others then know that
 * it will be there, for the session commits as a whole or not at all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repo/format.h"
#include "repo/segment.h"

struct claims;

struct claims *claims_new(void);
void claims_free(struct claims *c);

bool claims_has(struct claims *c, const struct hash *id);

/* Claim: true when it is ours to store now, false when it was there. */
bool claims_take(struct claims *c, const struct hash *id);

/* Say where a claimed id is: pack number of the session, blob, slot. */
void claims_place(struct claims *c, const struct hash *id, uint32_t pack,
		  uint32_t blob, uint8_t slot);

size_t claims_count(const struct claims *c);

/* All of them into entries (of claims_count() elements); no other call may
 * run.  Every claim must have its place. */
void claims_list(struct claims *c, struct segment_entry_new *entries);

/* Forget all; others may look meanwhile. */
void claims_clear(struct claims *c);

/* Move all of them to `to`, which is empty; no other call may run. */
void claims_move(struct claims *c, struct claims *to);

#endif
