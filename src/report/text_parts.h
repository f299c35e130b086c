/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_TEXT_PARTS_H
#define VMKEEP_REPORT_TEXT_PARTS_H

/* What the text files of report/ share. */

#include <stdio.h>

#include "job/result.h"

/* Like fprintf, and made safe for a terminal: no newline in it. */
void text_line(FILE *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "  note: ..." for each. */
void text_strings(FILE *out, const char *before,
		  const struct result_strings *s);

/* "one image", "3 images". */
void text_count(char *out, size_t size, unsigned long long n,
		const char *singular, const char *plural);

#define TEXT_COUNT 64

/* Enough of an id to type: 12 of its digits. */
#define TEXT_ID 12

#endif
