/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_SAFE_H
#define VMKEEP_REPORT_SAFE_H

/*
 * Names come from outside and go to a terminal: what could move its cursor,
 * change its colours or turn its writing direction is shown as an escape
 * ("\x1b", "\n", "\u202e"), and so are bytes that are not UTF-8.
 */

#include <stdbool.h>
#include <stddef.h>

/* One UTF-8 character at s: its length in bytes, or 0 when it is not one.
 * Overlong forms, surrogates and what is beyond U+10FFFF are not. */
size_t safe_char(const char *s, unsigned *code);

/* Is all of it UTF-8? */
bool safe_utf8(const char *s);

/* A copy that any terminal can show; NULL becomes "-".  Free it. */
char *safe_text(const char *s);

/* How many columns a terminal needs for it. */
size_t safe_width(const char *s);

#endif
