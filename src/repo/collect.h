/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_COLLECT_H
#define VMKEEP_REPO_COLLECT_H

/*
 * The collector (FORMAT.md, 8): what no point needs any more goes away, and
 * what sessions have stored becomes the index.  It never blocks a writer, any
 * number may run at once, and what was begun by one that was killed is gone on
 * with by the next.
 *
 * Memory: a bit an entry of the index (4 MiB a TiB at chunks of 32 KiB), 96
 * bytes a pack (3 MiB a TiB), the sets of all points without their
 * attributes, and up to 110 MiB while a segment is written, 160 MiB while packs
 * are copied.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/talk.h"
#include "repo/format.h"
#include "repo/repo.h"

/* A session that has said nothing for so long, by the clocks, may be ended; but
 * first it is watched for so long, three minutes at most, whether it says
 * something, whatever its clock says. */
#define COLLECT_SILENT_NS (3600 * INT64_C(1000000000))

struct collect_options {
	int64_t silent_ns;          /* 0: COLLECT_SILENT_NS */
	const char *host;           /* ours; NULL: asked of the system */
	bool dry_run;               /* tell what one step would do; no writes */
	const struct talk *talk;    /* NULL: silent */
	const _Atomic bool *cancel; /* true: stop with ERR_STOPPED; or NULL */
};

/* A session that lives, of an earlier generation: no step before its end. */
struct collect_wait {
	struct id session;
	char *host;       /* NULL: nobody is waited for */
	int64_t since_ns; /* wall clock: when it was opened */
	int64_t beat_ns;  /* and when it was last heard of */
};

struct collect_result {
	uint64_t generation;    /* the newest when we ended */
	unsigned steps;         /* generations that were made */
	unsigned ended;         /* silent sessions that were ended */
	uint64_t points;        /* removed for good */
	uint64_t packs;         /* deleted */
	uint64_t bytes;         /* of these */
	uint64_t waiting_packs; /* condemned or doomed, still there; dry run:
				 * that could be */
	uint64_t waiting_bytes;
	uint64_t moved_bytes; /* copied out of packs that are mostly dead */
	uint64_t frail;       /* nodes above something that is lost */
	uint64_t left_alone; /* packs of which it is not known whose they are */
	struct collect_wait wait;
};

void collect_result_fini(struct collect_result *result);

/*
 * One collection: what it has read of sessions and sets is kept from step to
 * step.  The repository and the options' strings stay the caller's.
 * ERR_REFUSED: this key may not.
 */
struct collect;
struct collect *collect_new(struct repo *r, const struct collect_options *o,
			    struct err *e);
void collect_free(struct collect *c);
void collect_free_at(struct collect **c);

enum collect_state {
	COLLECT_DONE,  /* nothing is left to do */
	COLLECT_AGAIN, /* a generation was made, or another collector was
			* faster: there may be more to do */
	COLLECT_WAITS, /* a living session is in the way: result->wait */
};

/*
 * One step: from the newest generation to the next.  Adds to *result, and says
 * how it ended in *state.  ERR_INTEGRITY: something that leads to data cannot
 * be read, so nothing was called garbage; the message names it.  It may be
 * called again after any failure, by anyone.
 */
int collect_step(struct collect *c, struct collect_result *result,
		 enum collect_state *state, struct err *e);

/* Steps until nothing is left to do or a living session is in the way. */
int collect_run(struct repo *r, const struct collect_options *o,
		struct collect_result *result, struct err *e);

#endif
