/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_COLLECT_INTERNAL_H
#define VMKEEP_REPO_COLLECT_INTERNAL_H

/* The parts of the collector, for collect*.c only. */

#include "repo/collect.h"
#include "repo/damage.h"
#include "repo/fetch.h"
#include "repo/generation.h"
#include "repo/idmap.h"
#include "repo/idset.h"
#include "repo/internal.h"
#include "repo/merge.h"
#include "repo/session.h"
#include "repo/tomb.h"

/* ---- what is known of sessions, from step to step --------------------- */

enum ended {
	ENDED_NOT,
	ENDED_COMMIT,
	ENDED_REVOKED,
};

struct known {
	struct id id;
	bool listed;   /* its sess/ was there when last listed */
	bool dropped;  /* we have cleaned up after it */
	bool holds;    /* segments that a generation lists, as last seen */
	bool recorded; /* record is read; else it is damaged, or not listed */
	struct session_record record;
	enum ended ended;
	struct set set; /* of a commit, without attributes */
};

/* Names of objects, as they were listed. */
struct names {
	char **items;
	size_t count, room;
};

/* Points of which all that they need is in the index of a generation, and
 * nothing else is. */
struct carried {
	uint64_t generation; /* 0: none */
	struct idset points;
};

struct collect {
	struct repo *repo;
	struct collect_options o;
	char *host;

	struct known *known; /* sessions ever seen */
	size_t known_count, known_room;
	struct idmap by_id;
	struct tombs tombs;

	/* listed before the sessions were, and so of sessions that were there
	 * or are gone */
	struct names segments, beats, rings;

	struct carried carried;
	struct collect_result *result; /* of the step that is under way */
};

bool same_id(const struct id *a, const struct id *b);

/* ---- collect_scan.c ---------------------------------------------------- */

/* List and read what has come or gone since. */
int scan(struct collect *c, struct err *e);
void scan_fini(struct collect *c);

/* The names under a prefix, in the place of those that were there. */
int names_list(struct collect *c, const char *prefix, struct names *n,
	       struct err *e);
void names_fini(struct names *n);

/* The session, or NULL when it was never seen. */
struct known *known_find(struct collect *c, const struct id *id);

/* The id that a name has behind its folder, as in "idx/<id>-7"; false when it
 * has none. */
bool name_id(const char *name, struct id *id);

/* The generation of a session; of a damaged record, 0. */
uint64_t known_generation(const struct known *k);

/* Can it be told of which generation an ended session is, and of which?  Where
 * it cannot, what the session has left stays. */
bool is_dated(const struct known *k);
uint64_t dated_generation(const struct known *k);

/* Points of its set that are not forgotten. */
size_t points_left(const struct collect *c, const struct known *k);

/* Can it go altogether, once its generation is old enough? */
bool is_spent(const struct collect *c, const struct known *k);

/* A set is valid while its session is there: 1, 0, or -1.  Looks again where
 * the listing of sessions was too early. */
int known_valid(struct collect *c, struct known *k, struct err *e);

/*
 * Is there no sess/ of this id?  1, 0, -1.  Where the listing has none it is
 * looked for once more, by its name: what is deleted for want of it was seen
 * before, and one list that lacks a name must not cost anything.
 */
int session_gone(struct collect *c, const struct id *id, struct err *e);

/* Has the session of this id ended, or is it gone?  1, 0 (it is open), -1. */
int session_over(struct collect *c, const struct id *id, struct err *e);

/* ---- collect_silent.c -------------------------------------------------- */

/* End all open sessions of generations before n that are silent; of one that
 * lives the result tells. */
int end_sessions(struct collect *c, uint64_t n, struct err *e);

/* Does it seem to be, by the clocks?  1, 0, -1. */
int is_silent(struct collect *c, struct known *k, struct err *e);

/* ---- collect_clean.c --------------------------------------------------- */

/* Clean up after generation g; scan() was just done.  1, or 0 when g is not the
 * newest any more, or -1. */
int clean_up(struct collect *c, const struct generation *g,
	     const struct generation *before, struct err *e);

/* Delete; what is not there is fine.  1 deleted, 0 it was not there. */
int drop(struct collect *c, const char *name, struct err *e);

/* ---- one step ---------------------------------------------------------- */

/* A segment that is open in this step. */
struct marked {
	const struct index_segment *segment;
	struct index_about about;
	bool listed, frail; /* by the newest generation */
	bool before;        /* by the one before it */
	uint64_t *bits;     /* entries that are in use */
	uint64_t *weak;     /* of these, the frail ones; NULL: none is */
	uint64_t count;     /* bits that are set */
	uint64_t weak_count;
	uint32_t *packs; /* numbers in the table to numbers of pack_recs */
	bool stays;      /* listed by the next generation, too */
};

/* A pack that is there. */
struct pack_rec {
	struct id id;
	enum blob_class class;
	uint64_t size;      /* as listed */
	struct id key;      /* data key; zero: not known, or none */
	uint32_t blobs;     /* as the tables of segments say */
	uint32_t live;      /* blobs in use */
	size_t bits;        /* first word of its blobs in step.blob_bits */
	bool named;         /* by a segment that is open */
	bool indexed;       /* by one of n, or of n - 1 */
	bool missing;       /* named by an index, doomed by nobody, not there */
	bool odd;           /* its tables disagree: left alone */
	bool moving;        /* compacted in this step */
	size_t moved_first; /* of its blobs in step.moves */
};

/* Where a blob has been copied to. */
struct move {
	uint32_t pack; /* number of a pack_rec; UINT32_MAX: not moved */
	uint32_t blob;
};

/* Places of one chunk that were seen. */
struct copies {
	struct place *seen;
	size_t count, room;
};

struct step {
	struct collect *c;
	struct repo view; /* c->repo with an index of our own */
	uint64_t number;  /* the newest generation, n */
	struct generation now, before;
	struct generation next;
	struct session attempt;
	bool opened; /* the attempt: before the first object of it is put */
	unsigned segments; /* that we have written */
	struct fetch *fetch;
	struct damage damage;  /* what notes say */
	struct damage doubted; /* of these, in packs that are as written */
	bool many_write;       /* several keys can, or could */
	struct copies copies;

	bool any_frail;  /* segments that n lists */
	bool lost_index; /* some that n or n - 1 lists are lost; what repair has
			  * made of all footers stands for them */
	struct marked *marked;
	size_t marked_count;
	const void **marked_hash; /* segments' addresses, and their numbers */
	uint32_t *marked_number;
	size_t marked_room;

	struct pack_rec *packs;
	size_t pack_count, pack_room;
	struct idmap pack_by_id;
	uint64_t *blob_bits;
	struct move *moves;
	size_t move_count;
	uint64_t nodes_seen; /* for the beat */
	struct idset points; /* that there are */
};

/* ---- collect_packs.c --------------------------------------------------- */

/* List the packs that are there. */
int packs_list(struct step *s, struct err *e);
struct pack_rec *pack_find(struct step *s, const struct id *id);

/* Number of a pack that is not listed: one of our own. */
uint32_t packs_add(struct step *s, const struct segment_pack *p);

/* Packs that the indexes of n and n - 1 name, and that are not there. */
int packs_missing(struct step *s, struct err *e);

/* From marks on entries to marks on packs. */
int packs_mark(struct step *s, struct err *e);

/* Which packs the next generation condemns and dooms. */
int packs_judge(struct step *s, struct err *e);

/* Delete notes of damage that name nothing that is in use. */
int notes_clean(struct step *s, struct err *e);

/* Delete data keys of ended sessions that no pack uses. */
int keys_clean(struct step *s, struct err *e);

/* ---- collect_open.c ---------------------------------------------------- */

/* Open the segments; the packs are listed. */
int mark_open(struct step *s, struct err *e);
void mark_fini(struct step *s);
struct marked *marked_of(struct step *s, const struct index_segment *segment);

/* ---- collect_mark.c ---------------------------------------------------- */

int mark_all(struct step *s, struct err *e);

/* ---- collect_carry.c ------------------------------------------------------
 */

/* Take the marks of the step before, where they still hold. */
int carry_in(struct step *s, struct err *e);

/* The step has made the newest generation. */
void carry_out(struct step *s);

/* ---- collect_compact.c ------------------------------------------------- */

/*
 * The pack's bytes, without its trailer, once its sum is right: without the
 * data key nothing else tells that they are what was written.  1, 0 when it is
 * damaged, -1.
 */
int pack_load(struct step *s, const struct footer_use *use, uint8_t **data,
	      struct err *e);

/* Copy what lives out of packs that are mostly dead. */
int compact(struct step *s, struct err *e);

/* ---- collect_write.c --------------------------------------------------- */

/* Decide which segments stay, and list those: s->next's list. */
void segments_choose(struct step *s);

/* Write what is in use of the others, and list that. */
int segments_write(struct step *s, struct err *e);

/* Open the session of our own, if it is not yet: only now something is to be
 * written, so a step that has nothing to do leaves nothing. */
int step_open(struct step *s, struct err *e);

/* Say that the attempt lives, and stop when the user wants to. */
int step_alive(struct step *s, struct err *e);

#endif
