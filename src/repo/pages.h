/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_PAGES_H
#define VMKEEP_REPO_PAGES_H

/*
 * A local file that anybody may have torn, cut or forged: pages of 2 KiB,
 * each with 2,032 bytes of content and the first 16 bytes of SHA-256 over a
 * secret key, the page's number and the content (all of one length, so that
 * nothing can be appended).  A page is what was written there, or cannot be
 * read.  Read with pread(2), never mapped: a file that somebody cuts short is
 * a failure, not a signal, and its pages are not our memory.
 *
 * The same in memory, without sums, where there is no file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/hash.h"

#define PAGES_SIZE    2048u
#define PAGES_CONTENT 2032u

/* ---- writing --------------------------------------------------------- */

/* Embedded.  fd: where to, or -1: into memory. */
struct pages_writer {
	int fd;
	struct hash key;
	struct buf out; /* pages: all, or those not written yet */
	uint64_t pages; /* finished ones */
	uint8_t content[PAGES_CONTENT];
	size_t used;     /* of content */
	struct err fail; /* the first failure */
};

void pages_writer_init(struct pages_writer *w, int fd, const struct hash *key);
void pages_writer_fini(struct pages_writer *w);

/* Append n bytes, at most PAGES_CONTENT, which do not cross a page's end. */
void pages_add(struct pages_writer *w, const void *p, size_t n);

/* Append any number of bytes, over as many pages as it takes. */
void pages_stream(struct pages_writer *w, const void *p, size_t n);

/* The next byte begins a page; its number. */
uint64_t pages_next(struct pages_writer *w);

/* Write out what is left: 0, or -1 and the first failure. */
int pages_finish(struct pages_writer *w, struct err *e);

/* ---- reading --------------------------------------------------------- */

/* Embedded; zero and fd = -1 is none. */
struct pages {
	int fd;          /* or -1: opened for every page, by path */
	char *path;      /* of the file, or NULL */
	struct buf held; /* in memory: then nothing is read */
	struct hash key;
	uint64_t count;
};

void pages_fini(struct pages *p);

/* Read all of them into memory; the file is not needed any more. */
int pages_hold(struct pages *p, struct err *e);

/* Room for a page as it is read. */
struct page_room {
	uint8_t b[HASH_SIZE + 8 + PAGES_SIZE];
};

/* The content of page number i: in room, or in memory; NULL and why. */
const uint8_t *pages_get(const struct pages *p, uint64_t i,
			 struct page_room *room, struct err *e);

/* size bytes that pages_stream() has written from page i on. */
int pages_load(const struct pages *p, uint64_t i, void *to, size_t size,
	       struct err *e);

#endif
