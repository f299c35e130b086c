/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_MOUNT_H
#define VMKEEP_SNAP_MOUNT_H

/*
 * Mounts without a place in the tree (fsopen(2), fsmount(2); Linux 5.2):
 * nobody else sees, scans or keeps them, and they vanish with the last
 * descriptor, also when we are killed.
 */

#include "base/err.h"

/*
 * Mount source read-only, nosuid, nodev, noexec; flags (file system options
 * without a value) end with NULL.  *root is a folder for openat(2).  The
 * message has the kernel's own words where it gives them.
 */
int mount_hidden(const char *fs, const char *source, const char *const *flags,
		 int *root, struct err *e);

#endif
