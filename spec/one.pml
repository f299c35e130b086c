/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One collector, two writers of the same new point, or more, and one who
 * forgets the point that was there before.
 */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef CYCLES
#define CYCLES 3
#endif
#ifdef TRUST_PARENT
#define FIRST_TOP Q
#else
#define FIRST_TOP R
#endif
#define ATTEMPTS    (WRITERS + 1)
#define SESSIONS    (ATTEMPTS + CYCLES)
#define GENERATIONS (CYCLES + 3)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"

init
{
	atomic {
		begin();
		running = WRITERS + 1;
		run Writer(1, FIRST_TOP);
#if WRITERS > 1
		run Writer(2, R);
#endif
#if WRITERS > 2
		run Writer(3, Q);
#endif
		run Collector(ATTEMPTS, ATTEMPTS + CYCLES - 1);
		run Forget(0);
#ifdef FORGET_NEW
		run Forget(1)
#endif
	}
}
