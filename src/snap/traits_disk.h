/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_TRAITS_DISK_H
#define VMKEEP_SNAP_TRAITS_DISK_H

/* Block devices as sysfs shows them. */

#include <stdbool.h>
#include <stdint.h>

/* The device's physical sector in bytes; 0: not known. */
uint64_t disk_physical(uint32_t major, uint32_t minor);

bool disk_is_zvol(uint32_t major, uint32_t minor);

/* Call for each whole disk under a device, such as "sda": through
 * partitions, LVM, RAID, encryption, loop devices. */
void disk_each(uint32_t major, uint32_t minor,
	       void (*call)(void *ctx, const char *name), void *ctx);

/* The numbers of the device that a mount names; left alone when it names
 * none.  btrfs has numbers of its own in mountinfo. */
void disk_of_source(const char *source, uint32_t *major, uint32_t *minor);

#endif
