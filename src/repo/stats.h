/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_STATS_H
#define VMKEEP_REPO_STATS_H

/*
 * How much there is, how much of it once, and whose it is: from trees and
 * footers, no content is read.
 *
 * All trees are walked, each node at most three times: for each blob it is
 * kept whether nobody, one point, points of one name or several need it.  So
 * what a point would free is exact, and all points are told at once.
 *
 * Memory: about 22 MiB a TiB of data: usage.h, 4 bytes a blob, 16 a node.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/talk.h"
#include "repo/catalog.h"
#include "repo/repo.h"

struct stats_options {
	const struct talk *talk;
	const _Atomic bool *cancel; /* true: stop with ERR_STOPPED; or NULL */
};

/* Bytes. */
struct stats_point {
	const struct set *set; /* of the catalogue */
	const struct point *point;
	uint64_t size;  /* of its images */
	uint64_t data;  /* of these, without zeroes */
	uint64_t frees; /* stored for it alone: what forgetting it gives back,
			 * after collecting */
};

/* All points of one name. */
struct stats_name {
	const char *name; /* of the catalogue */
	uint64_t points, size, data;
	uint64_t frees; /* stored for points of this name alone */
};

struct stats_result {
	struct stats_point *points; /* in the order of the catalogue */
	size_t point_count;
	struct stats_name *names; /* by name */
	size_t name_count;

	uint64_t size, data;        /* of all points */
	uint64_t unique;            /* of the data, each chunk once */
	uint64_t stored;            /* what these take, sealed */
	uint64_t nodes, chunks;     /* distinct ones */
	uint64_t tree;              /* what the nodes take */
	uint64_t packs, pack_bytes; /* that are there */
	uint64_t objects, bytes;    /* all that is there */
	uint64_t lost; /* nodes and chunks that could not be looked up */
};

int stats_run(struct repo *r, const struct catalog *c,
	      const struct stats_options *o, struct stats_result *result,
	      struct err *e);
void stats_result_fini(struct stats_result *result);

#endif
