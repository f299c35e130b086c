/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_DISK_HELPER_H
#define VMKEEP_DISK_HELPER_H

/*
 * A qemu-nbd of our own that serves one image on a private socket.
 */

#include <sys/types.h>

#include "base/err.h"
#include "disk/disk.h"

struct helper;

struct helper *helper_start(const struct disk_image *image, struct err *e);

/* Ends the program.  NULL is fine. */
void helper_free(struct helper *h);

/* Connect, waiting for the program to come up.  ERR_BUSY when it says that
 * another process has the image.  The descriptor, or -1. */
int helper_connect(struct helper *h, struct err *e);

/* All connections are made: the socket's name is not needed any more. */
void helper_hide(struct helper *h);

pid_t helper_pid(const struct helper *h);

/* When it has ended: how, in e (returns -1); else 0.  Waits a moment for a
 * program that is just ending.  Any thread. */
int helper_check(struct helper *h, struct err *e);

#endif
