/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The chunk below a point is lost, and noted with the node above it.  What is
 * whole must stay, and a backup that knows of it heals the point.
 */

#define DAMAGE
#define CYCLES	    3
#define ATTEMPTS    3
#define SESSIONS    (ATTEMPTS + CYCLES)
#define GENERATIONS (CYCLES + 3)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"

proctype Damage()
{
	d_step {
		stored = stored & ~AT(0, C);
		damaged = AT(0, C) | AT(0, Q)
	}
}

init
{
	atomic {
		begin();
		running = 3;
		run Damage();
		run Writer(1, Q);
		run Writer(2, Q);
		run Collector(ATTEMPTS, SESSIONS - 1);
		run Forget(1)
	}
}
