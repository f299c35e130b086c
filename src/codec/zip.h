/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CODEC_ZIP_H
#define VMKEEP_CODEC_ZIP_H

/* zstd frames, contexts prepared once, one per thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum zip_method {
	ZIP_RAW = 0, /* as it is */
	ZIP_ZSTD = 1,
};

struct zip;

/* level: zstd's, -7 to 19; ERR_USAGE beyond. */
struct zip *zip_new(int level, struct err *e);
void zip_free(struct zip *z);

/* Another level for what is packed from now on; true when there is one. */
bool zip_set_level(struct zip *z, int level);

/* Bytes of memory that it holds now. */
size_t zip_memory(const struct zip *z);

/* The most bytes that zip_pack() may need for size bytes. */
size_t zip_bound(size_t size);

/* Compress into out (of zip_bound(size) bytes).  *method is ZIP_RAW and the
 * bytes a copy where zstd does not save at least 1/64.  Returns the stored
 * size. */
size_t zip_pack(struct zip *z, const void *in, size_t size, void *out,
		enum zip_method *method);

/* Back to exactly raw_size bytes, or ERR_INTEGRITY. */
int zip_unpack(struct zip *z, enum zip_method method, const void *in,
	       size_t size, void *out, size_t raw_size, struct err *e);

#endif
