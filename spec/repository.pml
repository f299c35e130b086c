/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The repository of the model: what is in the store, and what may be said of
 * it.  Names are those of FORMAT.md, 8.  A scenario defines
 *
 *   SESSIONS     how many there are, attempts of collectors included
 *   ATTEMPTS     the first number that is a collector's attempt
 *   GENERATIONS  numbers of generations, from 0
 *
 * before it includes this.
 */

/* The ids: a chunk, and two nodes.  Q_IS_LEAF: nothing is below Q. */
#define IDS 3
#define C   0
#define R   1
#define Q   2

#ifdef Q_IS_LEAF
#define HAS_CHILD(i) ((i) == R)
#else
#define HAS_CHILD(i) ((i) != C)
#endif

/*
 * A location is (pack, blob).  Session s has one pack, s, with up to one
 * blob for each id, so sets of locations are sets of bits.
 */
#define AT(s, i) (1 << ((s) * IDS + (i)))
#define PACK(s)  (7 << ((s) * IDS))
#define OF(i)    (153391689 << (i)) /* all locations of id i: bits 0, 3, 6... */
#define FIRST(x) ((x) & -(x))

#define IN(set, s)  (((set) >> (s)) & 1)
#define ONE(s)      (1 << (s))

mtype = { COMMIT, REVOKED };

typedef Session {
	bool there;    /* sess/s */
	byte g;	       /* its generation */
	mtype outcome; /* points/s */
	byte top;      /* the set's one point: the id at its top */
	bool tomb;     /* tomb/ of that point */
	bool seg;      /* idx/s-0 */
	int entries;   /* its locations */
	short leans;   /* the sessions whose segments it leans on */
	bool told;     /* the writer says that the backup is made */
#ifdef PUBLISH_AFTER_COMMIT
	bool copy; /* a second object that makes the point visible */
#endif
#ifdef DAMAGE
	bool knew; /* its writer had read the note */
#endif
};

typedef Generation {
	bool there;
	byte by; /* whose segment it lists */
	int index, frail, condemned, doomed;
};

Session sess[SESSIONS];
Generation gen[GENERATIONS];
byte newest; /* the highest number that is there */
int stored;  /* locations in packs that are there, and whole */
int damaged; /* locations that notes/damage/ names, nodes above them too */
int doomed_ever;
byte running; /* processes that are not done */
bool calm;    /* nobody forgets, and nobody dies any more */

#define LISTED(k) (gen[k].there && sess[gen[k].by].seg)
#define INDEX(k)  (LISTED(k) -> gen[k].index : 0)
#define FRAIL(k)  (LISTED(k) -> gen[k].frail : 0)

#ifdef PUBLISH_AFTER_COMMIT
#define VALID(s) (sess[s].copy && !sess[s].tomb)
#elif defined(VALID_WITHOUT_SESS)
#define VALID(s) (sess[s].outcome == COMMIT && !sess[s].tomb)
#else
#define VALID(s) (sess[s].there && sess[s].outcome == COMMIT && !sess[s].tomb)
#endif

/* Scratch of one step: no part of the state. */
hidden byte k_, c_;
hidden int x_, y_;

/* x_ = the locations in the segment of s and those that it leans on */
inline leaned(s)
{
	x_ = (sess[s].seg -> sess[s].entries : 0);
	for (c_ : 0 .. SESSIONS - 1) {
		if
		:: IN(sess[s].leans, c_) && sess[c_].seg ->
			x_ = x_ | sess[c_].entries
		:: else
		fi
	}
}

/* x_ = where a reader may look for what the set of s needs */
inline resolve(s)
{
	leaned(s);
#ifndef READER_WITHOUT_OLD_INDEX
	x_ = x_ | INDEX(sess[s].g);
#endif
	x_ = (x_ | INDEX(newest) | FRAIL(newest)) & stored
}

/* A lost chunk is stored again by a session that knew of the damage. */
#ifdef DAMAGE
#define OWES_CHUNK(s) (!damaged || sess[s].knew)
#else
#define OWES_CHUNK(s) true
#endif

/*
 * The promise, at every moment: what a valid set needs is found, and a backup
 * that was told to be made is valid until somebody forgets it.
 */
inline check()
{
	for (k_ : 0 .. SESSIONS - 1) {
		if
		:: VALID(k_) ->
			resolve(k_);
			assert(x_ & OF(sess[k_].top));
			assert(!HAS_CHILD(sess[k_].top) || (x_ & OF(C)) ||
			       !OWES_CHUNK(k_))
		:: else
		fi;
		assert(!sess[k_].told || VALID(k_))
	}
	x_ = 0
}

/* Session s has ended in generation 0 with a point over id, its pack there. */
inline given(s, id, pack)
{
	sess[s].there = true;
	sess[s].outcome = COMMIT;
	sess[s].top = id;
	stored = stored | (pack)
}

/* Generation k is there and lists session 0's segment. */
inline listed(k, set)
{
	sess[0].seg = true;
	sess[0].entries = sess[0].entries | (set);
	gen[k].there = true;
	gen[k].index = set;
	newest = k
}

/* A point over Q, in generation 1. */
inline begin()
{
	given(0, Q, AT(0, C) | AT(0, Q));
	listed(1, AT(0, C) | AT(0, Q))
}

/* vmkeep forget: sees a valid point, puts its tomb. */
proctype Forget(byte s)
{
end:
	atomic {
		VALID(s) && !calm ->
#ifdef LATE_TOMB
		skip
	};
	atomic {
#endif
		sess[s].tomb = true;
		sess[s].told = false
	}
}
