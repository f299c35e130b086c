/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_REWRITE_H
#define VMKEEP_VIRT_REWRITE_H

/*
 * The parts of define_rewrite().
 */

#include <libxml/tree.h>
#include <stdbool.h>

#include "virt/define.h"

/* Name, UUID, MACs, genid, ports. */
int rewrite_identity(xmlNodePtr domain, const struct define_change *change,
		     struct err *e);

/* ERR_USAGE when a disk is named that the definition does not have. */
int rewrite_disks(xmlNodePtr devices, const struct define_change *change,
		  struct err *e);

/* Everything else that names the old host. */
void rewrite_host(xmlNodePtr domain, const struct define_change *change);

/* Is the path in one of libvirt's own per-domain folders? */
bool rewrite_is_libvirts(const char *path);

#endif
