/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_RESULT_H
#define VMKEEP_JOB_RESULT_H

/*
 * What the verbs have to say when they are done: plain data for report/.
 * Strings are owned by the result; result_*_fini() frees it.  Sizes are bytes,
 * times are nanoseconds since 1970, durations are milliseconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct result_strings {
	char **items;
	size_t count;
};

void result_strings_add(struct result_strings *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void result_strings_fini(struct result_strings *s);

/* init */
struct result_init {
	char *repository; /* as the user named it */
	char *id;
	char *key_file; /* or NULL */
};

/* domains */
struct result_image {
	char *path;
	char *format;
	char *type;
};

struct result_disk {
	char *target;
	char *device;
	char *bus;
	struct result_image *chain;
	size_t chain_len;
	uint64_t size;
	bool captured;
	char *why_not;
};

struct result_domain {
	char *name;
	char *uuid;
	char *state;
	char *pause_reason; /* or NULL */
	uint64_t memory;
	char *agent; /* "none", "disconnected", "connected" */
	bool nvram;
	bool tpm;
	struct result_disk *disks;
	size_t disk_count;
	char *level;                   /* best level that can be had now */
	char *method;                  /* by which method, or NULL */
	struct result_strings reasons; /* why not better, one sentence each */
};

struct result_domains {
	struct result_domain *domains;
	size_t count;
};

/* One point, as points, show, backup and import tell it. */
struct result_point_image {
	char *kind;
	char *name;
	uint64_t size;
	char *format; /* or NULL */
	char *source; /* path it came from, or NULL */
};

struct result_point {
	char *id; /* 32 digits */
	char *set;
	char *name;
	int64_t time_ns;
	char *level;   /* "ram", ...; "import" for imported images */
	char *method;  /* or NULL */
	uint64_t size; /* sum of its images */
	uint64_t pause_ms;
	bool has_pause;
	uint64_t skew_ms; /* of its group: first to last stop */
	bool has_skew;
	char *group; /* of the settings, or NULL */
	char *host;
	char *program;
	struct result_point_image *images;
	size_t image_count;
	struct result_strings places; /* that hold it: "local", "repository" */
	struct result_strings notes;  /* tried and refused, and why */
	/* every attribute as it is stored: key, value in turn */
	struct result_strings attrs;
};

struct result_points {
	struct result_point *points; /* oldest first */
	size_t count;
	struct result_strings damaged; /* sets that cannot be read */
};

/* backup, one entry for each domain asked for; import has one. */
struct result_backup_item {
	char *name;
	bool ok;
	struct err err;                 /* when not ok */
	struct result_point point;      /* when ok */
	bool degraded;                  /* less than what was asked for */
	struct result_strings warnings; /* left behind, not exact, ... */
};

struct result_backup {
	struct result_backup_item *items;
	size_t count;
	uint64_t elapsed_ms;
	uint64_t read_bytes;   /* read from disks and RAM */
	uint64_t new_bytes;    /* of these new to the repository */
	uint64_t stored_bytes; /* written to the store */
};

/* restore */
struct result_restore {
	char *point;                 /* id */
	char *domain;                /* name it has now; NULL: not defined */
	char *state;                 /* "shut off", "running", ... or NULL */
	bool resumed;                /* from its RAM */
	struct result_strings files; /* written */
	struct result_strings notes;
	uint64_t bytes; /* written, without holes and what was there already */
	uint64_t elapsed_ms;
};

/* revert */
struct result_revert {
	char *point;                 /* id */
	char *domain;                /* name */
	char *safety;                /* id of the point of the state before, or
				      * NULL */
	char *state;                 /* "shut off", ... or NULL */
	bool resumed;                /* from its RAM */
	struct result_strings files; /* made what they were */
	struct result_strings notes;
	uint64_t bytes; /* written; what is shared with the snap is not */
	uint64_t elapsed_ms;
};

/* export */
struct result_export {
	char *point;
	char *image;
	char *file;
	uint64_t size;
	uint64_t written; /* without holes, and what was there already */
	uint64_t elapsed_ms;
};

/* verify */
struct result_damage {
	char *object;
	char *point;
	char *image;
	uint64_t offset;
	uint64_t size;
	char *msg;
};

struct result_verify {
	const char *level; /* "sizes", "trees", "checksums", "seals", "data" */
	bool reads;        /* packs, at this level */
	bool complete;     /* false: there was no time for all of them, or
			    * unread > 0 */
	uint64_t unread;   /* reads that failed, and say nothing of damage */
	char *unread_msg;  /* the first of these, or NULL */
	uint64_t sets, points, images, nodes, chunks, packs;
	uint64_t packs_read, bytes_read;
	struct result_damage *damages;
	size_t damage_count;
	struct result_damage *healed; /* damaged, and stored again elsewhere */
	size_t healed_count;
	/* of the packs in use; recent: read in the last 30 days */
	uint64_t bytes, bytes_recent, bytes_ever;
	int64_t oldest_ns; /* 0: some were never read */
	uint64_t elapsed_ms;
};

/* flatten */
struct result_flatten_image {
	size_t number; /* in its chain; 1 is the base of all */
	char *path;    /* or NULL */
	char *format;
	uint64_t allocated; /* 0: not known */
	bool merged;        /* its content goes, or went, into the base */
	bool left;          /* it is there */
};

struct result_flatten_disk {
	char *target;
	struct result_flatten_image *images; /* from the top down, as before */
	size_t image_count;
	size_t base; /* number of the image merged into; 0: none */
	uint64_t bytes;
	struct err err; /* why not; code ERR_NONE: it can be */
	bool done;
};

struct result_flatten {
	char *name; /* NULL: not found */
	bool live, dry_run;
	struct result_flatten_disk *disks;
	size_t disk_count;
	struct result_strings notes; /* what was done, what is left */
	uint64_t elapsed_ms;
};

/* recover */
struct result_recover_item {
	char *domain;
	char *action;
	bool failed;
};

struct result_recover {
	struct result_recover_item *items;
	size_t count;
};

/* key */
struct result_key {
	char *id;
	char *role; /* "owner", ...; "recipient"; "unknown" */
	char *label;
	int64_t time_ns; /* made; 0: not known */
	bool removed;
	int64_t removed_ns;
	unsigned passphrases; /* slots that it is in */
	bool file;            /* was written to a key file */
	char *recipient;      /* its public key, 64 digits, or NULL */
	bool current;         /* the one this was asked with */
};

struct result_keys {
	const char *action; /* "list", "add", ... */
	struct result_key *keys;
	size_t count;
	char *file; /* written, or NULL */

	/* sealing data keys to who can read them; sealing: was done */
	bool sealing;
	uint64_t data_keys, sealed, failed;

	struct result_strings notes;   /* what to know of it */
	struct result_strings damaged; /* objects that cannot be read */
};

/* forget */
struct result_forget {
	struct result_point *points;
	size_t count;
	struct result_strings sets; /* that could not be read */
	bool ram, dry_run;
};

/* gc */
struct result_gc {
	bool dry_run;
	uint64_t generation, steps;
	uint64_t points; /* gone for good */
	uint64_t ended;  /* silent sessions */
	uint64_t packs, bytes;
	uint64_t waiting_packs, waiting_bytes;
	uint64_t moved_bytes, frail, left_alone;
	char *wait_host; /* NULL: no session stands in the way */
	char *wait_session;
	int64_t wait_since_ns, wait_beat_ns;
	uint64_t elapsed_ms;
};

/* repair */
struct result_repair {
	bool changed;
	uint64_t objects, segments, images, stored_bytes;
	size_t damages_before;
	struct result_verify left; /* as it is now */
	uint64_t elapsed_ms;
};

/* stats */
/* Sizes are bytes; repo/stats.h says what they mean. */
struct result_stats_point {
	char *id;
	char *name;
	int64_t time_ns;
	uint64_t size, data, frees;
};

struct result_stats_name {
	char *name;
	uint64_t points, size, data, frees;
};

struct result_stats {
	bool one; /* a point was asked for: points has only that */
	struct result_stats_point *points;
	size_t point_count;
	struct result_stats_name *names;
	size_t name_count;
	uint64_t size, data, unique, stored, nodes, chunks, tree;
	uint64_t packs, pack_bytes, objects, bytes, lost;
	uint64_t elapsed_ms;
};

/* doctor */
enum result_severity {
	RESULT_HINT,    /* could be better */
	RESULT_WARNING, /* something will fail, or is much worse than needed */
	RESULT_ERROR,   /* data is damaged, or will be lost as things are */
};

struct result_finding {
	const char *rule; /* static memory */
	enum result_severity severity;
	char *domain;  /* NULL: none in particular */
	char *subject; /* "web1/vda", "tank", "host" */
	char *fact;    /* what is the case, with numbers */
	char *why;     /* what comes of it */
	char *command; /* mends it; NULL: no single command does */
};

struct result_rule {
	const char *id;
	const char *about;
};

struct result_doctor {
	struct result_finding *findings; /* worst first */
	size_t count;
	struct result_rule *rules; /* what was, or would be, looked for */
	size_t rule_count;
	size_t domains, disks, volumes, pools; /* looked at */
	struct result_strings blind;           /* what could not be looked at */
};

/* config */
struct result_value {
	char *key;
	char *text;    /* "": nothing */
	char *about;   /* what the key is for, or NULL */
	char *section; /* where it was said, or NULL: built in */
	char *file;
	unsigned line;
};

struct result_unit {
	char *kind; /* "domain", "domains", "dataset", "group", "template",
		     * "repository", "replica" */
	char *name;
	char *section;               /* that counts for it, or NULL */
	struct result_strings scope; /* use_template, members, recursive, ... */
	struct result_value *values;
	size_t value_count;
};

struct result_config {
	bool show;   /* not check */
	bool origin; /* where each value comes from is wanted */
	struct result_unit *units;
	size_t unit_count;
	size_t sections;
	struct result_strings files, problems, warnings;
};

/* plan */
struct result_plan_tier {
	const char *tier; /* static memory */
	int64_t last_ns, next_ns;
};

struct result_plan_unit {
	char *name;
	char *section; /* that is strongest for it */
	struct result_plan_tier *tiers;
	size_t tier_count; /* 0: no schedule */
};

struct result_plan {
	int64_t at_ns;
	struct result_plan_unit *units;
	size_t unit_count;
	struct result_strings warnings;
};

void result_init_fini(struct result_init *r);
void result_domains_fini(struct result_domains *r);
void result_point_fini(struct result_point *r);
void result_points_fini(struct result_points *r);
void result_backup_fini(struct result_backup *r);
void result_restore_fini(struct result_restore *r);
void result_revert_fini(struct result_revert *r);
void result_export_fini(struct result_export *r);
void result_verify_fini(struct result_verify *r);
void result_forget_fini(struct result_forget *r);
void result_gc_fini(struct result_gc *r);
void result_flatten_fini(struct result_flatten *r);
void result_recover_fini(struct result_recover *r);
void result_keys_fini(struct result_keys *r);
void result_repair_fini(struct result_repair *r);
void result_stats_fini(struct result_stats *r);
void result_doctor_fini(struct result_doctor *r);
void result_config_fini(struct result_config *r);
void result_plan_fini(struct result_plan *r);

/* "hint", "warning", "error". */
const char *result_severity_text(enum result_severity s);

#endif
