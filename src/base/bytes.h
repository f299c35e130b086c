/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_BYTES_H
#define VMKEEP_BASE_BYTES_H

/*
 * Bytes in and out.  The only place that knows an endianness: all numbers on
 * disks and wires are little-endian.
 *
 * A reader is sticky: after the first read past the end it is `bad`, all
 * further reads give zeroes, and the caller asks once, at the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *p; /* the next byte */
	size_t left;      /* bytes from p on */
	bool bad;         /* something was read that was not there */
};

/* Read from data, which must outlive the reader. */
struct reader reader_of(const void *data, size_t size);

uint8_t rd_u8(struct reader *r);
uint16_t rd_u16(struct reader *r);
uint32_t rd_u32(struct reader *r);
uint64_t rd_u64(struct reader *r);

/* Copy n bytes; zeroes when there are fewer. */
void rd_copy(struct reader *r, void *to, size_t n);

/* A view of n bytes inside the data, or NULL (and bad). */
const uint8_t *rd_view(struct reader *r, size_t n);

/* A u16 length and that many bytes as a new string, without NUL inside, at
 * most max bytes; NULL (and bad) otherwise.  Free it. */
char *rd_string(struct reader *r, size_t max);

/* Everything read, and nothing beyond: the one question at the end. */
bool rd_complete(const struct reader *r);

/* A growing buffer.  Embedded; buf_fini() frees.  Growing aborts when memory
 * is gone, so what is sized by data must be bounded before. */
struct buf {
	uint8_t *p;
	size_t len;
	size_t cap;
};

#define BUF_INIT                                                               \
	{                                                                      \
		.p = NULL, .len = 0, .cap = 0                                  \
	}

void buf_fini(struct buf *b);

/* Empty it and keep its memory. */
void buf_clear(struct buf *b);

/* Room for n more bytes at the end; returns where they start.  The length
 * does not change: the caller adds to b->len what it has written. */
uint8_t *buf_room(struct buf *b, size_t n);

void wr_u8(struct buf *b, uint8_t v);
void wr_u16(struct buf *b, uint16_t v);
void wr_u32(struct buf *b, uint32_t v);
void wr_u64(struct buf *b, uint64_t v);
void wr_bytes(struct buf *b, const void *p, size_t n);
void wr_zero(struct buf *b, size_t n);

/* u16 length and the bytes.  At most 65,535: longer ones are our own bug. */
void wr_string(struct buf *b, const char *s);

/* Overwrite four bytes written earlier, at offset at. */
void wr_u32_at(struct buf *b, size_t at, uint32_t v);

/* Lower-case hexadecimal of n bytes; out has room for 2n + 1. */
void hex_encode(const void *p, size_t n, char *out);

/* 2n hexadecimal digits to n bytes; false when it is not that. */
bool hex_decode(const char *hex, void *out, size_t n);

/* Are all n bytes zero? */
bool bytes_zero(const void *p, size_t n);

#endif
