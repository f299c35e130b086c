/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "fuzz.h"
#include "repo/segment.h"

/* An id, and a segment in which it is looked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hash id = { { 0 } };
	struct err e = ERR_INIT;
	struct segment s;
	struct place p;

	if (size < 16)
		return 0;
	memcpy(id.b, data, 16);
	if (segment_parse(data + 16, size - 16, &s, &e) < 0)
		return 0;
	struct segment_leans l;
	char *name;

	for (int k = 0; k < 2; k++) {
		enum blob_class class = k == 0 ? BLOB_NODE : BLOB_DATA;
		uint64_t at = segment_find(&s, class, &id);

		MUST(at <= s.nodes + s.chunks);
		for (; segment_entry(&s, at, &id, &p); at++)
			MUST(p.class == BLOB_DATA || p.class == BLOB_NODE);
	}
	for (uint64_t i = 0; i <= s.nodes + s.chunks; i++)
		segment_place(&s, i, &p);
	segment_leans(&s, &l);
	while (segment_leans_next(&l, &name))
		free(name);
	return 0;
}
