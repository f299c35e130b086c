/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_FOOTERS_H
#define VMKEEP_REPO_FOOTERS_H

/*
 * The footers of packs, read when needed and kept while there is room.
 * Thread-safe.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/pack.h"
#include "repo/segment.h"
#include "store/store.h"

struct footers;

/* meta_key and store stay the caller's; at most max_bytes are kept beyond
 * what is in use. */
struct footers *footers_new(struct store *store, const uint8_t meta_key[32],
			    size_t max_bytes);
void footers_free(struct footers *f);

/* A footer in use: stays valid until footers_put(). */
struct footer_use {
	struct pack_header header;
	struct footer footer;
	uint64_t body_end; /* where the footer starts */
	uint32_t footer_size;
	uint64_t size; /* of the whole pack */
	struct hash sum;
};

const struct footer_use *footers_get(struct footers *f, enum blob_class class,
				     const struct id *pack, struct err *e);
void footers_put(struct footers *f, const struct footer_use *use);

/* Does place hold this id?  1 yes, 0 no, -1 cannot be said (pack missing or
 * damaged). */
int footers_check(struct footers *f, const struct place *place,
		  const struct hash *id, struct err *e);

/* Read a footer without keeping it. */
int footer_load(struct store *store, const uint8_t meta_key[32],
		enum blob_class class, const struct id *pack,
		struct footer_use *use, struct err *e);

#endif
