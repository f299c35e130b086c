/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_GENERATION_H
#define VMKEEP_REPO_GENERATION_H

/*
 * Generations: gen/<number, 16 hex digits>, each made by put-if-absent, so
 * that of several collectors one wins.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/keyring.h"
#include "repo/segment.h"
#include "store/store.h"

struct generation {
	uint64_t number;
	char **segments; /* names: the index of this generation */
	size_t segment_count;
	struct place *condemned; /* unmarked: not to be used any more; slot 0 */
	size_t condemned_count;
	struct place *doomed; /* will be deleted, whatever happens */
	size_t doomed_count;
};

#define GENERATION_NAME 24
void generation_name(uint64_t number, char out[GENERATION_NAME]);

/* ERR_EXISTS: another collector was faster. */
int generation_put(struct store *s, const struct keyring *k,
		   const struct generation *g, struct err *e);
int generation_load(struct store *s, const struct keyring *k, uint64_t number,
		    struct generation *g, struct err *e);
void generation_fini(struct generation *g);

/* The number of the newest one; ERR_INTEGRITY when there is none. */
int generation_newest(struct store *s, uint64_t *number, struct err *e);

#endif
