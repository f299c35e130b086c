/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_REFUSAL_H
#define VMKEEP_VIRT_REFUSAL_H

#include <libxml/tree.h>

#include "virt/domain.h"

/*
 * Why the RAM of a domain with this definition cannot be taken: one sentence
 * that names the element, or NULL.  Free it.  The list is that of libvirt's
 * qemuMigrationSrcIsAllowed() and of QEMU's migration blockers, so that what
 * would fail late is known early; what is missing here is refused by libvirt
 * itself.  Disks that are not captured count, too: RAM without a disk that
 * the guest writes to is of another instant than the disk.
 */
char *refusal_ram(xmlNodePtr domain, const struct domain_info *d);

#endif
