/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_INTAKE_INTERNAL_H
#define VMKEEP_REPO_INTAKE_INTERNAL_H

/* The parts of the way in, for intake*.c only. */

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "repo/beat.h"
#include "repo/claims.h"
#include "repo/damage.h"
#include "repo/intake.h"
#include "repo/internal.h"
#include "repo/leans.h"
#include "repo/node.h"
#include "repo/pace.h"
#include "repo/packer.h"
#include "repo/press.h"
#include "repo/session.h"

/* New nodes gathered until they fill a blob. */
struct node_batch {
	uint8_t data[NODE_BLOB_RAW + NODE_MAX];
	uint32_t size;
	struct slot slots[BLOB_MAX_SLOTS];
	uint8_t count;
};

/*
 * What workers have left over at the end of their extents, gathered until it
 * fills a blob: so a few changed pages in each of many extents do not become
 * a frame each.
 */
struct bin {
	uint8_t *data; /* the plan's blob_raw */
	uint32_t size;
	struct slot slots[BLOB_MAX_SLOTS];
	uint8_t count;
};

/* Lock order: main_lock, publish_lock, running, nodes_lock, claims' and
 * packer's own; images_lock before an image's; leans_lock is the last. */
struct intake {
	struct repo *repo;
	char *host;
	struct session session;
	struct index_ask ask; /* how this session looks ids up */
	struct damage damage; /* places that are as good as missing */

	struct queue *free; /* extent buffers */
	struct queue *work; /* struct extent_job, waiting */
	struct queue *jobs; /* struct extent_job, free */
	unsigned buffers;

	pthread_t *threads;
	unsigned thread_count;
	struct packer *packer;
	struct claims *claims;
	struct claims *leaving; /* being published; still looked up */
	atomic_size_t claims_max;
	bool claims_fixed; /* by the caller */

	/* one segment at a time is made */
	pthread_mutex_t publish_lock;

	/* held for reading while an extent is worked on, for writing while
	 * what was claimed so far is parted from what follows */
	pthread_rwlock_t running;

	pthread_mutex_t nodes_lock; /* nodes */
	struct node_batch *nodes;

	pthread_mutex_t bin_lock; /* bin; the last lock */
	struct bin bin;

	struct beat *beat;
	struct pace pace;

	pthread_mutex_t main_lock; /* main */
	struct worker *main;       /* for callers' threads */

	pthread_mutex_t images_lock; /* images */
	struct intake_image *images; /* not finished yet */

	pthread_mutex_t fail_lock; /* error */
	struct err error;
	atomic_bool failed;

	/* segments that this session has published or found something in, and
	 * what those lean on */
	pthread_mutex_t leans_lock;
	struct leans leans;
	unsigned published; /* segments */
	uint64_t entries;   /* in these */

	atomic_uint_fast64_t pages, new_bytes, chunks, new_chunks, blobs;
	atomic_uint_fast64_t index_stored; /* segments, bytes */
};

/* 256 extents' ids; what was not put is a hole. */
struct extent_block {
	bool present[TREE_FANOUT];
	struct hash id[TREE_FANOUT];
};

struct intake_image {
	struct intake_image *next; /* in intake.images */
	uint64_t size;
	uint64_t extents;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	uint64_t under_way; /* put, and not worked on yet */
	struct extent_block **blocks;
	size_t block_count;
};

struct extent_job {
	struct intake_image *image;
	uint64_t number;
	uint64_t valid; /* bytes that are part of the image */
	uint8_t *buffer;
};

/* What a worker needs: no allocation per extent. */
struct worker {
	struct intake *in;
	struct press *press;
	struct hasher *hasher;
	struct cutter cutter;
	struct extent extent;
	struct buf node;

	/* new chunks of this extent being gathered into a blob */
	const uint8_t *raw; /* in the extent, or gather */
	uint32_t raw_size;
	uint8_t *gather; /* the plan's blob_raw */
	struct slot slots[BLOB_MAX_SLOTS];
	uint8_t slot_count;
};

/* ---- intake.c -------------------------------------------------------- */

/* Remember the first error and stop every stage. */
void intake_fail(struct intake *in, const struct err *e);

/* -1 and the first error when something has failed. */
int intake_alive(struct intake *in, struct err *e);

/* ---- intake_image.c -------------------------------------------------- */

/* One of its extents was worked on. */
void image_done(struct intake_image *img);

/* Those who wait for an image's extents wait no more. */
void images_wake(struct intake *in);

/* A finished image goes; after a failure they stay, for workers may still be
 * at them, until intake_close(). */
void image_forget(struct intake *in, struct intake_image *img);

/* ---- intake_publish.c ------------------------------------------------ */

/* How many claims are kept before they are published as a segment: 12 to 24
 * MiB of memory; one segment for 16 GiB of new data at 32 KiB. */
#define CLAIMS_MAX (512u << 10)

/* When the first segment is published: after 512 MiB at 32 KiB.  Then when half
 * as much has gathered again as is published: so who was killed and goes on
 * (session_adopt.h) has lost a third, and 16 GiB at most. */
#define CLAIMS_FIRST (16u << 10)

/* Make all that is claimed durable and publish it as a segment; w is the
 * caller's worker, and publish_lock is held, `running` not.  Other workers
 * go on meanwhile, but for a moment. */
int intake_publish(struct intake *in, struct worker *w, struct err *e);

/* In an adopted session: what it has published is ours. */
int intake_go_on(struct intake *in, struct err *e);

/* ---- intake_worker.c ------------------------------------------------- */

struct worker *worker_new(struct intake *in, struct err *e);
void worker_free(struct worker *w);

/* Work on one extent and tell its image. */
int worker_extent(struct worker *w, const struct extent_job *job,
		  struct err *e);

/* Is it known?  What was found in a sibling's segment is leaned on.  Claims
 * nothing. */
bool intake_knows(struct intake *in, enum blob_class class,
		  const struct hash *id);

/* Store an encoded node unless it is known; *id is its id. */
int worker_node(struct worker *w, const struct buf *node, struct hash *id,
		struct err *e);

/* Store the nodes and the chunks that are gathered. */
int worker_flush(struct worker *w, struct err *e);

/* ---- intake_gather.c ------------------------------------------------- */

/* A new chunk, claimed; its bytes stay where they are until the extent's
 * end. */
int gather_chunk(struct worker *w, const struct run *run, const uint8_t *data,
		 struct err *e);

/* The extent ends: nothing points into it any more. */
int gather_end(struct worker *w, struct err *e);

/* Store what is in the bin. */
int gather_flush(struct worker *w, struct err *e);

/* ---- intake_tree.c --------------------------------------------------- */

void image_set(struct intake_image *img, uint64_t number,
	       const struct hash *id);
int image_root(struct worker *w, struct intake_image *img,
	       struct image_root *root, struct err *e);
void image_free(struct intake_image *img);

#endif
