/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_CHOOSE_H
#define VMKEEP_JOB_CHOOSE_H

/* From "web1@latest/vda" to an image. */

#include "base/err.h"
#include "repo/catalog.h"

struct choice {
	struct catalog_hit hit;
	const struct image *image;
};

/*
 * POINT or POINT/IMAGE.  Without IMAGE the point must have one disk only, or
 * be an import.  Names of points may contain '/': the whole text is tried as
 * a point first.
 */
int choose_image(const struct catalog *c, const char *text,
		 struct choice *choice, struct err *e);

#endif
