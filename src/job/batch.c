/* SPDX-License-Identifier: Apache-2.0 */
#include "job/batch.h"

#include <stdlib.h>
#include <sys/uio.h>

/* Bytes in one call of the kernel. */
#define WRITE_MAX (4u << 20)

int batch_add(struct batch *b, uint64_t offset, const uint8_t *data,
	      size_t size, struct err *e)
{
	if (b->count == BATCH_MAX && batch_write(b, e) < 0)
		return -1;
	b->pieces[b->count++] = (struct batch_piece){
		.offset = offset,
		.data = data,
		.size = size,
	};
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct batch_piece *x = a;
	const struct batch_piece *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* How many of those that begin with p follow one another, to WRITE_MAX. */
static size_t in_a_row(const struct batch_piece *p, size_t count)
{
	size_t size = p->size;
	size_t n = 1;

	while (n < count && p[n].offset == p->offset + size &&
	       size + p[n].size <= WRITE_MAX) {
		size += p[n].size;
		n++;
	}
	return n;
}

static int write_row(struct batch *b, const struct batch_piece *p, size_t count,
		     struct err *e)
{
	struct iovec iov[BATCH_MAX];
	uint64_t size = 0;

	for (size_t i = 0; i < count; i++) {
		iov[i] = (struct iovec){ .iov_base =
						 (void *)(uintptr_t)p[i].data,
					 .iov_len = p[i].size };
		size += p[i].size;
	}
	if (outlet_writev(b->outlet, b->thread, p->offset, iov, count, e) < 0)
		return -1;
	b->written += size;
	return 0;
}

int batch_write(struct batch *b, struct err *e)
{
	qsort(b->pieces, b->count, sizeof(b->pieces[0]), by_offset);
	for (size_t i = 0, n; i < b->count; i += n) {
		n = in_a_row(&b->pieces[i], b->count - i);
		if (write_row(b, &b->pieces[i], n, e) < 0)
			return -1;
	}
	b->count = 0;
	return 0;
}
