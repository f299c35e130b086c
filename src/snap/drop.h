/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_DROP_H
#define VMKEEP_SNAP_DROP_H

/* Giving back without a journal: for snap_drop() and recovery. */

#include "snap/internal.h"

/* Each by its backend, all of a backend at once.  gone[i] says which are not
 * there any more; -1 with the first error when one still may be. */
int drop_all(const struct snap *const *snaps, size_t count, bool *gone,
	     const struct snap_time *t, struct err *e);

/* Give back what a view has made, once nobody makes it any more; 0 also when
 * it is not there. */
int unview(const struct snap_thing *thing, const struct snap_time *t,
	   struct err *e);

#endif
