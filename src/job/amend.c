/* SPDX-License-Identifier: Apache-2.0 */
#include "job/amend.h"

#include <string.h>

#include "base/bytes.h"
#include "base/num.h"
#include "repo/format.h"

/* The last page of an image may be less than one. */
static size_t page_at(size_t at, size_t size)
{
	return num_min(PAGE_SIZE_BYTES, size - at);
}

int amend_write(struct amend *a, uint64_t offset, const uint8_t *data,
		size_t size, struct err *e)
{
	const uint8_t *is = a->scratch;

	if (outlet_read(a->outlet, a->thread, offset, size, a->scratch, e) < 0)
		return -1;
	for (size_t at = 0, end; at < size; at = end) {
		size_t n = page_at(at, size);

		end = at + n;
		if (memcmp(data + at, is + at, n) == 0)
			continue;
		while (end < size &&
		       memcmp(data + end, is + end, page_at(end, size)) != 0)
			end += page_at(end, size);
		if (outlet_write(a->outlet, a->thread, offset + at, end - at,
				 data + at, e) < 0)
			return -1;
		a->written += end - at;
	}
	return 0;
}

int amend_clear(struct amend *a, uint64_t offset, const uint8_t *is,
		size_t size, struct err *e)
{
	for (size_t at = 0, end; at < size; at = end) {
		end = at + page_at(at, size);
		if (bytes_zero(is + at, end - at))
			continue;
		while (end < size && !bytes_zero(is + end, page_at(end, size)))
			end += page_at(end, size);
		if (outlet_zero(a->outlet, a->thread, offset + at, end - at,
				e) < 0)
			return -1;
	}
	return 0;
}

int amend_zero(struct amend *a, uint64_t offset, uint64_t size, struct err *e)
{
	for (uint64_t end = offset + size, n; offset < end; offset += n) {
		if (outlet_hole(a->outlet, offset, &n, e) < 0)
			return -1;
		n = num_min(n, end - offset);
		if (n > 0)
			continue;
		n = num_min(EXTENT_SIZE, end - offset);
		if (outlet_read(a->outlet, a->thread, offset, n, a->scratch,
				e) < 0 ||
		    amend_clear(a, offset, a->scratch, n, e) < 0)
			return -1;
	}
	return 0;
}
