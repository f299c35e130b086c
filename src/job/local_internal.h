/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_LOCAL_INTERNAL_H
#define VMKEEP_JOB_LOCAL_INTERNAL_H

/* The folder of local points, for the local*.c files alone. */

#include <stdbool.h>

#include "base/err.h"
#include "repo/point.h"

#define LOCAL_SET  "set"
#define LOCAL_LOCK "lock"
#define LOCAL_NEW  "new-"

#define LOCAL_MAX_SET (64u << 20)

/* Wait for the place's own lock: making, changing and sweeping sets follow one
 * another.  It is held for moments. */
int local_lock(const char *dir, int *fd, struct err *e);

char *local_set_folder(const char *dir, const struct id *set);

/* Is it the name of a set's folder? */
bool local_is_set(const char *name);

int local_write_set(const char *folder, const struct set *set, struct err *e);

/* ERR_NOT_FOUND: there is none; ERR_INTEGRITY: it is damaged. */
int local_read_set(const char *folder, struct set *set, struct err *e);

/* Call for every entry of a folder but "." and ".."; a folder that is not
 * there has none.  The first -1 ends it. */
int local_list(const char *dir,
	       int (*each)(void *ctx, const char *name, struct err *e),
	       void *ctx, struct err *e);

/* Remove a folder of files; what cannot be removed stays. */
void local_remove_folder(const char *folder);

/* Copy with holes, sharing blocks where the file system can; durable. */
int local_copy_file(const char *from, const char *to, struct err *e);
int local_sync_file(const char *path, struct err *e);

#endif
