/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CODEC_SHA_PAIR_H
#define VMKEEP_CODEC_SHA_PAIR_H

/*
 * SHA-256 of two pages side by side, with the SHA instructions of x86.
 *
 * A round waits for the one before it, so that one stream leaves half of the
 * unit idle; a second one, independent, fits into the gaps.
 */

#include <stdbool.h>
#include <stdint.h>

#include "codec/hash.h"

/* Has this processor what it takes? */
bool sha_pair_available(void);

/* Only where it is available. */
void sha_pair_pages(const uint8_t pages[2 * PAGE_SIZE_BYTES],
		    struct hash leaves[2]);

#endif
