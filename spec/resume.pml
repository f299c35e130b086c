/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A writer is killed when it has published its first segment.  Its host goes
 * on in the same session while the generation has not moved and there is no
 * outcome; ADOPT_REVOKED: it takes the old packs into a new session instead.
 */

#ifndef CYCLES
#define CYCLES 3
#endif
#define ATTEMPTS    4
#define SESSIONS    (ATTEMPTS + CYCLES)
#define GENERATIONS (CYCLES + 3)

#include "repository.pml"
#include "writer.pml"
#include "collector.pml"

#define MAY_GO_ON (newest == g && sess[s].outcome == 0)

/* Session s, or s + 1, with a point over R. */
proctype Killed(byte s)
{
	byte g;
	bool hit;
	int own, harmed;
	short leans;

	open_session();
	if
	:: MOVED -> goto done
	:: else
	fi;
	own = AT(s, C);
	stored = stored | own;
	put_segment();
	if
	:: MAY_GO_ON
	:: else ->
#ifdef ADOPT_REVOKED
		s++;
		open_session();
		if
		:: MOVED -> goto done
		:: else
		fi;
		put_segment()
#else
		goto done
#endif
	fi;
	look_up(R);
	if
	:: hit
	:: else ->
		own = own | AT(s, R);
		stored = stored | AT(s, R);
		put_segment()
	fi;
	commit(R);
	if
	:: hit -> last_look()
	:: else
	fi;
done:
	running--
}

init
{
	atomic {
		begin();
		running = 3;
		run Killed(1);
		run Writer(3, R);
		run Collector(ATTEMPTS, SESSIONS - 1);
		run Forget(0)
	}
}
