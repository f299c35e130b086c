/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_SPOOL_H
#define VMKEEP_JOB_SPOOL_H

/*
 * A large file that lives as long as we do: the RAM of a point on its way
 * back.  It is locked while it is ours; what a dead process has left is
 * removed when the next one is made, and by recover.
 */

#include "base/err.h"

struct spool {
	char *path;
	int fd;
};

#define SPOOL_INIT                                                             \
	{                                                                      \
		.path = NULL, .fd = -1                                         \
	}

/* Remove what dead processes have left: it is a guest's RAM, and large. */
void spool_sweep(const char *dir);

int spool_new(const char *dir, struct spool *s, struct err *e);

/* Remove it.  Nothing happens to one that was never made. */
void spool_fini(struct spool *s);

#endif
