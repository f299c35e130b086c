/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_OTHERS_H
#define VMKEEP_VIRT_OTHERS_H

/*
 * Who else needs an image?  An image that is written to, or removed, must be
 * nobody's template: neither of another disk of any domain, running or not,
 * nor of an image file that no definition names, nor may a process have it
 * open that libvirt does not know of.
 *
 * Definitions are those of one daemon.  Image files are looked for in the
 * folders of all its domains' images and in those of its storage pools, not
 * below them.  Processes are seen as far as the user may see them (root: all).
 * Images are told apart by device and inode, devices by their numbers.
 */

#include <stdbool.h>
#include <stddef.h>

#include "virt/conn.h"

struct others_query {
	const char *uuid;          /* this domain's ... */
	const char *target;        /* ... disk may use them; NULL: nobody may */
	const char *const *images; /* that nobody else may need */
	size_t count;
	const char *const *own; /* files that may be based on them */
	size_t own_count;
	const char *top; /* who has it open may have the images open;
			  * NULL: nobody may */
	bool processes;  /* look for those */
};

struct others_found {
	char *who;    /* one sentence; NULL: nobody */
	size_t index; /* of the image, the first one that somebody needs */
};

/* -1 when it cannot be told. */
int others_look(struct conn *c, const struct others_query *q,
		struct others_found *found, struct err *e);

#endif
