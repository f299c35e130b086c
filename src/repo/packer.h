/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_PACKER_H
#define VMKEEP_REPO_PACKER_H

/*
 * Packs being filled.  A worker reserves room in the current pack of a class,
 * seals straight into it while others do the same beside it, and says when it
 * is done; a full pack, once all are done, is closed by a footer and stored by
 * a thread of the packer's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/internal.h"
#include "repo/pack.h"

struct packer;
struct open_pack;

/* Packs of one class that may be open (filled or being stored) at once; this
 * bounds the memory.  A store that is slower than the rest never waits for
 * the next one: it was filled meanwhile. */
#define PACKER_MAX_OPEN 3

/* failed() is called, from any thread, with the first error; the packer is
 * then useless.  The session's data key is made with the first data pack: a
 * session that finds all known needs none. */
struct packer_parts {
	struct repo *repo;
	struct id session;
	bool copies; /* of sealed blobs: there is no data key */
	void (*failed)(void *ctx, const struct err *e);
	void *ctx;
};

struct packer *packer_new(const struct packer_parts *parts, struct err *e);

/* Stops without storing what is open. */
void packer_free(struct packer *p);

/* A place in a pack. */
struct reservation {
	struct open_pack *pack;
	uint8_t *at;          /* b->stored bytes to be filled */
	uint32_t number;      /* blob number, the nonce */
	uint32_t pack_number; /* in the table */
};

/*
 * Room for a blob of exactly b->stored bytes.  Waits while too many packs are
 * open.  After success packer_done() must be called, whatever happens.
 */
int packer_reserve(struct packer *p, enum blob_class class,
		   const struct blob *b, const struct slot *slots,
		   struct reservation *r, struct err *e);
void packer_done(struct packer *p, const struct reservation *r);

/* The id of the reserved place's pack. */
const struct id *packer_pack(const struct reservation *r);

/* A sealer for a pack's blobs, for one thread. */
struct sealer *packer_sealer(struct packer *p, const struct reservation *r,
			     struct err *e);

/* Close what is open and wait until all is stored.  No reservation may be
 * under way. */
int packer_drain(struct packer *p, struct err *e);

/* Stop: wakes everybody who waits, with ERR_STOPPED. */
void packer_stop(struct packer *p);

/* The packs since the last turn, by their numbers; what is said of a pack is
 * true once it is stored. */
const struct segment_pack *packer_table(struct packer *p, size_t *count);

/*
 * A turn: close what is open, hand over the table, and begin a new one, whose
 * numbers start at 0.  No reservation may be under way.  New packs may be
 * filled while those of the table are waited for; it stays until the turn
 * after the next.
 */
struct pack_table {
	struct segment_pack *packs;
	size_t count, room;
	unsigned open; /* of them; the packer's */
};

struct pack_table *packer_turn(struct packer *p);
int packer_wait(struct packer *p, const struct pack_table *t, struct err *e);

/* Bytes stored so far. */
uint64_t packer_stored(struct packer *p);

#endif
