/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A reader of the point of session s: it reads the newest generation, the
 * segments, and the older generation one after the other, and then fetches.
 */

#ifdef READER_LOOKS_ONCE
#define MOVED_ON false
#else
#define MOVED_ON (newest != n)
#endif

/* here = is id i in a pack that is there, by what was read? */
#define FETCH(i) ((seen & OF(i) & stored) != 0)

proctype Reader(byte s)
{
	byte n;
	int seen;
	bool here;

end:
	VALID(s);
	do
	:: true ->
		d_step {
			n = newest;
			seen = INDEX(n)
		};
		atomic {
			leaned(s);
			seen = seen | x_;
			x_ = 0
		};
		d_step {
			seen = seen | INDEX(sess[s].g) | FRAIL(n)
		};
		here = FETCH(sess[s].top);
		if
		:: here && HAS_CHILD(sess[s].top) -> here = FETCH(C)
		:: else
		fi;
		if
		:: here || !VALID(s) -> break
		:: else
		fi;
		assert(MOVED_ON || !VALID(s))
	od;
	atomic {
		n = 0;
		seen = 0;
		here = false
	}
}
