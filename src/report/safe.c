/* SPDX-License-Identifier: Apache-2.0 */
#include "report/safe.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

/* How long the character is that begins with this byte; 0: none does. */
static size_t lead_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead < 0xe0)
		return 2;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

size_t safe_char(const char *s, unsigned *code)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t lead = (uint8_t)*s;
	size_t n = lead_length(lead);
	unsigned c = n < 2 ? lead : lead & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		uint8_t next = (uint8_t)s[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (next & 0x3fu);
	}
	if (n == 0 || c < least[n] || c > 0x10ffff ||
	    (c >= 0xd800 && c < 0xe000))
		return 0;
	*code = c;
	return n;
}

bool safe_utf8(const char *s)
{
	unsigned code;

	while (*s != '\0') {
		size_t n = safe_char(s, &code);

		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

struct span {
	unsigned from, to;
};

static bool within(const struct span *spans, size_t count, unsigned code)
{
	for (size_t i = 0; i < count; i++)
		if (code >= spans[i].from && code <= spans[i].to)
			return true;
	return false;
}

/* Controls, line separators, and what changes the writing direction or is
 * not to be seen (Unicode TR 36, 3.6). */
static bool is_hostile(unsigned code)
{
	static const struct span hostile[] = {
		{ 0x00, 0x1f },       { 0x7f, 0x9f },     { 0xad, 0xad },
		{ 0x61c, 0x61c },     { 0x200b, 0x200f }, { 0x2028, 0x202e },
		{ 0x2060, 0x206f },   { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
		{ 0xe0000, 0xe0fff },
	};

	return within(hostile, sizeof(hostile) / sizeof(hostile[0]), code);
}

static void put_escape(struct buf *b, unsigned code, size_t bytes)
{
	char text[16];

	if (code == '\n' || code == '\t' || code == '\r')
		snprintf(text, sizeof(text), "\\%c",
			 code == '\n'   ? 'n'
			 : code == '\t' ? 't'
					: 'r');
	else if (bytes < 2)
		snprintf(text, sizeof(text), "\\x%02x", code);
	else
		snprintf(text, sizeof(text), "\\u%04x", code);
	wr_bytes(b, text, strlen(text));
}

char *safe_text(const char *s)
{
	struct buf b = BUF_INIT;

	if (s == NULL)
		return mem_strdup("-");
	while (*s != '\0') {
		unsigned code = (uint8_t)*s;
		size_t n = safe_char(s, &code);

		if (n == 0 || is_hostile(code))
			put_escape(&b, code, n);
		else
			wr_bytes(&b, s, n);
		s += n == 0 ? 1 : n;
	}
	wr_u8(&b, 0);
	return (char *)b.p;
}

/* Columns of one character: combining marks take none, East Asian wide ones
 * two (Unicode TR 11, in its coarse blocks). */
static size_t columns(unsigned code)
{
	static const struct span none[] = {
		{ 0x300, 0x36f },   { 0x483, 0x489 },   { 0x591, 0x5bd },
		{ 0x64b, 0x65f },   { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff },
		{ 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
	};
	static const struct span wide[] = {
		{ 0x1100, 0x115f },   { 0x2e80, 0x303e },
		{ 0x3041, 0xa4cf },   { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },
		{ 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
		{ 0x1f300, 0x1f64f }, { 0x1f900, 0x1f9ff },
		{ 0x20000, 0x3fffd },
	};

	if (within(none, sizeof(none) / sizeof(none[0]), code))
		return 0;
	return within(wide, sizeof(wide) / sizeof(wide[0]), code) ? 2 : 1;
}

size_t safe_width(const char *s)
{
	size_t width = 0;

	while (*s != '\0') {
		unsigned code = 0;
		size_t n = safe_char(s, &code);

		width += columns(code);
		s += n == 0 ? 1 : n;
	}
	return width;
}
