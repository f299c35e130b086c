/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A collector, in the steps of FORMAT.md.  Beats and clocks are left out: any
 * session of an older generation may be revoked at any time, and a collector
 * that stops because one lives is one that takes no further step.
 */

/*
 * All lists are one step, or one step each (FINE_LISTS), or one for each name
 * in each (SLOW_LISTS).  Cleaning up is two steps, or one for each kind of
 * object (FINE_CLEANING).
 */
#if defined(FINE_LISTS) || defined(SLOW_LISTS)
#define LISTS
#else
#define LISTS atomic
#endif

#ifdef FINE_CLEANING
#define CLEANING
#else
#define CLEANING atomic
#endif

#ifdef SLOW_LISTS
#define LIST(look)                      \
	for (i : 0 .. SESSIONS - 1) {   \
		d_step { look }         \
	}                               \
	i = 0
#else
#define LIST(look)                              \
	d_step {                                \
		for (i : 0 .. SESSIONS - 1) {   \
			look                    \
		}                               \
		i = 0                           \
	}
#endif

#define ADD_IF(is, set) if :: is -> set = set | ONE(i) :: else fi

/* Read the newest generation: what cleaning up after it needs. */
inline read_newest()
{
	d_step {
		n = newest;
		doomed = gen[n].doomed;
		keep = ONE(gen[n].by) | (gen[n - 1].there -> ONE(gen[n - 1].by) : 0)
	}
}

#include "clean.pml"

/* Step 2, one session after the other. */
#define OPEN(s) (sess[s].there && sess[s].g < n && sess[s].outcome == 0)

inline find_open()
{
	d_step {
		i = 0;
		do
		:: i < SESSIONS && !OPEN(i) -> i++
		:: else -> break
		od
	}
}

inline end_sessions()
{
	do
	:: atomic {
		find_open();
		if
		:: i < SESSIONS -> sess[i].outcome = REVOKED
		:: else -> break
		fi
	   };
	   MAY_DIE
	od;
	i = 0
}

/* Step 3: tombs, then sessions, then points. */
#ifdef PUBLISH_AFTER_COMMIT
#define IS_SET (sess[i].outcome == COMMIT || sess[i].copy)
#else
#define IS_SET (sess[i].outcome == COMMIT)
#endif

inline list()
{
	LISTS {
#ifdef LISTS_TURNED
		LIST(ADD_IF(sess[i].outcome, ended); ADD_IF(IS_SET, sets));
		LIST(ADD_IF(sess[i].there, sessions));
		LIST(ADD_IF(sess[i].tomb, tombs))
#else
		LIST(ADD_IF(sess[i].tomb, tombs));
		MAY_DIE;
		LIST(ADD_IF(sess[i].there, sessions));
		LIST(ADD_IF(sess[i].outcome, ended); ADD_IF(IS_SET, sets));
		MAY_DIE
#endif
	}
}

#ifdef MARK_DOOMED
#define MAY_MARK stored
#else
#define MAY_MARK (stored & ~gen[n].doomed)
#endif

#ifdef MARK_WITHOUT_OLD_INDEX
#define OLD_INDEX 0
#else
#define OLD_INDEX INDEX(n - 1)
#endif

#ifdef MARK_WITHOUT_FRAIL
#define OLD_FRAIL 0
#else
#define OLD_FRAIL FRAIL(n)
#endif

/* y_ = the one location of id i that is marked; x_ has the set's segments */
inline find(i)
{
	if
	:: INDEX(n) & OF(i) & MAY_MARK ->
		y_ = FIRST(INDEX(n) & OF(i) & MAY_MARK)
	:: else ->
		if
		:: OLD_INDEX & OF(i) & MAY_MARK ->
			y_ = FIRST(OLD_INDEX & OF(i) & MAY_MARK)
		:: else ->
			if
			:: x_ & OF(i) & MAY_MARK ->
				y_ = FIRST(x_ & OF(i) & MAY_MARK)
			:: else -> y_ = FIRST(OLD_FRAIL & OF(i) & MAY_MARK)
			fi
		fi
	fi
}

#define MARKS_SET(s) (IN(sets, s) && IN(sessions, s) && !IN(tombs, s))

/* Step 4.  A node with nothing found below it is frail. */
inline mark()
{
	for (k_ : 0 .. SESSIONS - 1) {
		if
		:: MARKS_SET(k_) ->
			leaned(k_);
			find(sess[k_].top);
			marked = marked | y_;
			if
			:: HAS_CHILD(sess[k_].top) ->
				fragile = y_;
				find(C);
				marked = marked | y_;
				frail = frail | (y_ -> 0 : fragile)
			:: else
			fi
		:: else
		fi
	}
	fragile = 0
}

#ifdef ADD_DEAD_NODES
/* The index keeps all of a pack as long as something in it is alive. */
inline round_up()
{
	for (k_ : 0 .. SESSIONS - 1) {
		if
		:: marked & PACK(k_) ->
			marked = marked | (stored & PACK(k_) & OF(R))
		:: else
		fi
	}
}
#else
#define round_up() skip
#endif

/* dead = what n + 1 condemns: by the lists, and by the packs there now */
inline condemn()
{
	dead = INDEX(n);
	for (k_ : 0 .. SESSIONS - 1) {
		if
		:: IN(ended, k_) || !IN(sessions, k_) -> dead = dead | PACK(k_)
		:: else
		fi
	}
	dead = dead & stored & ~marked
}

/*
 * Compaction: the marked blobs of a pack that has dead ones are copied into
 * the attempt's pack; the first such pack, or none.
 */
#ifdef COMPACT
inline compact()
{
	if
	:: d_step {
		for (k_ : 0 .. ATTEMPTS - 1) {
			x_ = marked & PACK(k_);
			if
			:: x_ && (stored & PACK(k_) & ~marked) ->
				y_ = (x_ >> (k_ * IDS)) << (s * IDS);
				stored = stored | y_;
				marked = (marked & ~x_) | y_;
				dead = dead | x_;
#ifdef DELETE_COMPACTED_AT_ONCE
				moved = PACK(k_);
#endif
				break
			:: else
			fi
		}
		x_ = 0;
		y_ = 0
	   };
	   MAY_DIE
	:: skip
	fi
}
#else
#define compact() skip
#endif

/* next = what n + 1 dooms; UNPUBLISHED_DOOM: it is deleted, and not said */
inline doom()
{
	next = (gen[n].condemned | gen[n].doomed) & ~marked & stored
}

#ifdef UNPUBLISHED_DOOM
#define delete_unpublished() delete_packs(next)
#define DOOMED_NEXT 0
#else
#define delete_unpublished() skip
#define DOOMED_NEXT next
#endif

/* Step 5.  What it says was found long ago, perhaps. */
inline put_generation()
{
	d_step {
		if
		:: could && !gen[n + 1].there ->
			gen[n + 1].there = true;
			gen[n + 1].by = s;
			gen[n + 1].index = marked & ~frail;
			gen[n + 1].frail = marked & frail;
			gen[n + 1].doomed = DOOMED_NEXT;
			gen[n + 1].condemned = dead & ~next;
			put = true;
			if
			:: n + 1 > newest ->
				newest = n + 1;
				assert(!(marked & doomed_ever));
				doomed_ever = doomed_ever | gen[n + 1].doomed
			:: else
			fi
		:: else
		fi;
		check()
	}
}

inline forget_lists()
{
	tombs = 0;
	sessions = 0;
	ended = 0;
	sets = 0
}

/* The attempt begins. */
inline put_own()
{
	d_step {
		sess[s].there = true;
		sess[s].g = n
	}
}

/*
 * Marks, and what follows from them.  A collector that finds its generation
 * gone cannot go on.
 */
inline mark_all()
{
	d_step {
		mark();
		round_up();
		condemn();
		doom();
		could = gen[n].there;
		forget_lists();
		x_ = 0;
		y_ = 0
	}
}

/* What the attempt writes: packs, and its segment. */
inline write_own()
{
	compact();
	d_step {
		sess[s].seg = true;
		sess[s].entries = marked
	}
}

/* What stands now; NO_SECOND_READ: whoever put n + 1 takes it for the newest */
#ifdef NO_SECOND_READ
inline read_again()
{
	if
	:: put ->
		d_step {
			doomed = gen[n + 1].doomed;
			n = n + 1;
			keep = ONE(s) | ONE(gen[n - 1].by)
		}
	:: else -> read_newest()
	fi
}
#else
#define read_again() read_newest()
#endif

/* Step 6. */
inline end_own()
{
	d_step {
#ifdef DELETE_COMPACTED_AT_ONCE
		doomed = doomed | (put -> moved : 0);
		moved = 0;
#endif
		marked = 0;
		frail = 0;
		dead = 0;
		next = 0;
		could = false;
		put = false;
		if
		:: sess[s].outcome == 0 -> sess[s].outcome = REVOKED
		:: else
		fi;
		s++
	}
}

/* Attempts s to last, each one step of the collection. */
proctype Collector(byte s; byte last)
{
	byte n, i;
	int doomed, marked, frail, fragile, dead, next;
	short keep, seen, held, over, tombs, sessions, ended, sets;
	bool could, put;
#ifdef DELETE_COMPACTED_AT_ONCE
	int moved;
#endif

	read_newest();
	do
	:: true ->
		clean_up();
		if
		:: s > last || n + 1 >= GENERATIONS -> break
		:: else
		fi;
#ifdef STALE_LISTS
		list();
		end_sessions();
#elif defined(NOT_ENDED_FIRST)
		list();
#else
		end_sessions();
		list();
#endif
#ifdef OWN_AFTER_SEGMENT
		atomic {
			mark_all();
			write_own();
			MAY_DIE
		}
		put_own();
		MAY_DIE;
#else
		/* before the first object of it, and not earlier */
		atomic {
			mark_all();
			put_own();
			MAY_DIE
		}
		atomic {
			write_own();
			MAY_DIE
		}
#endif
		delete_unpublished();
		put_generation();
		MAY_DIE;
		atomic {
			read_again();
			MAY_DIE;
			end_own();
			MAY_DIE
		}
	od;
done:
	atomic {
		n = 0;
		i = 0;
		doomed = 0;
		marked = 0;
		frail = 0;
		dead = 0;
		keep = 0;
		seen = 0;
		held = 0;
		over = 0;
		next = 0;
		could = false;
		put = false;
		forget_lists();
		running--
	}
}
