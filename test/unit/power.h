/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_POWER_H
#define VMKEEP_TEST_POWER_H

/*
 * A disk that loses power.  What a program does to a folder is noted, call by
 * call; afterwards the folder is made again as it may be found when the power
 * was cut at any moment of that.
 *
 * The disk owes no more than POSIX says.  A file has what was in it at its
 * last fdatasync or fsync; of what was written since, any sector may be
 * there or be zero, and the end may be cut off anywhere.  A name is as it was
 * at the last fsync of its folder, or as any change since has made it, each
 * name for itself: of a rename the one half may be there without the other.
 * A folder whose name is lost is lost with all that is in it.
 *
 * The program is linked with --wrap for the calls that are noted (see
 * meson.build); calls of all threads are put in a row.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Note what happens below this folder, which is empty. */
void power_record(const char *root);
void power_stop(void);
void power_free(void);

/* How many calls have been noted up to now. */
size_t power_now(void);

/* A disk that is worse than POSIX allows: it shows that the test sees it. */
struct power_lie {
	bool no_data;    /* fdatasync of a file does nothing */
	bool no_folders; /* fsync of a folder does nothing */
	size_t from;     /* behind so many calls */
};

/*
 * Make the folder `to`, which is not there, as it may be after a cut behind
 * the first `at` calls.  The seed chooses; seeds 0 and 1 are "all that was
 * not flushed is lost" and "nothing is lost".  pool: a folder beside it that
 * keeps files from one call to the next.
 */
void power_cut(size_t at, uint64_t seed, const struct power_lie *lie,
	       const char *pool, const char *to);

/* A number that follows from another one, and looks like chance. */
uint64_t power_dice(uint64_t x);

/* Where the tests' folders should be: they are thousands of small files. */
void power_quick_tmp(void);
void power_remove(const char *path);

#endif
