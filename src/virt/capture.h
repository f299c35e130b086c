/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CAPTURE_H
#define VMKEEP_VIRT_CAPTURE_H

/*
 * The instant: freeze what running or shut-off domains are at one moment, so
 * that it can be read at leisure, and put everything back afterwards.
 *
 *	capture_new()    look, claim, choose; nothing is touched
 *	capture_take()   stop all, instant, let all go on
 *	... read ...
 *	capture_end()    put back what is left, for each
 *
 * From capture_take() to capture_end() the journal names all that has to be
 * undone, and a watchdog process resumes and thaws the guest if we die or are
 * late.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/talk.h"
#include "virt/conn.h"
#include "virt/domain.h"

enum capture_level {
	LEVEL_CRASH = 1,
	LEVEL_FILESYSTEM,
	LEVEL_OFFLINE,
	LEVEL_RAM,
};

const char *capture_level_text(enum capture_level l); /* "ram", ... */

enum capture_method {
	METHOD_AUTO,
	METHOD_SNAPSHOT, /* the storage's own snapshots, taken meanwhile */
	METHOD_OVERLAY,  /* overlays, merged again afterwards */
	METHOD_SUSPEND,  /* SysRq sync, suspend, storage snapshots: no RAM */
};

const char *capture_method_text(enum capture_method m); /* "auto", ... */

struct capture_options {
	enum capture_method method;
	const char *no_snaps; /* why its disks' storage has no snapshots; NULL:
			       * it has */
	int memory;           /* 1 wanted, 0 not wanted, -1: when it runs (not
			       * when it is paused: QEMU can neither save nor
			       * migrate a paused guest any more after that,
			       * until it is resumed; nor with some of the disks
			       * only, without which it is of no use) */
	int require;          /* an enum capture_level, or 0: what can be had */
	char *const *only_disks; /* targets; NULL: all that domain.h says */
	size_t only_count;
	const char *overlay_dir;    /* NULL: beside each disk that is a file */
	const char *spool_dir;      /* for the RAM dump; must exist */
	const char *state_dir;      /* journals and locks; must exist */
	uint64_t downtime_ms;       /* for the last round of RAM; 0: default */
	uint64_t overlay_reserve;   /* free bytes to keep at the overlay; 0:
				       default */
	const char *watchdog;       /* program that becomes the watchdog when
				     * called with "__watchdog" as its first
				     * argument; NULL: our own executable */
	const _Atomic bool *cancel; /* true: give up copying RAM; NULL: never */
};

/* One frozen disk, to be read until capture_end(). */
struct capture_disk {
	const char *target;
	const char *path; /* frozen image: file or block device */
	const char *format;
	uint64_t size;
	bool shared; /* QEMU has it open for writing (a guest that was
		      * paused before): read it without the image lock
		      * (force-share), or its user cannot resume it */
	bool yields; /* shut off: who starts it meanwhile wins, and there is no
		      * point; read it without keeping others away */
};

/* One file of the point: definition, firmware variables; and files of the TPM,
 * which have a folder and an owner. */
struct capture_file {
	char *name; /* "live.xml", "inactive.xml", "migratable.xml", "nvram",
		     * "tpm2-00.permall" */
	struct buf data;
	char *folder; /* NULL; of the TPM's: "tpm2" */
	char *owner;  /* NULL; of the TPM's: "user:group" */
};

struct capture_result {
	enum capture_level level;
	const char *method; /* "snapshot", "overlay", "suspend", "offline",
			     * "paused" (read in place; it was paused
			     * before) */
	int64_t time_ns;    /* wall clock at the instant */
	uint64_t pause_ms;  /* how long we had the guest stand still, as
			     * libvirt's events tell; 0: not at all */
	struct capture_disk *disks;
	size_t disk_count;
	const char *memory; /* path of the RAM dump in libvirt's save
			     * format, or NULL */
	struct capture_file *files;
	size_t file_count;
	bool snapped;     /* disks are to be read from storage snapshots that
			   * were taken in the instant, not where path says */
	bool state_exact; /* firmware variables and the TPM's state: copied
			   * while it stood still, or equal before and after */
	char **notes;     /* what was tried and refused, and why; what
			   * is not exact */
	size_t note_count;
	bool degraded; /* less than what was asked for */
};

struct capture;

/*
 * What METHOD_AUTO comes to for a running domain: METHOD_SNAPSHOT, else
 * METHOD_OVERLAY, or METHOD_AUTO when neither can be had.  *why (to be freed):
 * why not the first, or NULL.
 */
enum capture_method capture_prefer(struct conn *c, const struct domain_info *d,
				   bool memory, const char *no_snaps,
				   char **why);

/*
 * Look at a domain, claim it, and choose how it will be done; what is chosen
 * and refused is in the notes of the result.  What options points to, and the
 * connection, must stay until capture_end().  What a dead capture of this
 * domain has left is recovered before.  ERR_BUSY: another capture of this
 * domain, or a block job, is under way.  ERR_REFUSED: what was asked for
 * cannot be had.
 */
struct capture *capture_new(struct conn *c, const struct domain_info *domain,
			    const struct capture_options *options,
			    const struct talk *talk, struct err *e);

/*
 * Its storage cannot be snapshotted after all, because of why: choose another
 * way.  -1 when there is none, or another one was asked for.
 */
int capture_without_snaps(struct capture *cap, const struct err *why,
			  struct err *e);

/* What it will write on this host, so that one who takes several can tell
 * whether there is room for all. */
struct capture_want {
	char *folder;
	uint64_t bytes;
	uint64_t reserve; /* to stay free beside that */
	bool ram;         /* the dump; else an overlay */
};

/* For capture_wants_free(), in any case. */
int capture_wants(const struct capture *cap, struct capture_want **wants,
		  size_t *count, struct err *e);
void capture_wants_free(struct capture_want *wants, size_t count);

/* Will there be RAM in it? */
bool capture_memory(const struct capture *cap);

/* There is no room for its RAM: a point without is made.  -1 when one with
 * RAM is required. */
int capture_without_memory(struct capture *cap, const char *why, struct err *e);

/* What happens while all stand still. */
struct capture_instant {
	void *ctx;
	/*
	 * Take storage snapshots of the disks of all that capture_snaps() is
	 * true of (and of others whose disks are frozen by now, as one likes);
	 * at most CAPTURE_SNAP_MS.  Called again when capture_take() tries in
	 * another way, and also when there are none.  -1: none of those that
	 * need snapshots has one.
	 */
	int (*take)(void *ctx, struct err *e);
};

#define CAPTURE_SNAP_MS 20000

/* The most that can be taken together: libvirtd does 20 calls at a time. */
#define CAPTURE_TOGETHER 16

/*
 * The instant of all (1 to CAPTURE_TOGETHER, each with a connection of its
 * own, for libvirtd does only five calls of a connection at a time).  All
 * stand still at one moment.  A lone one that fails is tried in other ways
 * that its options allow; of several each has its own result.  -1 when none
 * was taken; capture_failed() tells of each.  Whatever failed is undone as
 * far as possible, and what could not be undone is in the journal for
 * recover.  ERR_STOPPED: the user wants to stop.
 */
int capture_take(struct capture *const *caps, size_t count,
		 const struct capture_instant *instant, struct err *e);

/* Does it need snapshots of its disks' storage? */
bool capture_snaps(const struct capture *cap);

/* Why there is no instant of this one, or NULL: there is. */
const struct err *capture_failed(const struct capture *cap);

/* When it stopped, as wall clock; 0: it did not have to. */
int64_t capture_stopped_ns(const struct capture *cap);

const struct capture_result *capture_result(const struct capture *cap);

/*
 * Called by the reader now and then (cheap, any thread): -1 when reading must
 * be given up because the guest comes first: overlay space below the reserve,
 * guest stopped by an I/O error, a shut-off domain being started, one that was
 * paused before being resumed.  Once failed it stays so.
 */
int capture_check(struct capture *cap, struct err *e);

/*
 * The same without regard to how long ago it was asked last.  To be called
 * after the last byte is read and before the point is made: only then is it
 * sure that all of it is of one instant.
 */
int capture_sure(struct capture *cap, struct err *e);

/* The RAM dump is stored: its spool file may go, now, to save space. */
int capture_drop_memory(struct capture *cap, struct err *e);

/*
 * Put everything back: merge overlays, pivot, remove them, remove the spool
 * file, end the journal.  No one may read the frozen disks any more.  After a
 * failure what is left is in the journal, the message says what and how to go
 * on (vmkeep recover).  Frees cap in any case.
 */
int capture_end(struct capture *cap, struct err *e);

#endif
