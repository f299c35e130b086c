/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_FILTER_H
#define VMKEEP_REPO_FILTER_H

/*
 * A set of 64-bit keys in 9 bits each, that says "not in it" or "perhaps": a
 * binary fuse filter with three places and one byte each.  1 in 256 keys that
 * are not in it pass.
 *
 * Thomas Mueller Graf, Daniel Lemire: Binary Fuse Filters: Fast and Smaller
 * Than Xor Filters, ACM Journal of Experimental Algorithmics 27 (2022),
 * doi:10.1145/3510449; the peeling: Botelho, Pagh, Ziviani, Simple and
 * Space-Efficient Minimal Perfect Hash Functions (WADS 2007).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many keys at most: building takes 24 bytes of memory for each. */
#define FILTER_MAX_KEYS (1u << 22)

/* Bytes of a filter of n keys. */
size_t filter_size(uint32_t n);

/*
 * Build one of n different keys in bytes (filter_size() of room).  *seed is
 * needed to ask it.  False, which keys that hash functions spread never make
 * happen: with these keys there is none, or there is no memory.
 */
bool filter_build(const uint64_t *keys, uint32_t n, uint8_t *bytes,
		  uint32_t *seed);

/* A filter made ready to be asked; bytes stay the caller's. */
struct filter {
	const uint8_t *bytes;
	uint32_t seed;
	uint32_t length;   /* of a segment of the table */
	uint32_t segments; /* and two more; 0: an empty set */
};

struct filter filter_of(const uint8_t *bytes, uint32_t n, uint32_t seed);

/* Can key be one of those that the filter was built of? */
bool filter_has(const struct filter *f, uint64_t key);

#endif
