/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INDEX_INTERNAL_H
#define VMKEEP_REPO_INDEX_INTERNAL_H

/* The index itself.  For index*.c only. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "repo/generation.h"
#include "repo/index_segment.h"
#include "repo/index_trouble.h"
#include "repo/index_view.h"

struct index {
	struct index_local local;
	struct view *_Atomic view; /* read without the lock */
	pthread_mutex_t lock;      /* all below, and who changes the view */
	struct index_segment **segments; /* in the order of opening */
	size_t count;
	struct index_segment **by_name; /* the same, sorted */
	struct generation listed;       /* that index_refresh() has read */
	bool has_listed;
	atomic_bool whole; /* all of it is open, and could be read so far */
	struct troubles troubles;

	pthread_mutex_t resort_lock; /* below; taken before the lock */
	atomic_uint rounds;          /* how often the last resort was done */
	uint64_t resorted;           /* the newest generation then */
	int64_t ask_after;           /* steady clock: for a newer one */
};

#endif
