/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_FOLDER_H
#define VMKEEP_SNAP_FOLDER_H

/* ".vmkeep": where the snapshots of file systems lie, for nobody else. */

#include <stdbool.h>

#include "base/err.h"

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

/* Names in it that are snaps', each given to fn. */
int folder_each(const char *in, void *ctx,
		int (*fn)(void *ctx, int folder, const char *name,
			  struct err *e),
		struct err *e);

#endif
