/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_MEMBER_H
#define VMKEEP_JOB_MEMBER_H

/* One domain of a set that is being backed up. */

#include "base/err.h"
#include "job/job.h"
#include "job/snapped.h"
#include "repo/intake.h"
#include "repo/point.h"
#include "virt/capture.h"

struct member {
	const struct job *job;
	const char *name;  /* as asked for */
	struct conn *conn; /* its own: see capture_take() */
	struct domain_info *domain;
	char *no_snaps; /* or NULL */
	struct capture *capture;
	struct result_backup_item *item;
	bool lost;       /* there is no point of it: item->err */
	struct id point; /* the same wherever it is held */
};

/* Look at it: nothing is touched yet. */
int member_open(struct member *m, struct err *e);

/* Choose how. */
int member_capture(struct member *m, const struct job_backup *asked,
		   struct err *e);

/* The images that are captured; *paths is to be freed, they are not. */
void member_paths(const struct member *m, const char ***paths, size_t *count);

/* It is lost, because of e. */
void member_lose(struct member *m, const struct err *e);

/* A new point of it, with all but images; valid until the next one. */
struct point *member_point(struct member *m, struct set *set);

/* What a captured file is, and what its image has to say beside that. */
enum image_kind member_file_kind(const struct capture_file *file);
void member_file_attrs(const struct capture_file *file, struct image *image);

/* Read all of it into a new point of the set; snapped: of the set.  On failure
 * the set is as before. */
int member_read(struct member *m, struct snapped *snapped, struct intake *in,
		struct set *set, struct err *e);

/* Put the guest's side back.  Should that fail, the user hears of it beside
 * what else there is to say; it is in the journal. */
void member_end(struct member *m);

void member_fini(struct member *m);

#endif
