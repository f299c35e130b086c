/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "repo/point.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT;
	struct err e = ERR_INIT;
	struct set s;

	if (set_decode(data, size, &s, &e) == 0) {
		MUST(set_encode(&s, &again, &e) == 0);
		MUST(again.len == size && memcmp(again.p, data, size) == 0);
		set_fini(&s);
	}
	buf_fini(&again);
	return 0;
}
