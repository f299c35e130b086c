/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/intake_internal.h"

DEFINE_AUTO(worker_free, struct worker *);

struct worker *worker_new(struct intake *in, struct err *e)
{
	AUTO(worker_free_at) struct worker *w = mem_zalloc(1, sizeof(*w));
	const struct keyring *k = in->repo->keys;

	w->in = in;
	w->hasher = hasher_new(k->id_key, k->cut_key, e);
	if (w->hasher == NULL)
		return NULL;
	w->press = press_new(in->packer, in->claims, &in->pace, e);
	if (w->press == NULL)
		return NULL;
	w->gather = mem_alloc(in->pace.plan.blob_raw);
	return mem_take(&w);
}

void worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	press_free(w->press);
	hasher_free(w->hasher);
	buf_fini(&w->node);
	free(w->gather);
	free(w);
}

/* ---- known? ---------------------------------------------------------- */

/*
 * A sibling's segment that something was found in: ours leans on it now, and
 * on all that it leans on, so that what lies below a node is known, too.
 * False where some of that cannot be had: who leaned on it would be as broken.
 */
static bool lean_on(struct intake *in, const struct index_segment *s)
{
	pthread_mutex_lock(&in->leans_lock);
	bool leans = leans_try(&in->leans, in->repo->index, s);

	pthread_mutex_unlock(&in->leans_lock);
	return leans;
}

static bool is_own(const struct intake *in, const struct index_segment *s)
{
	struct index_about about;

	index_segment_about(s, &about);
	return memcmp(about.session.b, in->session.id.b, ID_SIZE) == 0;
}

/*
 * While a part of the generation's index cannot be read, what a node leads to
 * may be just there: then nodes are looked below, and what is missing is
 * stored again.  What was found is there, so chunks are good, and so are nodes
 * of our own, which we have looked below.
 */
static bool leads_somewhere(const struct intake *in,
			    const struct index_hit *hit)
{
	return index_whole(in->repo->index) ||
	       (!in->session.adopted && is_own(in, hit->segment));
}

static bool may_use(struct intake *in, enum blob_class class,
		    const struct index_hit *hit)
{
	if (damage_has(&in->damage, &hit->place))
		return false;
	if (class == BLOB_NODE && !leads_somewhere(in, hit))
		return false;
	return hit->tier != TIER_SIBLING || lean_on(in, hit->segment);
}

/* Is it in the index?  Where that cannot be said it is stored again. */
static bool is_found(struct intake *in, enum blob_class class,
		     const struct hash *id)
{
	struct index_ask ask = in->ask;
	struct err ignored = ERR_INIT;
	struct index_hit hit;

	while (index_find(in->repo->index, &ask, class, id, &hit, &ignored) ==
	       1) {
		if (may_use(in, class, &hit))
			return true;
		ask.skip++;
	}
	return false;
}

bool intake_knows(struct intake *in, enum blob_class class,
		  const struct hash *id)
{
	return claims_has(in->claims, id) || claims_has(in->leaving, id) ||
	       is_found(in, class, id);
}

/* True when it is ours to store now. */
static bool claim(struct intake *in, enum blob_class class,
		  const struct hash *id)
{
	return !intake_knows(in, class, id) && claims_take(in->claims, id);
}

/* ---- chunks ----------------------------------------------------------- */

static int store_chunks(struct worker *w, const uint8_t *buffer, struct err *e)
{
	const struct extent *x = &w->extent;
	size_t page = 0;

	for (size_t i = 0; i < x->count; page += x->runs[i++].pages) {
		const struct run *run = &x->runs[i];

		if (run->hole)
			continue;
		atomic_fetch_add(&w->in->chunks, 1);
		if (claim(w->in, BLOB_DATA, &run->id) &&
		    gather_chunk(w, run, buffer + page * PAGE_SIZE_BYTES, e) <
			    0)
			return -1;
	}
	return gather_end(w, e);
}

/* ---- nodes ----------------------------------------------------------- */

static int store_batch(struct worker *w, const struct node_batch *b,
		       struct err *e)
{
	const struct blob_raw raw = {
		.class = BLOB_NODE,
		.data = b->data,
		.size = b->size,
		.slots = b->slots,
		.slot_count = b->count,
	};

	return b->count > 0 ? press_store(w->press, &raw, e) : 0;
}

/* Under nodes_lock: a batch is stored by whoever fills it; the others wait,
 * which is rare: one blob of nodes stands for hundreds of extents. */
static int flush_nodes_locked(struct worker *w, struct err *e)
{
	struct node_batch *b = w->in->nodes;
	int stored = store_batch(w, b, e);

	b->size = 0;
	b->count = 0;
	return stored;
}

int worker_flush(struct worker *w, struct err *e)
{
	pthread_mutex_lock(&w->in->nodes_lock);
	int stored = flush_nodes_locked(w, e);

	pthread_mutex_unlock(&w->in->nodes_lock);
	return stored == 0 ? gather_flush(w, e) : -1;
}

static int add_node(struct worker *w, const struct buf *node,
		    const struct hash *id, struct err *e)
{
	struct intake *in = w->in;
	int ok = 0;

	pthread_mutex_lock(&in->nodes_lock);
	struct node_batch *b = in->nodes;

	memcpy(b->data + b->size, node->p, node->len);
	b->slots[b->count++] = (struct slot){ (uint32_t)node->len, *id };
	b->size += (uint32_t)node->len;
	if (b->size >= NODE_BLOB_RAW || b->count == BLOB_MAX_SLOTS)
		ok = flush_nodes_locked(w, e);
	pthread_mutex_unlock(&in->nodes_lock);
	return ok;
}

int worker_node(struct worker *w, const struct buf *node, struct hash *id,
		struct err *e)
{
	cut_node_id(w->hasher, node->p, node->len, id);
	return claim(w->in, BLOB_NODE, id) ? add_node(w, node, id, e) : 0;
}

/* ---- an extent ------------------------------------------------------- */

/* An extent whose node is known needs no more: a known node keeps its
 * chunks. */
static int store_extent(struct worker *w, const uint8_t *buffer,
			struct hash *id, struct err *e)
{
	buf_clear(&w->node);
	extent_encode(&w->extent, &w->node);
	cut_node_id(w->hasher, w->node.p, w->node.len, id);
	if (intake_knows(w->in, BLOB_NODE, id))
		return 0;
	if (store_chunks(w, buffer, e) < 0)
		return -1;
	return worker_node(w, &w->node, id, e);
}

int worker_extent(struct worker *w, const struct extent_job *job, struct err *e)
{
	struct hash id;

	size_t n = num_parts(job->valid, PAGE_SIZE_BYTES);

	/* what lies past the image's end is not part of it */
	memset(job->buffer + job->valid, 0, n * PAGE_SIZE_BYTES - job->valid);
	size_t pages = cut_extent(&w->cutter, w->hasher, &w->in->repo->cut,
				  job->buffer, n, &w->extent);

	atomic_fetch_add(&w->in->pages, pages * PAGE_SIZE_BYTES);
	if (pages == 0)
		return 0;
	if (store_extent(w, job->buffer, &id, e) < 0)
		return -1;
	image_set(job->image, job->number, &id);
	return 0;
}
