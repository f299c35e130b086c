/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Digits from *text on, which then points behind them. */
static bool digits(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (p == *text)
		return false;
	*text = p;
	*value = v;
	return true;
}

bool num_parse(const char *text, uint64_t *value)
{
	uint64_t v;

	if (!digits(&text, &v) || *text != '\0')
		return false;
	*value = v;
	return true;
}

/* The factor that "", "b", "k", "kb", "kib", "m", ... stands for, or 0. */
static uint64_t size_unit(const char *unit)
{
	static const char letters[] = "kmgtpe";

	if (*unit == '\0' || strcasecmp(unit, "b") == 0)
		return 1;
	for (size_t i = 0; letters[i] != '\0'; i++) {
		if ((*unit | 0x20) != letters[i])
			continue;
		if (unit[1] != '\0' && strcasecmp(unit + 1, "b") != 0 &&
		    strcasecmp(unit + 1, "ib") != 0)
			return 0;
		return UINT64_C(1) << (10 * (i + 1));
	}
	return 0;
}

bool num_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t v;

	if (!digits(&text, &v))
		return false;

	uint64_t unit = size_unit(text);

	if (unit == 0 || __builtin_mul_overflow(v, unit, &v))
		return false;
	*bytes = v;
	return true;
}

static uint64_t duration_unit(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{ "ms", 1 },          { "", 1000 },
		{ "s", 1000 },        { "m", 60 * 1000 },
		{ "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].name) == 0)
			return units[i].ms;
	return 0;
}

bool num_parse_duration(const char *text, uint64_t *ms)
{
	uint64_t v;

	if (!digits(&text, &v))
		return false;

	uint64_t unit = duration_unit(text);

	if (unit == 0 || __builtin_mul_overflow(v, unit, &v))
		return false;
	*ms = v;
	return true;
}

void num_size_text(uint64_t bytes, char out[NUM_TEXT])
{
	static const char *const names[] = { "B",   "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	uint64_t tenths = 0;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, NUM_TEXT, "%" PRIu64 " B", bytes);
		return;
	}
	/* rounding may reach 1024.0, which is 1.0 of the next unit */
	do {
		uint64_t unit = UINT64_C(1) << (10 * ++i);

		tenths = bytes / unit * 10 +
			 (bytes % unit * 10 + unit / 2) / unit;
	} while (tenths >= 10240);
	snprintf(out, NUM_TEXT, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
		 tenths % 10, names[i]);
}

/* n / unit to the nearest, without overflow. */
static uint64_t nearest(uint64_t n, uint64_t unit)
{
	return n / unit + (n % unit >= unit / 2);
}

void num_duration_text(uint64_t ms, char out[NUM_TEXT])
{
	uint64_t s = nearest(ms, 1000);
	uint64_t min = nearest(ms, 60 * 1000);
	uint64_t h = nearest(ms, 3600 * 1000);

	if (ms < 1000)
		snprintf(out, NUM_TEXT, "%" PRIu64 " ms", ms);
	else if (nearest(ms, 100) < 600)
		snprintf(out, NUM_TEXT, "%" PRIu64 ".%" PRIu64 " s",
			 nearest(ms, 100) / 10, nearest(ms, 100) % 10);
	else if (s < 3600)
		snprintf(out, NUM_TEXT, "%" PRIu64 " min %" PRIu64 " s", s / 60,
			 s % 60);
	else if (min < UINT64_C(48) * 60)
		snprintf(out, NUM_TEXT, "%" PRIu64 " h %" PRIu64 " min",
			 min / 60, min % 60);
	else
		snprintf(out, NUM_TEXT, "%" PRIu64 " d %" PRIu64 " h", h / 24,
			 h % 24);
}
