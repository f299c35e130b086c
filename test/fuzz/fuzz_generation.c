/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "repo/generation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT;
	struct err e = ERR_INIT;
	struct generation g;
	struct id pack = { { 0 } };

	if (generation_decode(data, size, &g, &e) < 0)
		return 0;
	generation_encode(&g, &again);
	MUST(again.len == size && memcmp(again.p, data, size) == 0);
	for (size_t i = 0; i < g.doomed.count; i++)
		MUST(locations_pack(&g.doomed, &g.doomed.packs[i].pack) ==
		     &g.doomed.packs[i]);
	locations_has(&g.condemned, &pack, 0);
	generation_fini(&g);
	buf_fini(&again);
	return 0;
}
