/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CODEC_SEAL_INTERNAL_H
#define VMKEEP_CODEC_SEAL_INTERNAL_H

/* The parts of seal.c in their general form, for published test vectors. */

#include "codec/seal.h"

/* HKDF-SHA256 (RFC 5869), extract and expand. */
struct seal_hkdf {
	const void *key;
	size_t key_size;
	const void *salt; /* salt_size 0: none */
	size_t salt_size;
	const void *info;
	size_t info_size;
};
int seal_hkdf(const struct seal_hkdf *k, void *out, size_t out_size,
	      struct err *e);

/* A sealer with this very key. */
struct sealer *sealer_with_key(const uint8_t key[SEAL_KEY], struct err *e);

#endif
