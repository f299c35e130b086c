/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Everyone may die at every step.  When all are dead or done, one collector
 * goes through three generations on its own: all garbage must be gone then,
 * and every point be there.
 */

#define CRASH
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef CYCLES
#define CYCLES 1
#endif
#define LAST	    3
#define ATTEMPTS    (WRITERS + 1)
#define ALONE	    (ATTEMPTS + CYCLES)
#define SESSIONS    (ALONE + LAST)
#define GENERATIONS (CYCLES + LAST + 3)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"

/* An attempt is garbage too, but of the last two generations it may be. */
#define RECENT(s) ((s) >= ALONE && sess[s].g + 2 >= newest)

inline all_clean()
{
	for (k_ : 0 .. SESSIONS - 1) {
		assert(VALID(k_) || RECENT(k_) ||
		       !(sess[k_].there || sess[k_].outcome || sess[k_].seg));
		assert(!sess[k_].tomb);
		assert(RECENT(k_) || !sess[k_].seg);
		assert(!(stored & PACK(k_)) || (INDEX(newest) & PACK(k_)))
	}
	for (k_ : 0 .. GENERATIONS - 1) {
		assert(gen[k_].there == (k_ == newest || k_ + 1 == newest))
	}
	check()
}

init
{
	atomic {
		begin();
		running = WRITERS + 1;
		run Writer(1, R);
#if WRITERS > 1
		run Writer(2, R);
#endif
		run Collector(ATTEMPTS, ALONE - 1);
		run Forget(0);
		run Forget(1)
	}
	atomic {
		running == 0 ->
		calm = true;
		running = 1;
		run Collector(ALONE, SESSIONS - 1)
	}
	d_step {
		running == 0 -> all_clean();
		k_ = 0
	}
}
