/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_VERIFY_H
#define VMKEEP_REPO_VERIFY_H

/*
 * Is everything there and as it was written?  Never changes anything.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/talk.h"
#include "repo/catalog.h"
#include "repo/repo.h"

struct verify_options {
	const struct catalog_hit *only; /* one point, or NULL: all */
	bool read_data; /* also read, open and hash every chunk */
	const struct talk *talk;
};

/* One thing that is wrong. */
struct verify_damage {
	char *object;    /* name in the store, or "" */
	char *point;     /* "web1@2026-11-20T16:30:00Z (1a2b3c4d)", or "" */
	char *image;     /* "vda", or "" */
	uint64_t offset; /* of the damaged range in the image, bytes */
	uint64_t size;   /* 0: not a range */
	char msg[480];
};

struct verify_result {
	uint64_t sets, points, images;
	uint64_t nodes, chunks; /* distinct ones */
	uint64_t packs, bytes_read;
	struct verify_damage *damages;
	size_t damage_count;
};

/* 0 when the check could be made; damages say what it found. */
int verify_run(struct repo *r, const struct catalog *c,
	       const struct verify_options *o, struct verify_result *result,
	       struct err *e);
void verify_result_fini(struct verify_result *result);

#endif
