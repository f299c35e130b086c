/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CHECKUP_H
#define VMKEEP_VIRT_CHECKUP_H

/*
 * A domain looked at more closely than a backup needs it: how its disks are
 * connected, what its images are like, what other tools have left.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "virt/conn.h"
#include "virt/domain.h"

/* Of one image of a chain; all zero where it is not on this host. */
struct checkup_image {
	bool local; /* a file or block device of this host */
	bool exists;
	bool readable;      /* for us */
	uint64_t size;      /* of the file */
	uint64_t allocated; /* of these on the disk */
	bool qcow2;         /* it has a qcow2 header, and: */
	unsigned version;
	uint64_t cluster;   /* bytes */
	uint32_t snapshots; /* internal */
	bool dirty;
	bool corrupt;
	bool relative; /* what it stands on is named without its folder */
	bool guessed;  /* the format of what it stands on is not written */
};

struct checkup_disk {
	char *cache;         /* as the definition says; NULL: it does not */
	char *discard;       /* "unmap", "ignore", NULL */
	char *detect_zeroes; /* "on", "off", "unmap", NULL */
	uint64_t physical;   /* sector size the guest is told; 0: nothing */
	struct checkup_image *images; /* one for each of the chain */
	char *kept;      /* the image that the kept definition names, where that
			  * is another one than the live one; else NULL */
	bool kept_below; /* and it is further down in the live chain */
};

struct checkup {
	struct domain_info *info;
	struct checkup_disk *disks; /* one for each of info's */
	bool agent_answers;
	char **stale; /* snapshots of which nothing but their names is left */
	size_t stale_count;
	bool claimed; /* a vmkeep is at work on it */
	bool journal; /* and one was, and left its journal */
};

/* state_dir: where journals would be.  Errors as domain_inspect(). */
struct checkup *checkup_look(struct conn *c, const char *name,
			     const char *state_dir, struct err *e);
void checkup_free(struct checkup *k);

/* What is in a definition of k->disks: cache to physical.  For info as read
 * from the same definition; makes k->disks. */
int checkup_read(struct checkup *k, const char *xml, struct err *e);

/* Look at the files of all disks. */
void checkup_files(struct checkup *k);

/* Set kept of all disks that the kept definition has elsewhere. */
void checkup_compare(struct checkup *k, const struct domain_info *kept);

/*
 * Is nothing left of a snapshot, with this definition: no file of its own that
 * is there, or is it an internal one that no image has?
 */
bool checkup_is_stale(const struct checkup *k, const char *snapshot_xml);

#endif
