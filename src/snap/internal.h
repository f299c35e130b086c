/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_INTERNAL_H
#define VMKEEP_SNAP_INTERNAL_H

/* What the files of this folder share. */

#include "base/bytes.h"
#include "snap/snap.h"

/* The words of the journal.  Where a record is of several things, the fields
 * of each begin with "kind". */
#define SNAP_JOT_TAKE    "snap_take"  /* kind volume name guid="" set fs */
#define SNAP_JOT_TAKEN   "snap_taken" /* all fields of each */
#define SNAP_JOT_DROP    "snap_drop"
#define SNAP_JOT_DROPPED "snap_dropped"
#define SNAP_JOT_VIEW    "snap_view"        /* kind thing set keep */
#define SNAP_JOT_CLOSED  "snap_view_closed" /* the same */

#define SNAP_FOLDER    ".vmkeep" /* on file systems */
#define SNAP_ATTR      "user.org.vmkeep.set"
#define SNAP_ATTR_FILE "user.org.vmkeep.file"
#define SNAP_PROP      "org.vmkeep:set"
#define SNAP_TAG       "vmkeep"
#define SNAP_TAGSET    "vmkeep.set."
#define SNAP_VIEWED    "vmkeep.view" /* tag and property of what a view made */

/* What is left of a call's time. */
struct snap_time {
	int64_t until; /* steady clock */
};
struct snap_time snap_time_of(unsigned deadline_ms);
/* Milliseconds left, or 0 with an error that names what for. */
unsigned snap_time_left(const struct snap_time *t, const char *what,
			struct err *e);

/* Run a program for what is left of the time.  ERR_REFUSED when it is not
 * installed, else as proc_run(). */
int snap_tool(const char *const *argv, struct buf *out,
	      const struct snap_time *t, struct err *e);

/* What a backend is given to take: volumes of one group, and a snap for each
 * with all but guid and times filled in.  A snap whose guid it sets exists;
 * the others may exist where it fails. */
struct snap_taking {
	const struct snap_volume **volumes;
	struct snap **snaps;
	size_t count;
	const struct snap_how *how;
	struct snap_time time;
};

struct snap_view {
	struct snap snap;
	int root;      /* folder on which `inside` begins, or -1 */
	int device;    /* what is to be read, kept open for others, or -1 */
	char *base;    /* path of it, or of the only thing to be read */
	char *thing;   /* clone or LV to be given back, or NULL */
	bool kept;     /* it is the snap's LV, and only to be deactivated */
	char *warning; /* or NULL */
	char **paths;  /* given out */
	size_t path_count;
	struct snap_time time;
	struct journal *journal;
};

/* Where its paths begin with, when root is a folder without a path. */
char *snap_view_fd_base(int root);

/* Written before a view makes its thing. */
int snap_view_intent(struct snap_view *v, char *thing, bool kept,
		     struct err *e);

/* The same for one that is new: v->thing is a name by chance, beside the
 * volume. */
int snap_view_intent_new(struct snap_view *v, struct err *e);

/* Something of ours that a view has made, by name. */
struct snap_thing {
	enum snap_kind kind;
	const char *name; /* dataset, or VG/LV */
	const char *set;
	bool kept; /* only to be deactivated */
};

/* Could a view of ours have made that? */
bool snap_thing_valid(const struct snap_thing *thing);
int snap_thing_jot(struct journal *j, const char *word,
		   const struct snap_thing *thing, struct err *e);

struct snap_backend {
	/* All but take, drop, view and list may be NULL. */
	int (*ready)(const struct snap_taking *t, struct err *e);
	int (*take)(struct snap_taking *t, struct err *e);
	/* After all are taken: fill in the guids that take() has left. */
	int (*identify)(struct snap_taking *t, struct err *e);
	/* Of one kind's backend, any volumes.  gone[i] is set when snaps[i]
	 * is not there (any more). */
	int (*drop)(const struct snap *const *snaps, size_t count, bool *gone,
		    const struct snap_time *t, struct err *e);
	int (*view)(struct snap_view *v, struct err *e);
	/* 0 also when it is gone already. */
	int (*unview)(const struct snap_thing *thing, const struct snap_time *t,
		      struct err *e);
	int (*check)(const struct snap *const *snaps, size_t count,
		     const struct snap_time *t, struct err *e);
	/* volumes NULL: everywhere. */
	int (*list)(const struct snap_volume *const *volumes, size_t count,
		    struct snaps *snaps, const struct snap_time *t,
		    struct err *e);
};

const struct snap_backend *snap_backend_of(enum snap_kind kind);

extern const struct snap_backend snap_zfs;
extern const struct snap_backend snap_lvm;
extern const struct snap_backend snap_btrfs;
extern const struct snap_backend snap_reflink;

/* Names: "vmkeep_20261120T163005Z_1f2e3d4c". */
#define SNAP_NAME_MAX 64
void snap_name(int64_t wall_ns, const char *set, char out[SNAP_NAME_MAX]);
bool snap_name_valid(const char *name);
bool snap_set_valid(const char *set);

/* Free strings, leaving an empty struct. */
void snap_fini(struct snap *s);
void snap_copy(const struct snap *from, struct snap *to);
void snap_volume_fini(struct snap_volume *v);

/* All snaps of one record that may hold several, appended. */
int snap_many_from_record(const struct journal_record *r, struct snaps *add,
			  struct err *e);
/* One record of many snaps. */
int snap_jot(struct journal *j, const char *word,
	     const struct snap *const *snaps, size_t count, struct err *e);

#endif
