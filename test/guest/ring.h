/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of numbered, chained, checksummed records, spread over the witness
 * disks of one guest.
 *
 * Record n lies on disk n % count, in slot (n / count) % slots of that disk,
 * and holds the checksum of record n - 1, which lies on another disk. Record
 * n is only written when n - 1 is on stable storage. Therefore images of the
 * disks are of one instant, with nothing lost or torn, exactly if their last
 * numbers follow one another and every record still held is whole and
 * chained: this is what ring_load proves.
 *
 * A witness disk (a raw image of at least RING_START + the ring's size):
 *
 *	0		MBR: partition 1 is the ring, partition 2 (if there
 *			is room) is free for a file system
 *	RING_START	header: which disk of which pair this is
 *	+ RING_SLOTS	the slots
 *
 * All integers are little endian.
 */
#ifndef VMKEEP_TEST_RING_H
#define VMKEEP_TEST_RING_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RING_MAX_DISKS = 8,
	RING_START = 1 << 20,  /* bytes from the start of the disk */
	RING_SLOTS = 64 << 10, /* bytes from RING_START to the first slot */
	RING_SLOT_MAX = 1 << 20,
};

/* What the header of one disk says. */
struct ring_id {
	uint64_t pair;      /* the same on all disks of a guest */
	uint32_t index;     /* 0 .. count - 1 */
	uint32_t count;     /* disks in the ring, 1 .. RING_MAX_DISKS */
	uint32_t slot_size; /* bytes, a multiple of 4096 */
	uint32_t slots;     /* per disk, at least 2 */
};

struct ring_disk {
	int fd;
	char name[64];
	uint64_t last;   /* number of the last record, 0: none yet */
	uint8_t *expect; /* RAM's copy of the last record */
};

struct ring {
	struct ring_id id; /* of disk 0; index unused */
	struct ring_disk disk[RING_MAX_DISKS];
	uint64_t last;     /* the counter: number of the last record */
	uint64_t last_sum; /* its checksum */
	uint32_t scrub;    /* slot that ring_verify looks at next */
	uint8_t *buf;      /* aligned, one slot */
	char why[256];     /* what was wrong, after a call returned -1 */
};

/*
 * Reads the header of the open disk fd into *id.
 * Returns 1, or 0 when this is no witness disk (or cannot be read).
 */
int ring_identify(int fd, struct ring_id *id);

/*
 * Adds an open disk whose header was read into *id; takes over fd.
 * -1: it does not belong to the disks added before.
 */
int ring_add(struct ring *r, int fd, const char *name,
	     const struct ring_id *id);

/*
 * Reads every slot of all disks, proves chain and instant (see above), and
 * sets the counter from what it found.
 */
int ring_load(struct ring *r);

/* Writes record last + 1 and waits until it is on stable storage. */
int ring_append(struct ring *r);

/*
 * Compares with RAM what is on the disks: the last record of each, byte by
 * byte; the slot after it, which must not hold a number from the future; and
 * one more slot, another one at each call. No write may be in flight.
 */
int ring_verify(struct ring *r);

/* As ring_load, but the disks must hold exactly what RAM says. */
int ring_check(struct ring *r);

/* Makes the open raw image fd an empty witness disk of size bytes. */
int ring_format(int fd, const struct ring_id *id, uint64_t size, char *why);

/* Closes the disks and frees the memory. */
void ring_fini(struct ring *r);

#endif
