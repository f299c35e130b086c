/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/zip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/mem.h"

struct zip {
	ZSTD_CCtx *pack;
	ZSTD_DCtx *unpack;
	int level;
};

static bool has_level(int level)
{
	return level >= -7 && level <= 19;
}

struct zip *zip_new(int level, struct err *e)
{
	if (!has_level(level)) {
		err_set(e, ERR_USAGE, "zstd has no level %d: use -7 to 19",
			level);
		return NULL;
	}
	struct zip *z = mem_zalloc(1, sizeof(*z));

	z->pack = ZSTD_createCCtx();
	z->unpack = ZSTD_createDCtx();
	z->level = INT_MIN;
	if (z->pack == NULL || z->unpack == NULL || !zip_set_level(z, level)) {
		zip_free(z);
		err_set(e, ERR_FAILED, "cannot set up zstd");
		return NULL;
	}
	return z;
}

bool zip_set_level(struct zip *z, int level)
{
	if (level == z->level)
		return true;
	if (!has_level(level) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(
		    z->pack, ZSTD_c_compressionLevel, level)))
		return false;
	z->level = level;
	return true;
}

size_t zip_memory(const struct zip *z)
{
	return ZSTD_sizeof_CCtx(z->pack) + ZSTD_sizeof_DCtx(z->unpack);
}

void zip_free(struct zip *z)
{
	if (z == NULL)
		return;
	ZSTD_freeCCtx(z->pack);
	ZSTD_freeDCtx(z->unpack);
	free(z);
}

size_t zip_bound(size_t size)
{
	return ZSTD_compressBound(size);
}

size_t zip_pack(struct zip *z, const void *in, size_t size, void *out,
		enum zip_method *method)
{
	size_t packed = ZSTD_compress2(z->pack, out, ZSTD_compressBound(size),
				       in, size);

	/* an error can only be missing memory, and raw needs none */
	if (!ZSTD_isError(packed) && packed < size - size / 64) {
		*method = ZIP_ZSTD;
		return packed;
	}
	if (size > 0)
		memcpy(out, in, size);
	*method = ZIP_RAW;
	return size;
}

static int unpack_raw(const void *in, size_t size, void *out, size_t raw_size,
		      struct err *e)
{
	if (size != raw_size)
		return err_set(e, ERR_INTEGRITY,
			       "%zu bytes where there should be %zu", size,
			       raw_size);
	if (size > 0)
		memcpy(out, in, size);
	return 0;
}

static int unpack_zstd(struct zip *z, const void *in, size_t size, void *out,
		       size_t raw_size, struct err *e)
{
	size_t got = ZSTD_decompressDCtx(z->unpack, out, raw_size, in, size);

	if (ZSTD_isError(got))
		return err_set(e, ERR_INTEGRITY, "zstd: %s",
			       ZSTD_getErrorName(got));
	if (got != raw_size)
		return err_set(e, ERR_INTEGRITY,
			       "unpacks to %zu bytes instead of %zu", got,
			       raw_size);
	return 0;
}

int zip_unpack(struct zip *z, enum zip_method method, const void *in,
	       size_t size, void *out, size_t raw_size, struct err *e)
{
	switch (method) {
	case ZIP_RAW:
		return unpack_raw(in, size, out, raw_size, e);
	case ZIP_ZSTD:
		return unpack_zstd(z, in, size, out, raw_size, e);
	}
	return err_set(e, ERR_INTEGRITY, "unknown compression method %u",
		       (unsigned)method);
}
