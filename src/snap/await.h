/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_AWAIT_H
#define VMKEEP_SNAP_AWAIT_H

/*
 * A program that we had started goes on when we are killed, and must: an
 * lvcreate that dies may leave its origin suspended.  So what looks as if it
 * had never been made may be about to be.
 */

#include "snap/internal.h"

/* Wait until no other process has this name (ours are unique) in its command
 * line.  ERR_BUSY when the time is over; it names the process. */
int await_nobody(const char *name, const struct snap_time *t, struct err *e);

#endif
