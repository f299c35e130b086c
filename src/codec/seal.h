/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CODEC_SEAL_H
#define VMKEEP_CODEC_SEAL_H

/*
 * AES-256-GCM with keys that HKDF-SHA256 derives for one object each.  A
 * nonce is a 64-bit number that the caller never uses twice under one sealer;
 * fresh salts in every object make that easy.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEAL_TAG 16
#define SEAL_KEY 32

struct sealer;

/* Key = HKDF(key, salt, info).  One per thread and object. */
struct sealer *sealer_new(const uint8_t key[SEAL_KEY], const void *salt,
			  size_t salt_size, const char *info, struct err *e);
void sealer_free(struct sealer *s);

/* out gets size + SEAL_TAG bytes; in and out may be the same place. */
int sealer_seal(struct sealer *s, uint64_t number, const void *aad,
		size_t aad_size, const void *in, size_t size, void *out,
		struct err *e);

/* in has size + SEAL_TAG bytes, out gets size; ERR_INTEGRITY when number,
 * aad or a bit of it is not what was sealed; then out is wiped, and where in
 * and out are the same place the sealed bytes are gone. */
int sealer_open(struct sealer *s, uint64_t number, const void *aad,
		size_t aad_size, const void *in, size_t size, void *out,
		struct err *e);

/* HKDF-SHA256 alone. */
int seal_derive(const uint8_t key[SEAL_KEY], const void *salt, size_t salt_size,
		const char *info, uint8_t out[SEAL_KEY], struct err *e);

#endif
