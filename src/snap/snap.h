/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_SNAP_H
#define VMKEEP_SNAP_SNAP_H

/*
 * Snapshots made by the storage.  Knows files and block devices, no VM.
 *
 *     snap_find   which volume does each path live on?
 *     snap_ready  before the guest stands still: is there room; flush
 *     snap_take   while it stands still
 *     snap_view_open, snap_view_path, snap_view_close   read it
 *     snap_check  now and then meanwhile: does it hold?
 *     snap_drop   give it back
 *
 * The programs (zfs, zpool, lvs, lvcreate, lvchange, lvremove) are run, never
 * a shell; one that is not installed only means that there is no such
 * storage.  btrfs, reflink and mounts are system calls.
 *
 * What is ours: a snapshot has a name "vmkeep_<UTC time>_<id8>", where id8 is
 * the first 8 digits of the set's id, and a tag: ZFS user property
 * org.vmkeep:set (source local), LV tags "vmkeep" and "vmkeep.set.<set>", on
 * files the attribute user.org.vmkeep.set; for btrfs it is the name in our
 * folder and the parent's UUID.  Nothing is ever touched that lacks the tag,
 * or, where its guid was recorded, has another guid.  No -R, -r, -f.
 *
 * A set's snapshots are for one thread at a time; different sets may be
 * handled by different threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/journal.h"

enum snap_kind {
	SNAP_ZFS,       /* a dataset with files in it */
	SNAP_ZVOL,      /* a ZFS volume that is the disk */
	SNAP_LVM_THIN,  /* an LV in a thin pool: the disk, or its file system */
	SNAP_LVM_THICK, /* any other LV; its snapshot has a size and can
			 * overflow, and every one of them slows writes */
	SNAP_BTRFS,     /* a subvolume with files in it */
	SNAP_REFLINK,   /* one file, copied by FICLONE (XFS, btrfs, bcachefs) */
};

/* "zfs", "zvol", "lvm-thin", "lvm-thick", "btrfs", "reflink". */
const char *snap_kind_name(enum snap_kind kind);
bool snap_kind_parse(const char *name, enum snap_kind *kind);

/*
 * A volume: what one snapshot is made of.
 *   zfs, zvol   name "pool/data/set", id its guid (decimal)
 *   lvm         name "VG/LV", id the LV's UUID
 *   btrfs       name the path of the subvolume's root, id its UUID
 *   reflink     name the path of the file, id "inode:birth"
 */
struct snap_volume {
	enum snap_kind kind;
	char *name;
	char *id;
	char *group;   /* what can be taken in one go: the pool, the VG ... */
	char *device;  /* the block device of a zvol or LV, else NULL */
	char *fs;      /* LV: the file system that has the files, "ext4";
			* "" when the volume itself is the disk */
	uint64_t size; /* of an LV, in bytes; else 0 */
};

/* Where a path is. */
struct snap_place {
	char *path;        /* as given */
	size_t volume;     /* index into the plan's volumes */
	char *inside;      /* path inside the volume, without a leading
			    * slash; "" when the volume is the disk */
	uint64_t dev, ino; /* stat(2): what was looked at */
};

struct snap_plan {
	struct snap_volume *volumes; /* each once */
	size_t volume_count;
	struct snap_place *places; /* one for each path, in their order */
	size_t place_count;
};

struct snap_find {
	bool copies; /* reflink copies wherever the file system can; else
		      * ZFS, btrfs, LVM-thin, reflink, LVM-thick is the
		      * order in which one is chosen */
	unsigned deadline_ms; /* 0: 60 s */
};

/*
 * Which volumes do these files and block devices live on?  Links are
 * followed; the mount that a path is really on counts (statx(2) mount id), so
 * bind mounts and overmounted datasets are told apart.  `find` may be NULL.
 * ERR_NOT_FOUND when a path does not exist; ERR_REFUSED, with a sentence that
 * names path and storage, when one of them is on storage without snapshots
 * (then another way of capture is to be taken), is a folder or a partition,
 * or has a line feed in its name.  *plan is for snap_plan_fini().
 */
int snap_find(const char *const *paths, size_t count,
	      const struct snap_find *find, struct snap_plan *plan,
	      struct err *e);
void snap_plan_fini(struct snap_plan *plan);

/*
 * One snapshot: a plain value.  What is kept in a manifest is exactly this.
 */
struct snap {
	enum snap_kind kind;
	char *volume; /* name of the volume, as in struct snap_volume */
	char *name;   /* of the snapshot: behind the "@", the LV's name, the
		       * name in the folder ".vmkeep" of the subvolume, or
		       * beside the file */
	char *guid;   /* ZFS guid, LV UUID, subvolume UUID, "inode:birth";
		       * "" in a snap that was only intended */
	char *set;    /* id of the set */
	char *fs;     /* as in struct snap_volume; "" where not needed */
	int64_t begin_ns, end_ns; /* wall clock around the making */
};

struct snaps {
	struct snap *items;
	size_t count;
};

void snaps_fini(struct snaps *snaps);
/* A copy of everything; for snaps_fini() of the struct it was added to. */
void snaps_add(struct snaps *snaps, const struct snap *snap);

/* As fields of a journal's record and back: kind, volume, name, guid, set,
 * fs, begin, end.  The fields point into snap and out. */
struct snap_fields {
	struct journal_field f[9]; /* the last one's key is NULL */
	char begin[24], end[24];
};
void snap_to_fields(const struct snap *snap, struct snap_fields *out);

/* Add the snap that a record holds.  Checked like anything from outside:
 * ERR_INTEGRITY when a field is missing or cannot be meant. */
int snap_from_record(const struct journal_record *record, struct snaps *add,
		     struct err *e);

/* How: for all calls below.  Zeroed is fine. */
struct snap_how {
	/* snap_take(): all snapshots exist, whoever stands still may go on;
	 * what is left (guids, journal) takes some more 10 ms.  Not called
	 * when the call fails before.  NULL: nobody waits. */
	void (*made)(void *ctx);
	void *ctx;
	struct journal *journal; /* the set's; intents go there; NULL: none */
	unsigned deadline_ms;    /* for the whole call; 0: 60 s */
	uint64_t thick_bytes;    /* size of a thick snapshot; 0: a fifth of
				  * the LV, at least 64 MiB */
};

/*
 * Shortly before the guest stands still, so that it does not stand still for
 * this: flush what is dirty (syncfs, zpool sync), and see whether there is
 * room.  ERR_NO_SPACE when a VG has no room for the thick snapshots, or a
 * thin pool or file system is nearly full; the sentence says what to do.
 * Nothing is made.
 */
int snap_ready(const struct snap_plan *plan, const struct snap_how *how,
	       struct err *e);

/*
 * Take them all; snaps->items[i] is that of plan->volumes[i].  Block devices
 * are flushed first (dm and ZFS do not look into the page cache of a device:
 * research on zvols and LVs agrees).  All of one ZFS pool are made by one
 * `zfs snapshot` command, which is atomic; whatever else is of several
 * volumes is not, so everybody who writes there has to stand still.  The set
 * is 8 to 64 of 0-9, a-f and '-', not beginning with '-' in its first 8.
 *
 * All or nothing: on failure those that were made are dropped again, and what
 * could not be dropped stays in the journal.  ERR_NOT_FOUND when a path of
 * the plan is no longer what was looked at; ERR_NO_SPACE; ERR_EXISTS when the
 * name is taken; ERR_FAILED with the program's last words.
 */
int snap_take(const struct snap_plan *plan, const char *set,
	      const struct snap_how *how, struct snaps *snaps, struct err *e);

/*
 * Open one for reading.  Nothing appears where others would see or scan it:
 * file systems are mounted without a place in the tree (fsopen(2), no path
 * but ours), and vanish when we die.
 *   zfs       the snapshot itself is mounted, whatever snapdir says
 *   zvol      a clone (readonly, volmode=dev), removed by the close
 *   lvm       activated, also against the skip flag; with a file system: a
 *             writable snapshot of the thin snap (removed by the close), or
 *             the thick one itself, whose journal is replayed by mounting it
 *             read-only (XFS: nouuid, as the original is mounted)
 *   btrfs, reflink   as they are
 * ERR_NOT_FOUND when the snap is gone, is not ours or has another guid;
 * ERR_NO_SPACE when a thick snapshot has overflowed.
 */
struct snap_view;
struct snap_view *snap_view_open(const struct snap *snap,
				 const struct snap_how *how, struct err *e);

/*
 * Where `inside` (of struct snap_place) is to be read, good until the close,
 * owned by the view.  May be /proc/<our pid>/fd/<n>/..., so a program that
 * is given it has to run while we live.  ERR_NOT_FOUND when it is not there,
 * ERR_REFUSED when it is no regular file or a link leads to it.
 * A qcow2 file's relative backing file is found in the snapshot too.
 */
const char *snap_view_path(struct snap_view *view, const char *inside,
			   struct err *e);

/* A sentence for the user when it could only be opened in a lesser way (its
 * file system without its journal), else NULL. */
const char *snap_view_warning(const struct snap_view *view);

/* Always frees; NULL is fine.  ERR_BUSY when something of it is still open
 * (then it stays in the journal). */
int snap_view_close(struct snap_view *view, const struct snap_how *how,
		    struct err *e);

/*
 * Cheap; for the reader now and then, and once more at the end: 0 when all
 * is well.  ERR_NO_SPACE when a thick snapshot is four fifths full or has
 * overflowed, or a thin pool, ZFS pool or file system is about to be full:
 * then reading is to be given up and the snaps dropped, for the guest comes
 * first.
 */
int snap_check(const struct snap *snaps, size_t count, struct err *e);

/*
 * Give them back.  One that is gone already is fine.  ERR_BUSY when it is
 * held, cloned or open; the sentence names what holds it.  ERR_REFUSED when
 * what is there is not ours: it is not touched.  All are tried; the first
 * error is given.
 */
int snap_drop(const struct snap *snaps, size_t count,
	      const struct snap_how *how, struct err *e);

/*
 * Write into the journal that they are to be dropped, for who has to do
 * something else first (forget the point that names them): snap_recover()
 * drops them then, unless `keep` wants them.
 */
int snap_intend_drop(const struct snap *snaps, size_t count,
		     const struct snap_how *how, struct err *e);

/*
 * All snaps with our tag: of the plan's volumes, or of all ZFS pools and VGs
 * of this host when it is NULL (btrfs and reflink are only found by a plan).
 * Views of ours (clones, thin LVs) are not snaps.
 */
int snap_list(const struct snap_plan *plan, struct snaps *snaps, struct err *e);

/*
 * After a death: what a set's journal says was taken or opened.  Views always
 * go; of the snaps those go that `keep` does not want.  Words of others in
 * the journal are passed over.  Idempotent, and needs nobody else to be at
 * the set (its lock).
 */
struct snap_recover {
	const struct snap_how *how; /* its journal gets the outcome */
	void *ctx;
	/* Does a committed local point name it?  1 yes, 0 no, -1 cannot be
	 * told (then it is kept, and the call fails).  NULL: none does. */
	int (*keep)(void *ctx, const struct snap *snap, struct err *e);
	/* What was done (failed 0) or is left; may be NULL. */
	void (*note)(void *ctx, const char *text, int failed);
};

/* 0 when nothing is left; -1 with the first thing that is (everything was
 * tried; the journal has to stay). */
int snap_recover(const struct journal_record *records, size_t count,
		 const struct snap_recover *recover, struct err *e);

#endif
