/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_PACK_H
#define VMKEEP_REPO_PACK_H

/*
 * A pack's bytes: header, sealed blobs, sealed footer, trailer.
 *
 *   header   "VMKPACK" 0, version u16, suite u8, class u8, 0 u32, pack id,
 *            salt[32], data key id, session id                     96 bytes
 *   body     sealed blobs back to back; their lengths are in the footer only
 *   footer   sealed: what is in the body
 *   trailer  footer offset u64, footer size u32, SHA-256 of all before the
 *            trailer, "VMKEND" 0 0                                 52 bytes
 *
 * Keys: blobs HKDF(data key or K_meta, salt || pack id, "vmkeep blob"), nonce
 * = blob number; footer HKDF(K_meta, salt || pack id, "vmkeep footer"),
 * nonce 0.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/seal.h"
#include "codec/zip.h"
#include "repo/format.h"

#define PACK_HEADER  96u
#define PACK_TRAILER 52u
#define PACK_NAME    64

struct pack_header {
	enum blob_class class;
	struct id pack;
	uint8_t salt[SALT_SIZE];
	struct id key; /* data key; zero for K_meta */
	struct id session;
};

/* "data/7f/7f00..." or "meta/7f/7f00..." */
void pack_name(enum blob_class class, const struct id *pack,
	       char out[PACK_NAME]);

void pack_header_encode(const struct pack_header *h, struct buf *out);
int pack_header_decode(const uint8_t data[PACK_HEADER], struct pack_header *h,
		       struct err *e);

/* A chunk or node inside a blob. */
struct slot {
	uint32_t size; /* bytes; chunks: whole pages */
	struct hash id;
};

/* Where a sealed blob was sealed first: compaction moves blobs as they are,
 * and their keys and nonces with them. */
struct blob_origin {
	struct id pack;
	uint8_t salt[SALT_SIZE];
	struct id key;
	uint32_t number;
};

struct blob {
	uint32_t offset; /* in the pack */
	uint32_t stored; /* sealed size in the pack, tag included */
	uint32_t raw;    /* size when opened and unpacked */
	uint8_t method;  /* enum zip_method */
	uint8_t slots;   /* how many */
	uint32_t first;  /* index of the first in footer.slots */
	bool moved;      /* origin is meant */
	struct blob_origin origin;
};

/* Footer in memory.  Blob number = index. */
struct footer {
	struct blob *blobs;
	uint32_t blob_count;
	uint32_t blob_room;
	struct slot *slots;
	uint32_t slot_count;
	uint32_t slot_room;
};

void footer_fini(struct footer *f);

/* Append a blob of which offset and stored are said later; returns its
 * number. */
uint32_t footer_add(struct footer *f, const struct blob *b,
		    const struct slot *slots);

/* Bytes that the sealed footer will have. */
size_t footer_sealed_size(const struct footer *f);

/* Its bytes in the clear and back; ERR_INTEGRITY for anything that is not just
 * that.  body_end: where the footer starts; blobs must lie before. */
void footer_encode(const struct footer *f, struct buf *out);
int footer_decode(const void *data, size_t size, uint64_t body_end,
		  struct footer *f, struct err *e);

int footer_seal(const struct pack_header *h, const uint8_t meta_key[32],
		const struct footer *f, struct buf *out, struct err *e);
int footer_open(const struct pack_header *h, const uint8_t meta_key[32],
		const void *data, size_t size, uint64_t body_end,
		struct footer *f, struct err *e);

struct pack_trailer {
	uint64_t footer_offset;
	uint32_t footer_size;
	struct hash sum;
};

void pack_trailer_encode(const struct pack_trailer *t, struct buf *out);
int pack_trailer_decode(const uint8_t data[PACK_TRAILER],
			struct pack_trailer *t, struct err *e);

/* The associated data of a blob: class, method, raw size, slots.  Never its
 * place: blobs move. */
void blob_aad(enum blob_class class, const struct blob *b,
	      const struct slot *slots, struct buf *out);

/* The sealer for the blobs of a pack (or of an origin). */
struct sealer *pack_sealer(const uint8_t key[32], const struct id *pack,
			   const uint8_t salt[SALT_SIZE], struct err *e);

#endif
