/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_FOLDER_H
#define VMKEEP_SNAP_FOLDER_H

/* ".vmkeep": where the snapshots of file systems lie, for nobody else. */

#include <stdbool.h>

#include "snap/internal.h"

/* Open it in this folder.  With `make` it is made where missing (mode 0700);
 * without, ERR_NOT_FOUND.  ERR_REFUSED when it is a link or somebody
 * else's. */
int folder_open(const char *in, bool make, int *fd, struct err *e);

/* Remove it when it is empty; nobody minds when not. */
void folder_tidy(const char *in);

/* in/.vmkeep/name; free it. */
char *folder_path(const char *in, const char *name);

/* "inode:birth": what names a file also after a reboot, when its device has
 * another number. */
#define FOLDER_ID 48
int folder_id(int fd, const char *path, char id[FOLDER_ID], struct err *e);

/* For the backends of file systems: one volume after the other, as long as
 * there is time. */
int folder_take(struct snap_taking *t,
		int (*one)(const struct snap_volume *v, struct snap *s,
			   struct err *e),
		struct err *e);

/*
 * What a guest overwrites needs new room there as long as a snapshot holds the
 * old.  So ERR_NO_SPACE when a twentieth of the file system, at most 2 GiB, is
 * not free; when one is to be made, half as much again.  btrfs frees a dropped
 * one half a minute to a minute later (seen with Linux 6.18, and no ioctl makes
 * it quicker): the guest has to live from this meanwhile.
 */
int folder_ready(const struct snap_taking *t, struct err *e);
int folder_check(const struct snap *const *snaps, size_t count,
		 const struct snap_time *t, struct err *e);

/* Names in it that are snaps', each given to fn. */
int folder_each(const char *in, void *ctx,
		int (*fn)(void *ctx, int folder, const char *name,
			  struct err *e),
		struct err *e);

#endif
