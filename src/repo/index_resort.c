/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "repo/index_internal.h"

/* Of the time that is spent on looking for what is nowhere, this part may be
 * spent on asking for a newer generation: where much is lost, a list of
 * generations for each of it would cost far more than the look-ups. */
#define ASK_PART 8

unsigned index_rounds(const struct index *ix)
{
	return atomic_load(&ix->rounds);
}

/* Under resort_lock. */
static bool has_moved(struct index *ix)
{
	struct err ignored = ERR_INIT;
	int64_t start = clock_steady_ns();
	uint64_t n;

	if (start < ix->ask_after)
		return false;
	bool moved =
		generation_newest(ix->local.parts.store, &n, &ignored) == 0 &&
		n != ix->resorted;
	int64_t end = clock_steady_ns();

	ix->ask_after = end + ASK_PART * (end - start);
	return moved;
}

/* Under resort_lock.  The number is read first: what moves meanwhile is a
 * reason for another round. */
static void resort(struct index *ix)
{
	struct err ignored = ERR_INIT;
	uint64_t n;

	if (generation_newest(ix->local.parts.store, &n, &ignored) == 0)
		ix->resorted = n;
	err_clear(&ignored);
	index_refresh(ix, &n, &ignored);
	err_clear(&ignored);
	index_open_sessions(ix, &ignored);
	atomic_fetch_add(&ix->rounds, 1);
}

bool index_last_resort(struct index *ix, unsigned seen)
{
	pthread_mutex_lock(&ix->resort_lock);
	unsigned rounds = atomic_load(&ix->rounds);

	if (rounds == 0 || (rounds == seen && has_moved(ix)))
		resort(ix);
	bool changed = atomic_load(&ix->rounds) != seen;

	pthread_mutex_unlock(&ix->resort_lock);
	return changed;
}
