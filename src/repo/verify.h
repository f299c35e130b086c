/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_VERIFY_H
#define VMKEEP_REPO_VERIFY_H

/*
 * Is everything there and as it was written?  Changes nothing, but for notes:
 * of damage, so that the next backup stores again what is lost (damage.h), and
 * of what was read when (checked.h).
 *
 * Memory: about 9 MiB a TiB of data (usage.h), the index as it is open, the
 * largest of its segments once whole; and 9 MiB a thread that reads packs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/talk.h"
#include "repo/catalog.h"
#include "repo/repo.h"

/* How well; each includes those before. */
enum verify_level {
	VERIFY_DEFAULT,   /* VERIFY_TREES */
	VERIFY_SIZES,     /* small objects; packs are there, with their size */
	VERIFY_TREES,     /* every node is read, every chunk looked up */
	VERIFY_CHECKSUMS, /* packs are read: their sums */
	VERIFY_SEALS,     /* every blob is opened; needs a key that reads */
	VERIFY_DATA,      /* and has the ids that it should have */
};

struct verify_options {
	const struct catalog_hit *only; /* one point, or NULL: all */
	enum verify_level level;
	bool read_data;       /* VERIFY_DATA, whatever level says */
	uint64_t max_time_ms; /* for reading packs; 0: no limit */
	unsigned threads;     /* 0: one a processor */
	const struct talk *talk;
	const _Atomic bool *cancel; /* true: stop with ERR_STOPPED; or NULL */
};

/* One thing that is wrong. */
struct verify_damage {
	char *object;    /* name in the store, or "" */
	char *point;     /* "web1@2026-11-20T16:30:00Z (1a2b3c4d)", or "" */
	char *image;     /* "vda", or "" */
	uint64_t offset; /* of the damaged range in the image, bytes */
	uint64_t size;   /* 0: not a range */
	char msg[480];

	/* borrowed from the catalogue, or NULL */
	const struct set *in;
	const struct point *of;
	const struct image *part;
};

struct verify_result {
	enum verify_level level;
	uint64_t sets, points, images;
	uint64_t nodes, chunks; /* distinct ones */
	uint64_t packs;         /* that are in use */
	uint64_t packs_read, bytes_read;
	bool complete; /* false: no time for all packs, or unread > 0 */

	/* So often something could not be read now, for a reason that says
	 * nothing about what is stored: that is no damage, and not noted. */
	uint64_t unread;
	char unread_msg[480]; /* the first of these */

	struct verify_damage *damages;
	size_t damage_count;

	/* damaged packs whose content is elsewhere, too, as far as anything
	 * needs it */
	struct verify_damage *healed;
	size_t healed_count;

	/* Of the packs in use, by any verify whose note is there, and at least
	 * by their sums: bytes; and when the one that was read longest ago
	 * was, 0 when some never were. */
	uint64_t bytes, bytes_recent, bytes_ever; /* recent: 30 days */
	int64_t oldest_ns;
};

/* 0 when the check could be made; damages say what it found. */
int verify_run(struct repo *r, const struct catalog *c,
	       const struct verify_options *o, struct verify_result *result,
	       struct err *e);
void verify_result_fini(struct verify_result *result);

#endif
