/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_TOMB_H
#define VMKEEP_REPO_TOMB_H

/*
 * Tombs: tomb/<point id> says that a point is forgotten, tomb/<point id>-ram
 * that its RAM is.  Nothing is deleted by that; a collector does it later.
 * Only a keeper may sign one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/point.h"
#include "repo/repo.h"

enum tomb_scope {
	TOMB_POINT = 1,
	TOMB_RAM = 2, /* see image_is_ram() */
};

#define TOMB_NAME 48
void tomb_name(const struct id *point, enum tomb_scope scope,
	       char out[TOMB_NAME]);

/* Forget a point of a set, or its RAM.  It is no failure when it was forgotten
 * before. */
int tomb_put(struct repo *r, const struct set *set, const struct point *p,
	     enum tomb_scope scope, struct err *e);

/* The same for a set that cannot be read: all its points, whatever they are.
 * Its tomb is the one of a "point" that has the set's own id. */
int tomb_put_set(struct repo *r, const struct id *set, struct err *e);

/* May this key forget?  ERR_REFUSED names the one that may. */
int tomb_allowed(struct repo *r, struct err *e);

struct tomb {
	struct id point;
	struct id set; /* its session */
	enum tomb_scope scope;
	int64_t time_ns; /* wall clock: when it was put */
};

/* A tomb that cannot be read, or was not put by a keeper: it means nothing. */
struct tomb_trouble {
	char *name;
	char msg[480];
};

struct tombs {
	struct tomb *items; /* sorted by point and scope */
	size_t count, room;
	struct tomb_trouble *troubles;
	size_t trouble_count;
};

int tombs_load(struct repo *r, struct tombs *t, struct err *e);
void tombs_fini(struct tombs *t);

/* The point's tomb, or NULL. */
const struct tomb *tombs_find(const struct tombs *t, const struct id *set,
			      const struct id *point, enum tomb_scope scope);

/* Is the image one that a tomb of RAM hides?  All of kind RAM, and streams
 * that are called "memory" or "memory.SOMETHING". */
bool image_is_ram(const struct image *image);

/* Leave out of the set what is forgotten: points, and images of RAM. */
void tombs_apply(const struct tombs *t, struct set *set);

#endif
