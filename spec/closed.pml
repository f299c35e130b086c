/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A node that is known keeps what is below it only because the index has no
 * dead nodes: the point over R is forgotten, its chunk is alone in pack 1,
 * and R shares pack 0 with Q, which is still needed.
 */

#define Q_IS_LEAF
#define CYCLES	    3
#define ATTEMPTS    3
#define SESSIONS    (ATTEMPTS + CYCLES)
#define GENERATIONS (CYCLES + 3)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"

init
{
	atomic {
		given(0, R, AT(0, R) | AT(0, Q));
		given(1, Q, AT(1, C));
		listed(1, stored);
		running = 2;
		run Writer(2, R);
		run Collector(ATTEMPTS, SESSIONS - 1);
		run Forget(0)
	}
}
