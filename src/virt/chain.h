/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CHAIN_H
#define VMKEEP_VIRT_CHAIN_H

/*
 * Backing chains from the images themselves, where libvirt does not tell
 * them: a domain that is off has no chain in its definition.  Reads no more
 * than the first 64 KiB of each image.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "virt/domain.h"

/* What a qcow2 header says. */
struct chain_header {
	uint64_t size;        /* virtual, in bytes */
	unsigned version;     /* 2 or 3 */
	uint64_t cluster;     /* bytes */
	uint32_t snapshots;   /* internal ones */
	bool dirty;           /* was not closed: reference counts are old */
	bool corrupt;         /* QEMU has marked it so */
	char *backing;        /* as written there, or NULL */
	char *backing_format; /* NULL: not written there */
};

/* Parse the start of a qcow2 image (its first bytes, at least a header).
 * ERR_INTEGRITY when it is none.  Free with chain_header_fini(). */
int chain_parse(const void *data, size_t size, struct chain_header *h,
		struct err *e);
void chain_header_fini(struct chain_header *h);

/* The same of a file on this host; -1 when it is none or cannot be read. */
int chain_load(const char *path, struct chain_header *h);

/* The file that an image names as its backing, to be freed; NULL when it is
 * no file.  "file:x" is x; "json:{...}", "nbd://..." and the like are none.  A
 * relative name begins at the image that has it. */
char *chain_resolve(const char *above, const char *backing);

/* Virtual size of an image on this host; 0 when it cannot be told. */
uint64_t chain_size(const char *path, const char *format);

/* Add the images below the last one in disk->chain.  Ends quietly at what
 * cannot be opened, is no file, or is too deep. */
void chain_follow(struct domain_disk *disk);

/* Add an image at the end of the chain; takes the strings. */
void chain_add(struct domain_disk *disk, char *path, char *format, char *type);

#endif
