/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_FUZZ_H
#define VMKEEP_TEST_FUZZ_H

/*
 * One parser each.  What libFuzzer calls; replay.c calls it with every file
 * of a corpus.  A parser that accepts bytes which it would not write itself
 * is wrong, too.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                             \
	do {                                                                   \
		if (!(what))                                                   \
			abort();                                               \
	} while (0)

#endif
