/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_LOCAL_H
#define VMKEEP_JOB_LOCAL_H

/*
 * Points that are held on this host: disks as storage snapshots, all else as
 * files beside one another, none of it in a repository.
 *
 *     DIR/<set>/set     the set, as a repository would have it; that it is
 *                       there under this name is the commit
 *     DIR/<set>/<file>  RAM dumps, definitions, firmware variables, TPM
 *     DIR/new-<set>/    one that is being made, or whose maker died; its
 *                       lock file tells which
 *
 * A set is struct set here, too, so all that finds, lists and describes points
 * works on it.  Where the content of an image is, its attributes say: a file
 * of that folder, or a snap (snap/snap.h) and the path inside it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/job.h"
#include "repo/catalog.h"
#include "repo/point.h"
#include "snap/snap.h"

/* Attributes of an image of a local point. */
#define ATTR_FILE   "file"   /* its name in the set's folder */
#define ATTR_SNAP   "snap."  /* and the name of a field of the snap */
#define ATTR_INSIDE "inside" /* path in that snap; "" for a device */

/* ---- making ------------------------------------------------------------ */

struct local_new;

/*
 * Begin a set with a fresh id, in the folder dir, which is made when missing
 * (0700: RAM and definitions have secrets).
 */
struct local_new *local_begin(const char *dir, struct err *e);

/* Without local_commit() all is removed.  NULL is fine. */
void local_free(struct local_new *l);
void local_free_at(struct local_new **l);

const struct id *local_id(const struct local_new *l);

/* Add an image of bytes in memory. */
int local_add_bytes(struct local_new *l, struct point *p, enum image_kind kind,
		    const char *name, const struct buf *data, struct err *e);

/* Add an image that is the file at path: linked where it lies on the same file
 * system, else copied.  The file may go afterwards. */
int local_add_file(struct local_new *l, struct point *p, enum image_kind kind,
		   const char *name, const char *path, struct err *e);

/* What a snap holds. */
struct local_disk {
	const char *target; /* "vda" */
	const char *format;
	const char *source; /* path it has in the domain */
	uint64_t size;      /* virtual, bytes */
	const struct snap *snap;
	const char *inside;
};

void local_add_disk(struct point *p, const struct local_disk *d);

/*
 * The set is there, durably, with time, host and program filled in.  Where
 * only the last sync fails it is there, too, and may be gone after a power
 * cut: local_committed() tells.
 */
int local_commit(struct local_new *l, struct set *set, struct err *e);

/* Does anybody who looks find it?  Then nothing that it names may go. */
bool local_committed(const struct local_new *l);

/* ---- what is there ------------------------------------------------------ */

/*
 * Add all sets of dir to the catalogue, damaged ones as damage; nothing when
 * there is no such folder.  ERR_FAILED: it cannot be read.
 */
int local_load(const char *dir, struct catalog *c, struct err *e);

/* The file of an image, NULL when it is in a snap.  To be freed. */
char *local_file(const char *dir, const struct set *set,
		 const struct image *image);

/* Add the snap of an image; ERR_INTEGRITY when there is none that makes
 * sense. */
int local_snap(const struct image *image, struct snaps *add, struct err *e);

/* Does any point of the catalogue need that snap?  One that cannot be read may
 * need any. */
bool local_needs(const struct catalog *c, const struct snap *snap);

/* The same of all that this host holds now; as `keep` of struct snap_recover:
 * 1, 0, or -1 when only one that cannot be read may need it. */
int local_keeps(const struct job *j, const struct snap *snap, struct err *e);

/* ---- letting go --------------------------------------------------------- */

/*
 * Take a point, or only its RAM, out of its set; the set goes with its last
 * point.  From the moment this returns the point is no more.  Files that no
 * point names any more are removed; snaps are the caller's.
 */
int local_drop(const char *dir, const struct set *set, const struct id *point,
	       bool ram_only, struct err *e);

/* The same, and the snaps that nothing else needs. */
int local_forget(const struct job *j, const struct set *set,
		 const struct point *point, bool ram_only, struct err *e);

/* Remove what dead makers have left: new-<set> folders, and files that no
 * point names.  What cannot be removed stays for the next time. */
void local_sweep(const char *dir);

#endif
