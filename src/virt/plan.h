/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_PLAN_H
#define VMKEEP_VIRT_PLAN_H

/*
 * What a journal means: from its records to what has to be put back.  Pure:
 * no libvirt, no files.  capture_end() and recovery both act on the same
 * plan, so an orderly end and the repair of a killed one are one path.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/journal.h"

/* How far a disk came. */
enum plan_step {
	STEP_NAMED,     /* an overlay was named, perhaps never made */
	STEP_TAKEN,     /* the overlay was made active */
	STEP_COMMIT,    /* a live commit was begun */
	STEP_PIVOT,     /* it was about to be ended */
	STEP_COMMITTED, /* all is in the base, and the guest saw it there */
	STEP_MERGED,    /* verified: the overlay is not needed */
	STEP_GONE,      /* removed, or given back to its owner */
	STEP_UNDONE,    /* a flatten that was given up: chain as before */
};

/* An image that somebody else has made. */
struct plan_image {
	char *path;
	uint64_t dev, ino;
};

struct plan_disk {
	char *target;
	char *base;
	char *format; /* of the base */
	char *overlay;
	uint64_t dev, ino; /* of the base */
	enum plan_step step;
	bool offline;   /* the last commit was qemu-img's */
	uint64_t stamp; /* when the overlay was last written to before the
			 * commit ended, ns; 0: not told */

	/* A flatten: the overlay is the user's, and so is what is between it
	 * and the base, from the top down.  None of it is needed when all is
	 * in the base, and it is removed only on demand. */
	bool flat;
	bool remove;
	bool given_up;       /* not in the journal: put the chain back */
	uint64_t odev, oino; /* of the overlay */
	uint64_t size;       /* what the guest sees, for progress; 0 */
	struct plan_image *between;
	size_t between_count;
};

struct plan {
	char *uuid, *name, *uri;
	int domain_id;      /* libvirt's id of the running instance; -1 */
	bool paused_before; /* the guest was paused by somebody else */
	bool frozen;        /* perhaps frozen by us */
	bool snapshotting;  /* the snapshot call may still be under way */
	bool paused;        /* perhaps suspended by us */
	bool held;          /* perhaps left paused by libvirt, for us */
	bool migrated;
	uint64_t watchdog_pid;   /* 0: there was none */
	uint64_t watchdog_start; /* proc_start_time() */
	bool downtime_set;
	uint64_t downtime_old;
	char *spool; /* RAM dump of ours, or NULL */
	struct plan_disk *disks;
	size_t disk_count;
};

/* ERR_INTEGRITY when the records make no sense.  *plan is for plan_fini(). */
int plan_read(const struct journal_record *records, size_t count,
	      struct plan *plan, struct err *e);
void plan_fini(struct plan *plan);

struct plan_disk *plan_disk(struct plan *plan, const char *target);

/* Where a definition's disk points to. */
enum plan_top {
	TOP_NONE, /* no such definition, or no such disk in it */
	TOP_OVERLAY,
	TOP_BASE,
	TOP_ABOVE, /* something on top of the overlay */
	TOP_OTHER,
};

/* What is the case now, for one disk. */
struct plan_sight {
	bool exists; /* the domain */
	bool active;
	bool same_instance;  /* the QEMU process that was captured */
	bool migrated;       /* it runs on another host */
	enum plan_top live;  /* TOP_NONE when not active */
	enum plan_top kept;  /* the inactive definition */
	bool pivoted;        /* live says overlay, but QEMU is on the base */
	bool overlay_there;  /* the file */
	bool overlay_locked; /* ... which some QEMU writes to, though no
			      * definition names it */
	bool base_newer;     /* the base was written to well after it */
	bool overlay_empty;  /* nothing was written into it */
	bool touched;        /* written to since the commit of it ended, or
			      * that cannot be told */
	bool equal;          /* overlay and base show the same content; looked
			      * at only where it matters */
};

enum plan_action {
	ACT_NOTHING,      /* done */
	ACT_MERGE_LIVE,   /* block commit and pivot */
	ACT_MERGE_STRAY,  /* by QEMU's monitor: libvirt does not know */
	ACT_MERGE_OFF,    /* qemu-img commit, then the definition */
	ACT_REDEFINE,     /* only the definition still names the overlay */
	ACT_UNLINK,       /* the overlay is surely not needed */
	ACT_UNDO,         /* end a commit of ours; the chain is as before */
	ACT_RELEASE,      /* merged: what was above is not needed */
	ACT_KEEP_GONE,    /* no such domain any more */
	ACT_KEEP_AWAY,    /* migrated away */
	ACT_KEEP_UNSURE,  /* perhaps the guest was on the base last */
	ACT_KEEP_LOCKED,  /* somebody else has it open */
	ACT_KEEP_PIVOTED, /* libvirt does not know that it is on the base */
	ACT_KEEP_ABOVE,   /* somebody made a snapshot on top of it */
	ACT_KEEP_APART,   /* the guest ran on without it */
	ACT_LOST,         /* named by the domain, but the file is not there */
};

enum plan_action plan_decide(const struct plan_disk *disk,
			     const struct plan_sight *sight);

/* The same for a disk of a flatten (plan_decide() calls it). */
enum plan_action plan_decide_flat(const struct plan_disk *disk,
				  const struct plan_sight *sight);

/* A sentence for the keeping and lost ones: what is left and what to type.
 * To be freed; NULL for the others. */
char *plan_advice(enum plan_action action, const struct plan *plan,
		  const struct plan_disk *disk);

#endif
