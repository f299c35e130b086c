/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Leaning in a chain: one writer has published the chunk, and was killed; two
 * others, one of which may find the node over it in the other's segment.
 */

#define CYCLES	    2
#define ATTEMPTS    4
#define SESSIONS    (ATTEMPTS + CYCLES)
#define GENERATIONS (CYCLES + 3)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"

init
{
	atomic {
		listed(1, 0);
		sess[1].there = true;
		sess[1].g = 1;
		sess[1].seg = true;
		sess[1].entries = AT(1, C);
		stored = AT(1, C);
		running = 3;
		run Writer(2, R);
		run Writer(3, R);
		run Collector(ATTEMPTS, SESSIONS - 1)
	}
}
