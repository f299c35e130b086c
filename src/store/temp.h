/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_STORE_TEMP_H
#define VMKEEP_STORE_TEMP_H

/*
 * Files in the folder tmp/ of a store, in which an object is written until it
 * is whole.
 *
 * Their writer holds a flock(2) on them.  The kernel drops it when the writer
 * dies, however that happens, so a file whose lock is free is garbage.  (The
 * id of the process would say less: another container counts its own.)
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/err.h"

#define TEMP_FOLDER "tmp"
#define TEMP_NAME   48

struct temp {
	int root; /* the store's folder, not owned */
	int fd;
	char name[TEMP_NAME]; /* from the root */
};

/* None yet. */
struct temp temp_in(int root);

/* Remove the file if it still has its first name. */
void temp_fini(struct temp *t);

/*
 * Write these bytes to a new file and flush it.  Where a flush fails the
 * kernel has marked the pages clean, and a second one would lie: the file is
 * thrown away and another one written from memory, once.
 */
int temp_make(struct temp *t, const struct iovec *iov, size_t count,
	      struct err *e);

/* Give the file its name, from the root: link(2), and ERR_EXISTS where there
 * is one, or rename(2). */
int temp_name(struct temp *t, const char *name, bool only_if_absent,
	      struct err *e);

/* Remove all that nobody is writing.  What does not work is left to the next
 * one. */
void temp_sweep(int root);

#endif
