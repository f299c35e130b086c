/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_PLACES_H
#define VMKEEP_JOB_PLACES_H

/*
 * The places that hold points: this host ("local", job/local.h) and the
 * repository ("repository").  What lists, finds and brings back points looks
 * at all of them as one.
 */

#include <stdbool.h>

#include "base/err.h"
#include "job/job.h"
#include "repo/catalog.h"
#include "repo/repo.h"

#define PLACE_LOCAL      "local"
#define PLACE_REPOSITORY "repository"

struct places {
	const struct job *job;
	struct repo *repo;    /* NULL: it was not asked */
	struct catalog all;   /* each point once */
	struct catalog twins; /* the same points in the other place: a set
			       * of one point each, with its true id, and
			       * nothing else of what it leans on */
	struct id *here;      /* sets of both that are held on this host */
	size_t here_count;
};

/*
 * All that job->place (NULL: all places) allows and that there is.  A point
 * that both hold is found as the one here, which is nearer; its RAM may have
 * been dropped here earlier than there: then the repository's is found.
 * A repository that is configured and cannot be opened is a failure: without
 * it nobody knows what is the latest.  The message then says how to do without.
 */
int places_open(const struct job *j, struct places *p, struct err *e);
void places_fini(struct places *p);

/* Warn of sets that cannot be read: "latest" may have been in one of them. */
void places_warn(const struct places *p);

/* Is this set held on this host? */
bool places_here(const struct places *p, const struct set *set);

/* The same point in the other place, where both hold it: the set, or NULL. */
const struct set *places_twin(const struct places *p,
			      const struct point *point);

/* A small image of a set of p->all, whole, appended to out; at most max bytes
 * (more is ERR_INTEGRITY). */
int places_bytes(const struct places *p, const struct set *set,
		 const struct image *image, size_t max, struct buf *out,
		 struct err *e);

/* The catalogue of this host alone; empty where there is none. */
int places_local(const struct job *j, struct catalog *c, struct err *e);

#endif
