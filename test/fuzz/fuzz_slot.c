/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/hash.h"
#include "fuzz.h"
#include "repo/keyring.h"

#define KDF_AT 24 /* memory, passes: what a try costs */

/* Whoever makes slots makes their sums, too.  What opens was sealed under our
 * passphrase, so it is a keyring of a known role. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t cheap[8] = { 0, 0x20, 0, 0, 1 };
	static bool ready;
	struct err e = ERR_INIT;
	struct keyring k;
	struct hash sum;
	uint8_t *slot = malloc(size + 1);

	MUST(slot != NULL);
	if (!ready)
		MUST(keys_init(&e) == 0);
	ready = true;
	if (size > 0)
		memcpy(slot, data, size);
	if (size >= KDF_AT + sizeof(cheap) + HASH_SIZE) {
		/* 8 MiB, once, instead of what would take minutes */
		if (slot[KDF_AT + 2] != 0 || slot[KDF_AT + 3] != 0)
			memcpy(slot + KDF_AT, cheap, sizeof(cheap));
		hash_sha256(slot, size - HASH_SIZE, &sum);
		memcpy(slot + size - HASH_SIZE, sum.b, HASH_SIZE);
	}
	memset(&k, 0, sizeof(k));
	int got = keyring_decode_slot(slot, size, "fuzz", &k, &e);

	if (got == 1)
		MUST(k.role >= ROLE_OWNER && k.role <= ROLE_RESTORER);
	else if (got < 0)
		MUST(e.code == ERR_INTEGRITY);
	free(slot);
	return 0;
}
