/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CAPTURE_INTERNAL_H
#define VMKEEP_VIRT_CAPTURE_INTERNAL_H

/* The capture's inside, for the capture_*.c files alone. */

#include <pthread.h>

#include "base/journal.h"
#include "virt/capture.h"
#include "virt/meeting.h"
#include "virt/tpm.h"
#include "virt/track.h"
#include "virt/watchdog.h"

enum capture_mode {
	MODE_OFF,   /* shut off: read in place, under the image lock */
	MODE_PLACE, /* paused by somebody else: read in place */
	MODE_LIVE,  /* runs: by a method */
};

struct capture_pick {
	const struct domain_disk *disk;
	char *overlay;    /* METHOD_OVERLAY */
	uint64_t reserve; /* bytes that are to stay free beside it */
};

struct capture {
	struct conn *conn;
	struct capture_options opt;
	const struct talk *talk;
	struct domain_info *domain;
	enum capture_mode mode;
	enum capture_method method; /* MODE_LIVE: never METHOD_AUTO */
	bool with_memory;
	unsigned members;        /* of the group that it is taken with */
	struct meeting *meeting; /* theirs; NULL: alone, or been there */
	int lock;
	char *journal_path;
	struct journal *journal;
	struct track *track;
	struct watchdog *watchdog;
	struct capture_pick *picks;
	size_t pick_count;
	const char *unasked; /* a disk that was not asked for, or NULL */
	char *memory;        /* the RAM dump, when taken */
	struct tpm_state tpm;
	int frozen;         /* file systems, by us */
	bool stands;        /* still, for us, until capture_go() */
	bool theirs;        /* ... but its user has paused it, too */
	bool snaps_failed;  /* it is they, or how long they took */
	int64_t stopped_ns; /* wall clock */
	struct err lost;    /* why there is no instant of it */
	struct capture_result result;
	/* capture_check() */
	pthread_mutex_t check_lock;
	int64_t checked_ns;
	struct err failed; /* stays once it is set */
	int64_t writes;    /* MODE_PLACE: the guest's, at the instant */
	bool noted_gone;
};

/* Add a sentence for the point. */
void capture_note(struct capture *cap, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Less than what was asked for, and why. */
void capture_degrade(struct capture *cap, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* capture_pick.c: which disks, and which mode. */
int capture_pick(struct capture *cap, struct err *e);
int capture_mode(struct capture *cap, struct err *e);

/* capture_choose.c: with RAM or not, by which method. */
int capture_choose(struct capture *cap, struct err *e);

/* It failed because of why: choose something else.  -1 when there is
 * nothing. */
int capture_less(struct capture *cap, const struct err *why, struct err *e);

/* capture_files.c: definitions, firmware variables, the TPM's state. */
int capture_definitions(struct capture *cap, struct err *e);
int capture_state_before(struct capture *cap, struct err *e);
/* Compare with what was before; or take it for what was, when it stands
 * still. */
void capture_state_after(struct capture *cap);
/* The TPM's files into the result, when all is done. */
void capture_state_files(struct capture *cap);
void capture_file_fini(struct capture_file *f);

/* capture_guard.c: the journal and what belongs to it. */
int capture_guard(struct capture *cap, struct err *e);

/* Put everything back and end the journal. */
int capture_settle(struct capture *cap, struct err *e);

/* The same after a failure: the message then has both. */
int capture_undo(struct capture *cap, struct err *e);

/* capture_live.c: a running guest stops; then it goes on, or, after a failure,
 * is let go. */
int capture_stop(struct capture *cap, struct err *e);
int capture_go(struct capture *cap, struct err *e);
void capture_release(struct capture *cap);

/* capture_overlay.c */
int capture_overlays(struct capture *cap, struct err *e);
void capture_snapshot_xml(const struct capture *cap, struct buf *out);
void capture_close_overlays(struct capture *cap);

/* capture_place.c */
int capture_off(struct capture *cap, struct err *e);
int capture_place(struct capture *cap, struct err *e);
int64_t capture_writes(struct capture *cap, struct err *e);

/* capture_ram.c: the RAM dump's name, what it is, how large it may get. */
uint64_t capture_ram_bytes(const struct capture *cap);
int capture_ram_name(struct capture *cap, struct err *e);
void capture_ram_look(struct capture *cap);

#endif
