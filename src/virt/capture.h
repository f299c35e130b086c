/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CAPTURE_H
#define VMKEEP_VIRT_CAPTURE_H

/*
 * The instant: freeze what a running or shut-off domain is at one moment, so
 * that it can be read at leisure, and put everything back afterwards.
 *
 * Between capture_begin() and capture_end() the journal names all that has to
 * be undone, and a watchdog process resumes and thaws the guest if we die.
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

struct capture_options {
	int memory;  /* 1 wanted, 0 not wanted, -1: when it runs (not
		      * when it is paused: QEMU can neither save nor
		      * migrate a paused guest any more after that,
		      * until it is resumed; nor with some of the disks
		      * only, without which it is of no use) */
	int require; /* an enum capture_level, or 0: what can be had */
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

/* One file of the point: definition, firmware variables. */
struct capture_file {
	const char *name; /* "live.xml", "inactive.xml", "migratable.xml",
			   * "nvram" */
	struct buf data;
};

struct capture_result {
	enum capture_level level;
	const char *method; /* "overlay", "offline", "paused" (read in
			     * place; it was paused before) */
	int64_t time_ns;    /* wall clock at the instant */
	uint64_t pause_ms;  /* how long we had the guest stand still, as
			     * libvirt's events tell; 0: not at all */
	struct capture_disk *disks;
	size_t disk_count;
	const char *memory; /* path of the RAM dump in libvirt's save
			     * format, or NULL */
	struct capture_file *files;
	size_t file_count;
	bool nvram_exact; /* equal before and after the instant */
	char **notes;     /* what was tried and refused, and why; what
			   * is not exact */
	size_t note_count;
	bool degraded; /* less than what was asked for */
};

struct capture;

/*
 * Make the instant.  What options points to must stay until capture_end().
 * What a dead capture of this domain has left is recovered before.  On failure
 * everything is undone as far as possible, and what could not be undone is in
 * the journal for recover.  ERR_BUSY: another capture of this domain, or a
 * block job, is under way.  ERR_REFUSED: the level required cannot be had.
 * ERR_STOPPED: the user wants to stop.
 */
struct capture *capture_begin(struct conn *c, const struct domain_info *domain,
			      const struct capture_options *options,
			      const struct talk *talk, struct err *e);

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
