/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_NUM_H
#define VMKEEP_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t num_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t num_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* How many parts of this size cover n; part is not 0. */
static inline uint64_t num_parts(uint64_t n, uint64_t part)
{
	return n / part + (n % part != 0);
}

/* A decimal number, all of the text; false otherwise or when too large. */
bool num_parse(const char *text, uint64_t *value);

/* "512", "64k", "10M", "2GiB", "1T": powers of 1024, case ignored. */
bool num_parse_size(const char *text, uint64_t *bytes);

/* "500ms", "90", "90s", "10m", "2h", "1d" to milliseconds. */
bool num_parse_duration(const char *text, uint64_t *ms);

/* "1.5 GiB": at most 15 characters. */
#define NUM_TEXT 24
void num_size_text(uint64_t bytes, char out[NUM_TEXT]);

/* "850 ms", "12.3 s", "4 min 10 s", "2 h 5 min". */
void num_duration_text(uint64_t ms, char out[NUM_TEXT]);

#endif
