/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two collectors, one of which may be as slow as it likes, and writers.  With
 * CONDEMNED the point that was there has been forgotten, and generation 1 has
 * condemned what was in generation 0.
 */

#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef FIRST_CYCLES
#define FIRST_CYCLES 3
#endif
#ifndef SECOND_CYCLES
#define SECOND_CYCLES 1
#endif
#define ATTEMPTS    (WRITERS + 1)
#define SECOND	    (ATTEMPTS + FIRST_CYCLES)
#define SESSIONS    (SECOND + SECOND_CYCLES)
#define GENERATIONS (FIRST_CYCLES + SECOND_CYCLES + 2)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"

inline begin_condemned()
{
	given(0, Q, AT(0, C) | AT(0, Q));
	listed(0, stored);
	listed(1, 0);
	gen[1].condemned = stored;
	sess[0].tomb = true
}

init
{
	atomic {
		running = WRITERS + 2;
#ifdef CONDEMNED
		begin_condemned();
		run Writer(1, Q);
#else
		begin();
		run Writer(1, R);
		run Forget(0);
#endif
#if WRITERS > 1
		run Writer(2, R);
#endif
		run Collector(ATTEMPTS, SECOND - 1);
		run Collector(SECOND, SESSIONS - 1);
#ifdef FORGET_NEW
		run Forget(1)
#endif
	}
}
