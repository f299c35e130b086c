/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_RAMDUMP_STREAM_H
#define VMKEEP_VIRT_RAMDUMP_STREAM_H

/* The bytes of QEMU's migration stream, for ramdump.c only. */

#include "virt/ramdump.h"

/* A window on the file, read in order. */
struct stream {
	int fd;
	uint64_t size;
	uint64_t at; /* of the next byte */
	uint8_t *window;
	uint64_t window_at;
	size_t window_len;
	struct err err; /* sticky: reading failed, or ended early */

	uint64_t head_end; /* found by stream_scan() */
	uint64_t tail_start;
};

void stream_fini(struct stream *s);

/* Find blocks and pages.  ERR_REFUSED or ERR_INTEGRITY: not this layout. */
int stream_scan(struct stream *s, struct ramdump *d, struct err *e);

/* Begin the section with all pages. */
void stream_put_section(struct buf *b, uint32_t section);

/* A page; name NULL: in the same block as the one before. */
void stream_put_page(struct buf *b, const char *name, uint64_t address,
		     const uint8_t *page);

void stream_put_end(struct buf *b, uint32_t section, bool footers);

#endif
