/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_FETCH_H
#define VMKEEP_REPO_FETCH_H

/*
 * From an id to its bytes, for one thread: find, read, open, unpack, check.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/internal.h"

struct fetch;

struct fetch *fetch_new(struct repo *r, struct err *e);
void fetch_free(struct fetch *f);
void fetch_free_at(struct fetch **f);

/*
 * The bytes of a chunk or node, valid until the next call.  ERR_INTEGRITY
 * says what is damaged or missing.
 */
int fetch_get(struct fetch *f, enum blob_class class, const struct hash *id,
	      const uint8_t **data, size_t *size, struct err *e);

/* The same from one place only, which footers_check() has confirmed. */
int fetch_at(struct fetch *f, const struct place *place, const struct hash *id,
	     const uint8_t **data, size_t *size, struct err *e);

/*
 * For whoever reads many at once.
 *
 * Where an id is; false where that cannot be said, or not at once:
 * fetch_get() tries harder, and says why.
 */
bool fetch_place(struct fetch *f, enum blob_class class, const struct hash *id,
		 struct place *place);

/* The footer of a place's pack, in use until it is said to be done (NULL is
 * fine); bytes of that pack. */
const struct footer_use *fetch_footer(struct fetch *f,
				      const struct place *place, struct err *e);
void fetch_footer_done(struct fetch *f, const struct footer_use *use);
int fetch_read(struct fetch *f, const struct place *place, uint64_t offset,
	       size_t size, uint8_t *to, struct err *e);

/* A blob's raw bytes (BLOB_MAX_RAW of room) from its sealed ones.  They are
 * not checked yet: fetch_holds() says whether they are what an id says. */
int fetch_open(struct fetch *f, const struct footer_use *use, uint32_t number,
	       const uint8_t *sealed, uint8_t *raw, struct err *e);
bool fetch_holds(struct fetch *f, enum blob_class class, const uint8_t *data,
		 size_t size, const struct hash *id);

/*
 * Open the blob `number` of a pack whose sealed bytes are given, and check
 * every id in it.  For whoever reads whole packs.
 */
int fetch_check_blob(struct fetch *f, const struct footer_use *use,
		     uint32_t number, const uint8_t *sealed, struct err *e);

#endif
