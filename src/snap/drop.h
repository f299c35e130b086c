/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_DROP_H
#define VMKEEP_SNAP_DROP_H

/* Giving back without a journal: for snap_drop() and recovery. */

#include "snap/internal.h"

/* Each by its backend, all of a backend at once.  gone[i] says which are not
 * there any more; -1 with the first error when one still may be. */
int drop_all(const struct snap *const *snaps, size_t count, bool *gone,
	     const struct snap_time *t, struct err *e);

/*
 * For a backend: each in turn.  Whoever is said to be ERR_NOT_FOUND is gone,
 * too; all are tried, and the first error is given.
 */
int drop_each(const struct snap *const *snaps, size_t count, bool *gone,
	      int (*one)(void *ctx, const struct snap *snap, struct err *e),
	      void *ctx, struct err *e);

/* Give back what a view has made, once nobody makes it any more; 0 also when
 * it is not there. */
int unview(const struct snap_thing *thing, const struct snap_time *t,
	   struct err *e);

#endif
