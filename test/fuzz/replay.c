/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "fuzz.h"

/* Every file in the folder, once. */
int main(int argc, char **argv)
{
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	unsigned n = 0;

	if (d == NULL) {
		fprintf(stderr, "usage: replay FOLDER\n");
		return 2;
	}
	while ((entry = readdir(d)) != NULL) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		autofree char *path = path_join(argv[1], entry->d_name);
		struct err e = ERR_INIT;

		if (entry->d_name[0] == '.' ||
		    file_load(path, 1u << 20, &b, &e) < 0)
			continue;
		/* of its own, so that a byte too far is seen */
		autofree uint8_t *data = mem_alloc(b.len);

		if (b.len > 0)
			memcpy(data, b.p, b.len);
		LLVMFuzzerTestOneInput(data, b.len);
		n++;
	}
	closedir(d);
	printf("%u inputs\n", n);
	return n > 0 ? 0 : 1;
}
