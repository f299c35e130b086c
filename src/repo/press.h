/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_PRESS_H
#define VMKEEP_REPO_PRESS_H

/*
 * What one thread needs to turn raw bytes into a sealed blob in a pack, and
 * to be sure of it: compress, reserve, seal, open again, unpack, compare.
 */

#include <stdint.h>

#include "base/err.h"
#include "codec/zip.h"
#include "repo/claims.h"
#include "repo/pace.h"
#include "repo/packer.h"

struct press;

/* The level of each blob is the pace's of that moment. */
struct press *press_new(struct packer *packer, struct claims *claims,
			struct pace *pace, struct err *e);
void press_free(struct press *p);

/*
 * Store raw bytes, at most the plan's blob_raw, as one blob; its slots are
 * placed among the claims.  What was sealed is opened and compared before this
 * returns (restic#4523: twice a compressor's bug was found at restore).
 */
struct blob_raw {
	enum blob_class class;
	const uint8_t *data;
	uint32_t size;
	const struct slot *slots;
	uint8_t slot_count;
};

int press_store(struct press *p, const struct blob_raw *raw, struct err *e);

#endif
