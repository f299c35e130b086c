/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_RAM_H
#define VMKEEP_JOB_RAM_H

/*
 * RAM dumps to images and back: as guest pages beside a small layout where the
 * dump is understood (virt/ramdump.h), else as the stream it is.
 */

#include "base/err.h"
#include "job/feed.h"
#include "job/pour.h"
#include "repo/point.h"

/* Read the dump at path into images of p: "memory" and "memory.layout", or
 * "memory" alone, as a stream. */
int ram_feed(const struct feed *f, const char *path, struct point *p,
	     struct err *e);

/* Write the dump of p to fd, an empty file.  pour has what all restores have;
 * its root is that of "memory". */
int ram_pour(const struct pour *pour, const struct point *p, int fd,
	     struct err *e);

#endif
