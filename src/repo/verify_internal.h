/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_VERIFY_INTERNAL_H
#define VMKEEP_REPO_VERIFY_INTERNAL_H

/* The parts of verify, for verify*.c only. */

#include <pthread.h>

#include "repo/checked.h"
#include "repo/damage.h"
#include "repo/fetch.h"
#include "repo/internal.h"
#include "repo/usage.h"
#include "repo/verify.h"

enum verify_kind {
	VERIFY_SMALL,     /* no pack */
	VERIFY_KEY,       /* a data key that packs in use need */
	VERIFY_PACK_BLOB, /* a blob of a pack */
	VERIFY_PACK_SUM,  /* all in the pack can be read, its sum is wrong */
	VERIFY_PACK_LOST, /* nothing in it can be had any more */
};

/* A damaged object. */
struct verify_object {
	struct verify_damage damage;
	enum verify_kind kind;
	struct id pack;
};

struct verify {
	struct repo *repo;
	const struct catalog *catalog;
	const struct verify_options *o;
	enum verify_level level;
	struct verify_result *result;
	struct fetch *fetch;
	uint64_t generation;
	struct usage usage;
	struct damage known; /* what notes say */
	struct damage found; /* what was found now */
	struct damage bad;   /* places that cannot be read */
	bool suspicious;     /* something is wrong: whom does it hurt? */
	bool walked;

	struct verify_object *objects;
	size_t object_count;
	pthread_mutex_t lock; /* objects, found and bad, while packs are read */

	/* where the walk is */
	const struct set *set;
	const struct point *point;
	const struct image *image;
	const struct image *damaged; /* that the last damage is of, or NULL */
};

static inline bool verify_reads(const struct verify *v)
{
	return v->level >= VERIFY_CHECKSUMS;
}

/* ---- verify.c -------------------------------------------------------- */

/* An object is damaged; pack: NULL for VERIFY_SMALL. */
void verify_object_bad(struct verify *v, const char *name,
		       enum verify_kind kind, const struct id *pack,
		       const struct err *why);

/* It could not be read for now: no more is known of it.  From any thread. */
void verify_unread(struct verify *v, const struct err *why);

/* An object is damaged, or, as why says, could not be read for now. */
void verify_object_failed(struct verify *v, const char *name,
			  enum verify_kind kind, const struct err *why);

/* Part of the image where the walk is. */
void verify_range_bad(struct verify *v, uint64_t offset, uint64_t size,
		      const struct err *why);

int verify_alive(const struct verify *v, struct err *e);

/* ---- verify_objects.c ------------------------------------------------ */

/* Open the index; look at every small object, and at what the index says of
 * packs. */
int verify_objects(struct verify *v, struct err *e);

/* ---- verify_walk.c --------------------------------------------------- */

/* Walk all trees (again), and say whom what is bad hurts. */
int verify_walk(struct verify *v, struct err *e);

/* ---- verify_packs.c -------------------------------------------------- */

/* Read the packs in use, and walk again as long as that finds anything. */
int verify_packs(struct verify *v, struct err *e);

#endif
