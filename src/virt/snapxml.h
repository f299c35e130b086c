/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_SNAPXML_H
#define VMKEEP_VIRT_SNAPXML_H

/* What libvirt is told in a snapshot request.  Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct snapxml_disk {
	const char *target;
	const char *overlay; /* external; NULL: as `manual` says */
	bool manual;         /* 'manual' (left alone, but of the instant of
			      * the RAM), else 'no' */
};

/*
 * A <domainsnapshot> in out, ending with NUL.  Every disk of the domain must
 * be listed: libvirt snapshots those that are not (see its
 * formatsnapshot.html, "disks").  memory: path for the RAM, or NULL.
 */
void snapxml_write(const char *memory, const struct snapxml_disk *disks,
		   size_t count, struct buf *out);

/* Append text with the five characters of XML escaped. */
void snapxml_escape(struct buf *out, const char *text);

#endif
