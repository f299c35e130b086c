/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_SIGHT_H
#define VMKEEP_VIRT_SIGHT_H

/* What is the case with a disk of a plan, as definitions and files tell. */

#include <stdbool.h>

#include "virt/conn.h"
#include "virt/plan.h"

/* Where a definition's disk points to.  A file is known by its path, or by
 * device and inode where both are there. */
int sight_top(const char *xml, const struct plan_disk *disk, enum plan_top *top,
	      struct err *e);

/* The state of a block job in a live definition. */
enum sight_mirror {
	MIRROR_NONE,
	MIRROR_BUSY,
	MIRROR_READY,
	MIRROR_PIVOT, /* it was told to go over to the base */
	MIRROR_OTHER, /* a job that is no active commit: not ours */
};

int sight_mirror(const char *xml, const char *target, enum sight_mirror *m,
		 struct err *e);

/* Does the output of "qemu-img map --output=json" show nothing in the
 * topmost image? */
bool sight_map_empty(const char *json);

/* When a file was last written to, in ns; 0: not told. */
uint64_t sight_stamp(const char *path);

/* Was the overlay written to since disk->stamp?  false where that cannot be
 * told. */
bool sight_written(const struct plan_disk *disk);

/* All of it. */
int sight_disk(struct conn *c, const struct plan *plan,
	       const struct plan_disk *disk, struct plan_sight *sight,
	       struct err *e);

/* The definition (flags: VIR_DOMAIN_XML_...), to be freed. */
char *sight_xml(struct conn *c, const char *uuid, unsigned flags,
		struct err *e);

#endif
