/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_REPAIR_INTERNAL_H
#define VMKEEP_REPO_REPAIR_INTERNAL_H

/* The parts of repair, for repair*.c only. */

#include "repo/internal.h"
#include "repo/repair.h"

/* What is damaged, and where to put back from. */
struct repair {
	struct repo *repo;
	const struct repair_options *o;
	struct repair_result *result;
};

/* A prefix for what was replaced; nobody reads it. */
#define ASIDE_PREFIX "aside/"

/* ---- repair_objects.c ------------------------------------------------ */

/* Put back each object that is damaged, where the other repository is a copy
 * of this one and has it whole.  What cannot be had is left as it is. */
int repair_objects(struct repair *p, const struct verify_result *found,
		   struct err *e);

/* ---- repair_images.c ------------------------------------------------- */

/* Store again what damaged images have lost, where the other repository has
 * them. */
int repair_images(struct repair *p, const struct verify_result *found,
		  struct err *e);

#endif
