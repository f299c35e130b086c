/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_FLATTEN_H
#define VMKEEP_VIRT_FLATTEN_H

/*
 * Shorten chains of overlays: all that is above one image of a chain is
 * brought into it, while the domain runs or while it is shut off, and the
 * domain goes on there.  By the rules of a capture's end: see plan.h, settle.h.
 *
 * Images of a chain are numbered from 1, the base of all, up to what the guest
 * writes to.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/talk.h"
#include "virt/conn.h"

struct flatten_options {
	char *const *disks; /* targets; NULL: all that have a chain */
	size_t disk_count;
	uint64_t base; /* the image to merge into; 0: 1 */
	bool remove;   /* the images that are merged, when nobody needs them */
	bool dry_run;
	const char *state_dir;      /* journals and locks; must exist */
	const char *watchdog;       /* see capture.h */
	const _Atomic bool *cancel; /* true: give up; NULL: never */
};

struct flatten_image {
	char *path; /* NULL: no file */
	char *format;
	uint64_t allocated; /* bytes on its file system; 0: not known */
	bool left;          /* is there, when all is done */
};

struct flatten_disk {
	char *target;
	struct flatten_image *images; /* from the top down */
	size_t image_count;
	size_t base;    /* number of the image to merge into; 0: nothing is to
			 * be merged */
	uint64_t bytes; /* allocated above the base */
	uint64_t size;  /* what the guest sees; 0: not known */
	struct err why; /* code not 0: why it is not merged */
	bool done;      /* the domain is on the base */
};

struct flatten_report {
	char *name; /* of the domain */
	bool live;
	struct flatten_disk *disks;
	size_t disk_count;
	char **notes;
	size_t note_count;
};

/*
 * 0 when all that was to be done is done, or (dry_run) could be.  -1 with the
 * first error else; the report tells of each disk.  ERR_BUSY: something else
 * is at work on the domain.  ERR_REFUSED: some image may not be written to.
 * ERR_STOPPED: given up; chains are as before.  Free the report in any case.
 */
int flatten_run(struct conn *c, const char *domain,
		const struct flatten_options *options, const struct talk *talk,
		struct flatten_report *report, struct err *e);
void flatten_report_fini(struct flatten_report *report);

#endif
