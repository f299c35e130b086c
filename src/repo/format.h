/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_FORMAT_H
#define VMKEEP_REPO_FORMAT_H

/*
 * The numbers of the repository's format; FORMAT.md explains them.
 */

#include <stdint.h>

#include "codec/hash.h"

#define FORMAT_VERSION 1
#define FORMAT_SUITE   1 /* SHA-256, AES-256-GCM, X25519, Ed25519, zstd */

/* The window of a disk that one extent node describes. */
#define EXTENT_SIZE  (4u << 20)
#define EXTENT_PAGES (EXTENT_SIZE / PAGE_SIZE_BYTES)

/* Children of an inner node. */
#define TREE_FANOUT 256

/* Levels above the extents: 256^4 extents of 4 MiB are 16 PiB. */
#define TREE_MAX_DEPTH 4
#define IMAGE_MAX_SIZE (UINT64_C(1) << 54)

/* A blob: raw bytes, and chunks or nodes in it (a slot is one byte). */
#define BLOB_MAX_RAW   (1u << 20)
#define BLOB_MAX_SLOTS 255
#define NODE_BLOB_RAW  (64u << 10)

/* Longest encoded node: an extent of 1024 one-page chunks. */
#define NODE_MAX (3 + EXTENT_PAGES * (3 + HASH_SIZE))

/* Blobs in a pack: the index has three bytes for the number. */
#define PACK_MAX_BLOBS (1u << 20)
#define PACK_MAX_SIZE  (512u << 20)

#define ID_SIZE   16 /* repositories, packs, sessions, points, keys: random */
#define ID_TEXT   (2 * ID_SIZE + 1)
#define SALT_SIZE 32

struct id {
	uint8_t b[ID_SIZE];
};

/* What an id is made over, and what a blob holds. */
enum blob_class {
	BLOB_DATA = 'D', /* chunks; sealed under a data key */
	BLOB_NODE = 'N', /* tree nodes; sealed under K_meta */
};

/* Largest objects that are read whole. */
#define OBJECT_MAX_SMALL   (1u << 20)
#define OBJECT_MAX_POINT   (16u << 20)
#define OBJECT_MAX_SEGMENT (1u << 30)

#endif
