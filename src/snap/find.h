/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_FIND_H
#define VMKEEP_SNAP_FIND_H

/* What each storage says of a path. */

#include "snap/internal.h"
#include "snap/where.h"

/*
 * 1: it is mine, *v (for snap_volume_fini()) and *inside (to be freed) are
 * set; 0: not mine, why (to be freed) may say what is missing; -1: error.
 */
int btrfs_find(const struct where *w, struct snap_volume *v, char **inside,
	       char **why, struct err *e);
int reflink_find(const struct where *w, struct snap_volume *v, char **inside,
		 char **why, struct err *e);

#endif
