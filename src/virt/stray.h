/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_STRAY_H
#define VMKEEP_VIRT_STRAY_H

/*
 * QEMU writes into an overlay (or has it open) that libvirt knows nothing of:
 * the daemon was killed after QEMU had switched over and before it wrote that
 * down (libvirt 9.0: found by killing it).  A restart of the guest would then
 * go back to the base and lose all that was written since.
 */

#include <stdbool.h>
#include <stddef.h>

#include "virt/conn.h"
#include "virt/plan.h"

/* Does somebody hold QEMU's lock on the image for writing? */
bool stray_locked(const char *overlay);

/*
 * Commit and pivot by QEMU's own monitor, past libvirt, which has the base as
 * the disk already and needs no telling.  libvirt marks the domain as
 * tainted by it until its next start.
 */
int stray_merge(struct conn *c, const char *uuid, const struct plan_disk *disk,
		struct err *e);

/*
 * The node of a driver ("qcow2", "file") for a file, in the answer to
 * query-named-block-nodes: to be freed, or NULL.  mark is a part of the
 * file's name that no other has and that JSON does not escape.
 */
char *stray_node(const char *json, const char *driver, const char *mark);

#endif
