/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_JOB_H
#define VMKEEP_JOB_JOB_H

/*
 * The verbs.  Each takes what the command line said, does one thing, and
 * fills a result; on failure the result holds what is known so far and must
 * be freed as well.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/talk.h"
#include "job/result.h"

/* What all verbs share.  Strings are borrowed. */
struct job {
	const char *repository; /* path or "dir:PATH"; NULL: not said */
	const char *key_file;
	const char *passphrase; /* NULL: not said; see ask */
	const char *cache_dir;  /* NULL: none */
	const char *state_dir;  /* journals and locks */
	const char *spool_dir;
	const char *overlay_dir; /* NULL: beside the disks */
	const char *local_dir;   /* for points held here; NULL: none are */
	const char *place;       /* "local" or "repository": look only there;
				  * NULL: everywhere */
	const char *uri;         /* libvirt's */
	uint64_t thick_bytes;    /* of a thick LV's snapshot; 0: snap/snap.h */
	int zip_level;           /* how hard to compress: repo/pace.h */
	const struct talk *talk;

	/*
	 * True from the moment the user wants to stop; looked at between
	 * reads, and before each step that can be left out.  What was begun
	 * is undone in order, and the verb fails with ERR_STOPPED.  NULL:
	 * never.
	 */
	const _Atomic bool *cancel;

	/*
	 * Asks for the passphrase when it is needed and not said; NULL when
	 * there is no terminal.  Returns a string in secret memory
	 * (job_secret_new(), to be freed with job_secret_free(), which is
	 * keys_secret_free()), or NULL.
	 */
	char *(*ask)(void *ctx, const char *repository, bool twice,
		     struct err *e);
	void *ask_ctx;
};

/* What --compression says, as job.zip_level: auto, fast, archive, 1 to 19; else
 * ERR_USAGE. */
int job_level(const char *text, int *level, struct err *e);

int job_init(const struct job *j, struct result_init *result, struct err *e);

/* domain NULL: all. */
int job_domains(const struct job *j, const char *domain,
		struct result_domains *result, struct err *e);

/* Where a new point is held; both may be said. */
enum job_keep {
	JOB_KEEP_REPOSITORY = 1,
	JOB_KEEP_LOCAL = 2,
};

struct job_backup {
	char *const *domains;
	size_t domain_count;
	bool together;       /* all of one instant, in one set */
	const char *group;   /* what that is called, or NULL */
	const char *method;  /* "auto", "snapshot", "overlay", "suspend"; NULL:
			      * auto */
	int memory;          /* 1, 0, or -1 not said */
	const char *require; /* "ram", "filesystem", "crash" or NULL */
	char *const *disks;  /* targets; NULL: all */
	size_t disk_count;
	unsigned keep; /* enum job_keep; 0: in the repository */
};

/*
 * Several domains are backed up one after the other, each its own set, or
 * together; one's failure does not stop the others.  Returns 0 when all are ok,
 * degraded ones included; -1 with the first error otherwise (ERR_BUSY only when
 * all were busy).
 */
int job_backup(const struct job *j, const struct job_backup *b,
	       struct result_backup *result, struct err *e);

/* name NULL: all. */
int job_points(const struct job *j, const char *name,
	       struct result_points *result, struct err *e);

/* One point, with everything. */
int job_show(const struct job *j, const char *point,
	     struct result_points *result, struct err *e);

struct job_restore {
	const char *point;
	const char *to;     /* folder for the disks; NULL with paths for
			     * every disk */
	const char *name;   /* NULL: as it was */
	char *const *disks; /* "vda=PATH"; NULL: none */
	size_t disk_count;
	bool ram;
	bool start;
	bool no_define;
	bool in_place; /* files that are there are made what they were */
};

int job_restore(const struct job *j, const struct job_restore *r,
		struct result_restore *result, struct err *e);

/* file "-" is stdin / stdout. */
int job_import(const struct job *j, const char *name, const char *file,
	       struct result_backup *result, struct err *e);

/* point may be "POINT/IMAGE"; without IMAGE it must have one disk only. */
int job_export(const struct job *j, const char *point, const char *file,
	       bool in_place, struct result_export *result, struct err *e);

/* How well: the words of enum verify_level, and of result_verify. */
enum job_verify_level {
	JOB_VERIFY_SIZES,
	JOB_VERIFY_TREES,
	JOB_VERIFY_CHECKSUMS,
	JOB_VERIFY_SEALS,
	JOB_VERIFY_DATA,
};

struct job_verify {
	const char *point; /* NULL: all */
	enum job_verify_level level;
	uint64_t max_time_ms; /* 0: no limit */
};

/* 0 also when damage was found: look at damage_count. */
int job_verify(const struct job *j, const struct job_verify *v,
	       struct result_verify *result, struct err *e);

/* 0 also when an item failed: look at the items. */
int job_recover(const struct job *j, struct result_recover *result,
		struct err *e);

#endif
