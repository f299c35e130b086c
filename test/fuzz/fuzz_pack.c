/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "repo/pack.h"

/* A header and a trailer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT;
	struct err e = ERR_INIT;
	struct pack_header h;
	struct pack_trailer t;

	if (size < PACK_HEADER + PACK_TRAILER)
		return 0;
	if (pack_header_decode(data, &h, &e) == 0) {
		pack_header_encode(&h, &again);
		MUST(memcmp(again.p, data, PACK_HEADER) == 0);
	}
	buf_clear(&again);
	if (pack_trailer_decode(data + PACK_HEADER, &t, &e) == 0) {
		pack_trailer_encode(&t, &again);
		MUST(memcmp(again.p, data + PACK_HEADER, PACK_TRAILER) == 0);
		MUST(t.footer_offset <= PACK_MAX_SIZE);
	}
	buf_fini(&again);
	return 0;
}
