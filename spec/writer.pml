/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A writer.  It may stop for ever between any two steps, which is what being
 * killed is to all others; CRASH lets it end there too, for scenarios that go
 * on when all are done.
 */

#ifdef CRASH
#define MAY_DIE if :: !calm -> goto done :: skip fi
#else
#define MAY_DIE skip
#endif

#ifdef NAMES_BY_CONTENTS
#define OWN(s, i) AT(0, i) /* the pack's name comes from what is in it */
#else
#define OWN(s, i) AT(s, i)
#endif

#ifdef LEAN_ON_OTHER_GENERATIONS
#define SIBLING(k, g) true
#else
#define SIBLING(k, g) (sess[k].g == g)
#endif

#ifdef LEAN_NOT_TRANSITIVE
#define LEAN_ON(k) leans | ONE(k)
#else
#define LEAN_ON(k) leans | ONE(k) | sess[k].leans
#endif

/*
 * hit = is id i known?  A segment that is there may be missed: the writer has
 * listed idx/ some time ago.
 */
inline look_up(i)
{
	atomic {
		if
		:: INDEX(g) & OF(i) & ~harmed -> hit = true
		:: else ->
			hit = false;
			for (k_ : 1 .. ATTEMPTS - 1) {
				if
				:: k_ != s && sess[k_].seg &&
				   SIBLING(k_, g) &&
				   (sess[k_].entries & OF(i) & ~harmed) ->
					hit = true;
					leans = LEAN_ON(k_);
					break
				:: true
				fi
			}
		fi
	}
}

#ifdef TRUST_PARENT
/* The point before this one is there, so what it names must be, too. */
#define KNOWN(i) (hit || (parent && (i) == sess[0].top))
#else
#define KNOWN(i) hit
#endif

/* Look i up; if it is not known, it goes into the pack. */
inline take(i)
{
	atomic {
		look_up(i);
		if
		:: KNOWN(i)
		:: else -> own = own | OWN(s, i)
		fi
	}
}

inline put_segment()
{
	d_step {
		sess[s].seg = true;
		sess[s].entries = own;
		sess[s].leans = leans
	}
}

#ifdef REPLACE_OUTCOME
#define MAY_COMMIT (sess[s].outcome != COMMIT)
#else
#define MAY_COMMIT (sess[s].outcome == 0)
#endif

/* hit = the set is the outcome */
inline commit(id)
{
	d_step {
		hit = false;
		if
		:: MAY_COMMIT ->
			hit = true;
			sess[s].outcome = COMMIT;
			sess[s].top = id;
			sess[s].leans = leans;
#ifdef DAMAGE
			sess[s].knew = harmed != 0;
#endif
			check()
		:: else
		fi
	}
}

/* The last look, and what it tells whoever asked for the backup. */
inline last_look()
{
	d_step {
#ifdef PUBLISH_AFTER_COMMIT
		sess[s].copy = true;
		sess[s].told = !sess[s].tomb;
#elif defined(NO_LAST_LOOK)
		sess[s].told = !sess[s].tomb;
#else
		if
		:: sess[s].there -> sess[s].told = !sess[s].tomb
		:: else
		fi;
#endif
		check()
	}
}

inline open_session()
{
	g = newest;
	MAY_DIE;
	d_step {
		sess[s].there = true;
		sess[s].g = g;
		harmed = damaged
	}
}

#ifdef NO_SECOND_LOOK
#define MOVED false
#else
#define MOVED (newest != g)
#endif

/*
 * Session s, one point with id at its top.  Where it has to start over, or
 * was revoked, it ends: another process is the new session.
 */
proctype Writer(byte s; byte id)
{
	byte g;
	bool hit;
	int own, harmed;
	short leans;
#ifdef TRUST_PARENT
	bool parent;

	parent = VALID(0);
#endif
	open_session();
	MAY_DIE;
	if
	:: MOVED -> goto done
	:: else
	fi;
	take(id);
	MAY_DIE;
	if
	:: (own & OWN(s, id)) && HAS_CHILD(id) -> take(C)
	:: else
	fi;
	MAY_DIE;
	if
	:: own ->
		atomic {
			stored = stored | own;
			MAY_DIE
		};
		put_segment();
		MAY_DIE
	:: else
	fi;
	commit(id);
	MAY_DIE;
	if
	:: hit -> last_look()
	:: else
	fi;
done:
	atomic {
		g = 0;
		hit = false;
		own = 0;
		harmed = 0;
		leans = 0;
		running--
	}
}
