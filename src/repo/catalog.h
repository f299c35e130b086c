/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_CATALOG_H
#define VMKEEP_REPO_CATALOG_H

/*
 * The points of a repository, as they are now.
 */

#include <stddef.h>

#include "base/err.h"
#include "repo/point.h"
#include "repo/repo.h"

/* A set that is there but cannot be read. */
struct catalog_damage {
	char *object; /* its name in the store */
	char msg[480];
};

struct catalog {
	struct set *sets; /* oldest first; forgotten ones are left out */
	size_t count;
	struct catalog_damage *damaged;
	size_t damaged_count;
};

/*
 * Read all.  A damaged set does not hide the others.  A set counts while its
 * session is there; of the rest what is forgotten is left out: points, and
 * images of RAM (tomb.h).
 */
int catalog_load(struct repo *r, struct catalog *c, struct err *e);
void catalog_fini(struct catalog *c);

/*
 * For whoever holds sets elsewhere, too: add one (*set is moved, and empty
 * afterwards), or one that cannot be read; then sort, or nothing is found by
 * its time.
 */
void catalog_add(struct catalog *c, struct set *set);
void catalog_add_damage(struct catalog *c, const char *object,
			const struct err *why);
void catalog_sort(struct catalog *c);

/* A point in a catalogue. */
struct catalog_hit {
	const struct set *set;
	const struct point *point;
};

/*
 * Find by "NAME@latest", "NAME@TIME" (TIME as clock_parse() has it; the
 * latest point inside the span it names), "NAME" alone (latest), or a unique
 * prefix of a point's id, at least 4 digits.  ERR_NOT_FOUND says what there
 * is; ERR_USAGE when several fit.  A name may contain '@' and '/': the text
 * after the last '@' is the time.
 */
int catalog_find(const struct catalog *c, const char *text,
		 struct catalog_hit *hit, struct err *e);

#endif
