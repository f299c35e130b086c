/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_DISK_IMAGELOCK_H
#define VMKEEP_DISK_IMAGELOCK_H

#include "base/err.h"

/*
 * Keep writers away from an image for as long as fd is open: QEMU's lock, as
 * a reader would take it that does not share writing (QEMU's
 * block/file-posix.c, RAW_LOCK_*).  ERR_BUSY when somebody writes to it now.
 *
 * qemu-nbd takes it for formats with metadata, but not for raw images: of
 * these it would serve what a VM is just writing (seen with 7.2).
 */
int imagelock_take(int fd, const char *path, struct err *e);

/*
 * Keep everybody away who writes, or who does not want it to be written, as
 * QEMU does for a disk of a VM.  ERR_BUSY when there is one now.
 */
int imagelock_take_all(int fd, const char *path, struct err *e);

/* Only look: ERR_BUSY when somebody writes to it now. */
int imagelock_look(int fd, const char *path, struct err *e);

/* The same message wherever it is found out. */
int imagelock_busy(const char *path, struct err *e);

#endif
