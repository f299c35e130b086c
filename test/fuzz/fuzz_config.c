/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "repo/internal.h"

/* As it is, and with the sum that it should have. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = BUF_INIT;
	struct repo_config c;
	struct err e = ERR_INIT;
	struct hash sum;

	wr_bytes(&b, data, size);
	config_decode(&b, &c, &e);
	hash_sha256(b.p, b.len, &sum);
	wr_bytes(&b, sum.b, HASH_SIZE);
	if (config_decode(&b, &c, &e) == 0) {
		MUST(c.data_pack_size <= PACK_MAX_SIZE);
		MUST(cut_sizes_from_avg(c.chunk_avg, &(struct cut_sizes){ 0 }));
	}
	buf_fini(&b);
	return 0;
}
