/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "fuzz.h"
#include "repo/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct err e = ERR_INIT;
	struct keyring k;
	char *text = mem_zalloc(size + 1, 1);

	if (!ready)
		MUST(keys_init(&e) == 0);
	ready = true;
	if (size > 0)
		memcpy(text, data, size);
	memset(&k, 0, sizeof(k));
	if (keyring_decode_text(text, &k))
		MUST(k.role >= ROLE_OWNER && k.role <= ROLE_RESTORER);
	free(text);
	return 0;
}
