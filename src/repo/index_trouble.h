/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_TROUBLE_H
#define VMKEEP_REPO_INDEX_TROUBLE_H

/* Segments that could not be opened, or read, last time.  Thread-safe.  For
 * index*.c only. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct trouble;

struct troubles {
	pthread_mutex_t lock; /* all below; the last one that is taken */
	struct trouble *list;
	size_t count;
	atomic_uint passing; /* so many say nothing about what is stored */
};

void troubles_init(struct troubles *t);
void troubles_fini(struct troubles *t);

void troubles_note(struct troubles *t, const char *name, const struct err *why);

/* It is over. */
void troubles_drop(struct troubles *t, const char *name);

bool troubles_has(struct troubles *t, const char *name);

/* The first one, a passing one (err_passing()) before others: true, or false
 * when there is none. */
bool troubles_first(struct troubles *t, struct err *why);

/* Is there a passing one?  It costs nothing to ask. */
bool troubles_passing(const struct troubles *t);

#endif
