/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "repo/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct inner n;
	struct buf again = BUF_INIT;
	struct err e = ERR_INIT;

	if (inner_decode(data, size, &n, &e) == 0) {
		inner_encode(&n, &again);
		MUST(again.len == size && memcmp(again.p, data, size) == 0);
	}
	buf_fini(&again);
	return 0;
}
