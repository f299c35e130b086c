/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Cleaning up after generation n, a part of the collector: doomed and keep
 * are what it has read of n and n - 1.
 */

/* Delete the packs of which every location is in a set. */
inline delete_packs(set)
{
	d_step {
		for (k_ : 0 .. SESSIONS - 1) {
			x_ = stored & PACK(k_);
			if
			:: x_ && !(x_ & ~(set)) -> stored = stored & ~x_
			:: else
			fi
		}
		x_ = 0;
		check()
	}
}

#ifdef SEGMENTS_AT_ONCE
#define SEGMENT_DUE(s) (sess[s].outcome == REVOKED && s < ATTEMPTS)
#else
#define SEGMENT_DUE(s) (sess[s].there && sess[s].g + 1 < n)
#endif

#define GONE(s) (IN(seen, s) && !IN(held, s))

#ifdef SEGMENTS_LEFT
#define SEGMENT_GONE(s) false
#else
#define SEGMENT_GONE(s) GONE(s)
#endif

#ifdef TOMBS_LEFT
#define TOMB_GONE(s) false
#else
#define TOMB_GONE(s) GONE(s)
#endif

#define OVER(s) \
	(sess[s].there && sess[s].g + 1 < n && SEGMENTS_GONE(s) && \
	 (sess[s].outcome == REVOKED || \
	  (sess[s].outcome == COMMIT && sess[s].tomb)))

#ifdef SESS_BEFORE_SEGMENTS
#define SEGMENTS_GONE(s) true
#else
#define SEGMENTS_GONE(s) (!sess[s].seg)
#endif

/* What there is of each session but sess/. */
#define SOMETHING (sess[i].seg || sess[i].outcome || sess[i].tomb)

inline see()
{
	LIST(ADD_IF(SOMETHING, seen))
}

/* Which sess/ are there. */
inline look_for_sess()
{
	LIST(ADD_IF(sess[i].there, held))
}

inline delete_segments()
{
	d_step {
		for (k_ : 0 .. SESSIONS - 1) {
			if
			:: sess[k_].seg && !IN(keep, k_) &&
			   (SEGMENT_DUE(k_) || SEGMENT_GONE(k_)) ->
				sess[k_].seg = false;
				sess[k_].entries = 0
			:: else
			fi
		}
		check()
	}
}

inline choose()
{
	d_step {
		over = 0;
		for (k_ : 0 .. SESSIONS - 1) {
			if
			:: OVER(k_) -> over = over | ONE(k_)
			:: else
			fi
		}
		k_ = 0
	}
}

inline delete_sess()
{
	d_step {
		for (k_ : 0 .. SESSIONS - 1) {
			if
			:: IN(over, k_) -> sess[k_].there = false
			:: else
			fi
		}
		check()
	}
}

inline delete_points()
{
	d_step {
		for (k_ : 0 .. SESSIONS - 1) {
			if
			:: IN(over, k_) || GONE(k_) ->
				sess[k_].outcome = 0;
#ifdef PUBLISH_AFTER_COMMIT
				sess[k_].copy = false;
#endif
				sess[k_].top = 0
			:: else
			fi
		}
		check()
	}
}

inline delete_tombs()
{
	d_step {
		for (k_ : 0 .. SESSIONS - 1) {
			if
			:: IN(over, k_) || TOMB_GONE(k_) -> sess[k_].tomb = false
			:: else
			fi
		}
		over = 0;
		seen = 0;
		held = 0;
		check()
	}
}

inline delete_generations()
{
	d_step {
		for (k_ : 0 .. GENERATIONS - 1) {
			if
			:: k_ + 1 < n && gen[k_].there ->
				gen[k_].there = false;
				gen[k_].by = 0;
				gen[k_].index = 0;
				gen[k_].frail = 0;
				gen[k_].condemned = 0;
				gen[k_].doomed = 0
			:: else
			fi
		}
		keep = 0;
		doomed = 0;
		check()
	}
}

#ifdef SESS_LISTED_FIRST
#define SEE look_for_sess(); see()
#else
#define SEE see(); look_for_sess()
#endif

#ifdef POINTS_BEFORE_SESS
#define DELETE_OVER delete_points(); MAY_DIE; delete_sess()
#else
#define DELETE_OVER delete_sess(); MAY_DIE; delete_points()
#endif

/* Cleaning up after n. */
inline clean_up()
{
	delete_packs(doomed);
	MAY_DIE;
	CLEANING {
		SEE;
		delete_segments();
		MAY_DIE;
		choose();
		DELETE_OVER;
		MAY_DIE;
		delete_tombs();
		MAY_DIE;
		delete_generations()
	}
	MAY_DIE
}
