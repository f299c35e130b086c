/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "repo/issued.h"

/* The record of a key or of its removal, by the first byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT;
	struct err e = ERR_INIT;
	struct issued_key key;

	if (size == 0)
		return 0;
	bool gone = data[0] & 1;
	int ok = gone ? issued_decode_void(data + 1, size - 1, &key, &e)
		      : issued_decode(data + 1, size - 1, &key, &e);

	if (ok < 0)
		return 0;
	if (gone)
		issued_encode_void(&key, &again);
	else
		issued_encode(&key, &again);
	MUST(again.len == size - 1 &&
	     memcmp(again.p, data + 1, again.len) == 0);
	issued_key_fini(&key);
	buf_fini(&again);
	return 0;
}
