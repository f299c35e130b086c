/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CAPTURE_INTERNAL_H
#define VMKEEP_VIRT_CAPTURE_INTERNAL_H

/* The capture's inside, for the capture_*.c files alone. */

#include <pthread.h>

#include "base/journal.h"
#include "virt/capture.h"
#include "virt/track.h"
#include "virt/watchdog.h"

enum capture_mode {
	MODE_OFF,   /* shut off: read in place, under the image lock */
	MODE_PLACE, /* paused by somebody else: read in place */
	MODE_LIVE,  /* overlays */
};

struct capture_pick {
	const struct domain_disk *disk;
	char *overlay;    /* MODE_LIVE */
	uint64_t reserve; /* bytes that are to stay free beside it */
};

struct capture {
	struct conn *conn;
	struct capture_options opt;
	const struct talk *talk;
	struct domain_info *domain;
	enum capture_mode mode;
	int lock;
	char *journal_path;
	struct journal *journal;
	struct track *track;
	struct watchdog *watchdog;
	struct capture_pick *picks;
	size_t pick_count;
	const char *unasked; /* a disk that was not asked for, or NULL */
	char *memory;        /* the RAM dump, when taken */
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

/* capture_files.c: definitions, firmware variables. */
int capture_definitions(struct capture *cap, struct err *e);
int capture_nvram_before(struct capture *cap, struct err *e);
void capture_nvram_after(struct capture *cap);

/* capture_open.c: the journal and what belongs to it. */
int capture_open(struct capture *cap, struct err *e);

/* Put everything back and end the journal. */
int capture_settle(struct capture *cap, struct err *e);

/* capture_live.c: one attempt, with RAM or without. */
int capture_live(struct capture *cap, bool memory, struct err *e);

/* capture_place.c */
int capture_off(struct capture *cap, struct err *e);
int capture_place(struct capture *cap, bool memory, struct err *e);
int64_t capture_writes(struct capture *cap, struct err *e);

/* capture_ram.c: the RAM dump's name, room for it, what it is. */
int capture_ram_room(struct capture *cap, struct err *e);
int capture_ram_name(struct capture *cap, struct err *e);
void capture_ram_look(struct capture *cap);

#endif
