/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_RAMDUMP_H
#define VMKEEP_VIRT_RAMDUMP_H

/*
 * A RAM dump taken apart: guest pages in address order, each once with its
 * last content, and the small rest; and put together again as a stream that
 * resumes.
 *
 * In libvirt's save file, QEMU's migration stream has every page behind eight
 * bytes of header, in the order in which the guest dirtied them, some several
 * times: two dumps of one guest share hardly a byte at the same place.  As
 * pages in address order they share all that did not change.
 *
 * The layout, from QEMU 7.2 (migration/savevm.c, migration/ram.c) and libvirt
 * 9.0 (qemu_saveimage.h):
 *
 *     libvirt   "LibvirtQemudSave", u32 x 19 in host order; XML and cookie
 *     QEMU      "QEVM" version 3; configuration; section START of "ram" with
 *               the table of blocks; PARTs and END of pages; devices; end
 *
 * What is not exactly that is not taken apart: the caller keeps the file as it
 * is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define RAMDUMP_PAGE 4096u

/* One of the guest's memory blocks ("pc.ram", "vga.vram", ...). */
struct ramdump_block {
	char name[256];
	uint64_t pages;
};

/* What is needed beside the pages to make a stream again. */
struct ramdump_layout {
	struct ramdump_block *blocks;
	size_t block_count;
	uint64_t pages;   /* of all blocks */
	uint32_t section; /* the section's number in the stream */
	bool footers;     /* sections end with a mark */
	struct buf head;  /* all up to the first page */
	struct buf tail;  /* all behind the last */
};

void ramdump_layout_fini(struct ramdump_layout *l);
void ramdump_layout_encode(const struct ramdump_layout *l, struct buf *out);
int ramdump_layout_decode(const void *data, size_t size,
			  struct ramdump_layout *l, struct err *e);

/* ---- apart ----------------------------------------------------------- */

struct ramdump {
	struct ramdump_layout layout;
	int fd;          /* borrowed */
	uint64_t *where; /* offset of each page's last content in the
			  * file; 0: it is all zero */
};

/*
 * Look through a dump.  1: understood.  0: not, and e says why (keep the file
 * as it is).  -1: it cannot be read.
 */
int ramdump_open(int fd, struct ramdump *d, struct err *e);
void ramdump_fini(struct ramdump *d);

/* Bytes of the page image: all blocks' pages, one block after the other.
 * Threads may call at the same time. */
int ramdump_read(const struct ramdump *d, uint64_t offset, size_t size,
		 uint8_t *to, struct err *e);

/* ---- together -------------------------------------------------------- */

/*
 * Write the stream to fd: start, then all pages in order, in pieces of whole
 * pages, then end.
 */
int ramdump_start(const struct ramdump_layout *l, int fd, struct err *e);
int ramdump_pages(const struct ramdump_layout *l, int fd, uint64_t offset,
		  const uint8_t *pages, size_t size, struct err *e);
int ramdump_end(const struct ramdump_layout *l, int fd, struct err *e);

#endif
