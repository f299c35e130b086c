/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_CLOCK_H
#define VMKEEP_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

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

/* What the local clock shows, counted as if it were UTC; all in seconds. */
int64_t clock_to_local(int64_t moment_s);

/* The first moment when the local clock shows this or later: of a time that is
 * shown twice the first, of one that is skipped the end of the gap. */
int64_t clock_from_local(int64_t shown_s);

/* In which second after low, and up to high, the local clock began to go as it
 * goes at high; low where it always did. */
int64_t clock_change(int64_t low_s, int64_t high_s);

/*
 * From now on local time is that of a zone of the system's tables, such as
 * "Europe/Berlin".  For the whole process, before it has threads.  ERR_USAGE
 * when there is no such zone, of which libc would say nothing.
 */
int clock_set_zone(const char *name, struct err *e);

#endif
