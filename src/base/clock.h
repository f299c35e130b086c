/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_CLOCK_H
#define VMKEEP_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds since 1970, and since some moment that never jumps. */
int64_t clock_wall_ns(void);
int64_t clock_steady_ns(void);

/* "2026-11-20T16:30:05Z" (21 bytes with NUL; UTC). */
#define CLOCK_TEXT 32
void clock_text(int64_t wall_ns, char out[CLOCK_TEXT]);

/* The same in local time with offset: "2026-11-20T17:30:05+01:00". */
void clock_text_local(int64_t wall_ns, char out[CLOCK_TEXT]);

/*
 * Read "2026", "2026-11", "2026-11-20", "2026-11-20T16", "...T16:30",
 * "...T16:30:05", each with an optional "Z" or "+01:00" (without: local
 * time), as the half-open span it names.  False when it is not a time.
 */
bool clock_parse(const char *text, int64_t *from_ns, int64_t *until_ns);

#endif
