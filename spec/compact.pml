/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compaction beside a slow reader.  Pack 0 has R and its chunk, which a point
 * needs, and Q, which no point needs any more though the index has it.
 */

#define COMPACT
#define Q_IS_LEAF
#define CYCLES	    3
#define ATTEMPTS    2
#define SESSIONS    (ATTEMPTS + CYCLES)
#define GENERATIONS (CYCLES + 3)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"
#include "reader.pml"

init
{
	atomic {
		given(0, R, PACK(0));
		listed(1, PACK(0));
		running = 2;
		run Writer(1, Q);
		run Collector(ATTEMPTS, SESSIONS - 1);
		run Reader(0);
		run Reader(1)
	}
}
