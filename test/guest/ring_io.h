/* SPDX-License-Identifier: Apache-2.0 */
/* Words, checksums, and whole reads and writes, for ring.c. */
#ifndef VMKEEP_TEST_RING_IO_H
#define VMKEEP_TEST_RING_IO_H

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096 }; /* what O_DIRECT wants; size of the header */

static inline void put64(uint8_t *buf, size_t at, uint64_t value)
{
	uint64_t le = htole64(value);

	memcpy(buf + at, &le, sizeof(le));
}

static inline uint64_t get64(const uint8_t *buf, size_t at)
{
	uint64_t le;

	memcpy(&le, buf + at, sizeof(le));
	return le64toh(le);
}

/* A checksum over words, quick even in an emulated CPU. skip is left out. */
static inline uint64_t sum_words(const uint8_t *buf, size_t size, size_t skip)
{
	uint64_t sum = size;

	for (size_t at = 0; at < size; at += 8) {
		if (at == skip)
			continue;
		sum = (sum ^ get64(buf, at)) * UINT64_C(0x9e3779b97f4a7c15);
		sum ^= sum >> 29;
	}
	return sum;
}

static inline uint8_t *aligned(size_t size)
{
	void *buf = NULL;

	if (posix_memalign(&buf, BLOCK, size) != 0)
		abort();
	memset(buf, 0, size);
	return buf;
}

/* Reads or fails with errno; the end of the disk is an error too. */
static inline int read_all(int fd, uint8_t *buf, size_t size, uint64_t at)
{
	ssize_t n;

	while (size > 0) {
		n = pread(fd, buf, size, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return -1;
		}
		buf += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

static inline int write_all(int fd, const uint8_t *buf, size_t size,
			    uint64_t at)
{
	ssize_t n;

	while (size > 0) {
		n = pwrite(fd, buf, size, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return -1;
		}
		buf += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

#endif
