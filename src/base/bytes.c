/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct reader reader_of(const void *data, size_t size)
{
	return (struct reader){ .p = data, .left = size, .bad = false };
}

const uint8_t *rd_view(struct reader *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		r->left = 0;
		return NULL;
	}
	const uint8_t *at = r->p;

	if (n > 0)
		r->p += n;
	r->left -= n;
	return at;
}

void rd_copy(struct reader *r, void *to, size_t n)
{
	const uint8_t *from = rd_view(r, n);

	if (r->bad)
		memset(to, 0, n);
	else if (n > 0)
		memcpy(to, from, n);
}

static uint64_t number(struct reader *r, size_t size)
{
	const uint8_t *p = rd_view(r, size);
	uint64_t v = 0;

	for (size_t i = size; p != NULL && i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

uint8_t rd_u8(struct reader *r)
{
	return (uint8_t)number(r, 1);
}

uint16_t rd_u16(struct reader *r)
{
	return (uint16_t)number(r, 2);
}

uint32_t rd_u32(struct reader *r)
{
	return (uint32_t)number(r, 4);
}

uint64_t rd_u64(struct reader *r)
{
	return number(r, 8);
}

char *rd_string(struct reader *r, size_t max)
{
	size_t n = rd_u16(r);
	const uint8_t *p = n <= max ? rd_view(r, n) : NULL;

	if (p == NULL || memchr(p, '\0', n) != NULL) {
		r->bad = true;
		return NULL;
	}
	char *s = mem_alloc(n + 1);

	memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

bool rd_complete(const struct reader *r)
{
	return !r->bad && r->left == 0;
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	size_t need;

	if (__builtin_add_overflow(b->len, n, &need))
		abort();
	/* also for nothing at all: no caller wants NULL */
	if (need > b->cap || b->p == NULL) {
		size_t cap = b->cap > 0 ? b->cap : 64;

		while (cap < need)
			cap = cap > SIZE_MAX / 2 ? need : cap * 2;
		b->p = mem_grow(b->p, cap, 1);
		b->cap = cap;
	}
	return b->p + b->len;
}

static void put_number(uint8_t *p, uint64_t v, size_t size)
{
	for (size_t i = 0; i < size; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

static void wr_number(struct buf *b, uint64_t v, size_t size)
{
	put_number(buf_room(b, size), v, size);
	b->len += size;
}

void wr_u8(struct buf *b, uint8_t v)
{
	wr_number(b, v, 1);
}

void wr_u16(struct buf *b, uint16_t v)
{
	wr_number(b, v, 2);
}

void wr_u32(struct buf *b, uint32_t v)
{
	wr_number(b, v, 4);
}

void wr_u64(struct buf *b, uint64_t v)
{
	wr_number(b, v, 8);
}

void wr_bytes(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_room(b, n), p, n);
	b->len += n;
}

void wr_zero(struct buf *b, size_t n)
{
	memset(buf_room(b, n), 0, n);
	b->len += n;
}

void wr_string(struct buf *b, const char *s)
{
	size_t n = strlen(s);

	assert(n <= UINT16_MAX);
	wr_u16(b, (uint16_t)n);
	wr_bytes(b, s, n);
}

void wr_u32_at(struct buf *b, size_t at, uint32_t v)
{
	assert(at <= b->len && b->len - at >= 4);
	put_number(b->p + at, v, 4);
}

void hex_encode(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[b[i] >> 4];
		*out++ = digits[b[i] & 15];
	}
	*out = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(const char *hex, void *out, size_t n)
{
	uint8_t *b = out;

	if (strlen(hex) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = digit(hex[2 * i]);
		int lo = digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		b[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

bool bytes_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	/* every byte equals its neighbour, and the first is zero */
	return n == 0 || (b[0] == 0 && memcmp(b, b + 1, n - 1) == 0);
}
