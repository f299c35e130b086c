/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct journal_record *records = NULL;
	struct err e = ERR_INIT;
	size_t count = 0;
	char path[64];

	if (fd < 0)
		fd = memfd_create("journal", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	MUST(fd_pwrite_full(fd, data, size, 0, &e) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (journal_read(path, &records, &count, &e) == 0) {
		for (size_t i = 0; i < count; i++)
			MUST(records[i].word != NULL);
		journal_records_free(records, count);
	}
	return 0;
}
