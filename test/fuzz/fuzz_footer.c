/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "repo/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct footer f = { 0 };
	struct buf again = BUF_INIT;
	struct err e = ERR_INIT;

	if (footer_decode(data, size, PACK_MAX_SIZE, &f, &e) == 0) {
		footer_encode(&f, &again);
		MUST(again.len == size && memcmp(again.p, data, size) == 0);
		MUST(footer_sealed_size(&f) == size + SEAL_TAG);
	}
	footer_fini(&f);
	buf_fini(&again);
	return 0;
}
