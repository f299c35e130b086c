/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_RELEASE_H
#define VMKEEP_VIRT_RELEASE_H

#include "virt/conn.h"
#include "virt/plan.h"

/*
 * A flatten has brought all into the base of this disk: the images above it
 * are not needed.  Where that was asked for, and remove says that it is sure,
 * those are removed that are regular files, the very ones that the journal
 * names, with no snapshots inside, and named neither by any domain nor by any
 * other image.  say(): what is left, with the command, and why.
 */
int release_images(struct conn *c, const struct plan_disk *disk, bool remove,
		   void (*say)(void *ctx, const char *text), void *ctx,
		   struct err *e);

#endif
