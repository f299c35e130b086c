/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ini.h"
#include "base/mem.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct ini ini = { 0 };
	char *text = mem_zalloc(size + 1, 1);

	if (size > 0)
		memcpy(text, data, size);
	if (ini_parse("fuzz", text, &ini, &e) == 0) {
		for (size_t i = 0; i < ini.count; i++)
			MUST(ini.entries[i].section != NULL &&
			     ini.entries[i].key != NULL &&
			     ini.entries[i].value != NULL);
		ini_fini(&ini);
	} else {
		MUST(e.code == ERR_USAGE && ini.count == 0);
	}
	free(text);
	return 0;
}
