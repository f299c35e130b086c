/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_TRAITS_TOOLS_H
#define VMKEEP_SNAP_TRAITS_TOOLS_H

/* What zfs and lvm tell of volumes that have been found; nothing is asked
 * where there is no such volume. */

#include "snap/traits.h"

void tools_zfs(struct traits *t);
void tools_lvm(struct traits *t);

#endif
