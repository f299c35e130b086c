/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "repo/intake_internal.h"

/*
 * New chunks become blobs in two steps.  Within an extent a worker gathers by
 * itself, where the chunks lie if they are neighbours.  What is left at the
 * extent's end goes to the bin, which all share; who overfills it takes out
 * what was in it, and stores it.
 */

static int store(struct worker *w, const uint8_t *data, uint32_t size,
		 const struct slot *slots, uint8_t count, struct err *e)
{
	const struct blob_raw raw = {
		.class = BLOB_DATA,
		.data = data,
		.size = size,
		.slots = slots,
		.slot_count = count,
	};

	if (count == 0)
		return 0;
	atomic_fetch_add(&w->in->blobs, 1);
	return press_store(w->press, &raw, e);
}

static int store_own(struct worker *w, struct err *e)
{
	int stored = store(w, w->raw, w->raw_size, w->slots, w->slot_count, e);

	w->raw_size = 0;
	w->slot_count = 0;
	return stored;
}

/* Neighbours are taken where they lie; a gap makes us copy. */
static void append_raw(struct worker *w, const uint8_t *data, uint32_t size)
{
	if (w->raw_size == 0) {
		w->raw = data;
	} else if (w->raw + w->raw_size != data) {
		if (w->raw != w->gather) {
			memcpy(w->gather, w->raw, w->raw_size);
			w->raw = w->gather;
		}
		memcpy(w->gather + w->raw_size, data, size);
	}
	w->raw_size += size;
}

int gather_chunk(struct worker *w, const struct run *run, const uint8_t *data,
		 struct err *e)
{
	uint32_t size = run->pages * PAGE_SIZE_BYTES;

	if ((w->raw_size + size > w->in->pace.plan.blob_raw ||
	     w->slot_count == BLOB_MAX_SLOTS) &&
	    store_own(w, e) < 0)
		return -1;
	append_raw(w, data, size);
	w->slots[w->slot_count++] = (struct slot){ size, run->id };
	atomic_fetch_add(&w->in->new_bytes, size);
	atomic_fetch_add(&w->in->new_chunks, 1);
	return 0;
}

/* ---- the bin --------------------------------------------------------- */

/* Under bin_lock: does what the worker has fit in as well? */
static bool fits(const struct worker *w, const struct bin *b)
{
	return b->size + w->raw_size <= w->in->pace.plan.blob_raw &&
	       b->count + w->slot_count <= BLOB_MAX_SLOTS;
}

/* Under bin_lock. */
static void add_own(struct worker *w, struct bin *b)
{
	memcpy(b->data + b->size, w->raw, w->raw_size);
	memcpy(b->slots + b->count, w->slots,
	       w->slot_count * sizeof(*w->slots));
	b->size += w->raw_size;
	b->count += w->slot_count;
	w->raw_size = 0;
	w->slot_count = 0;
}

/* Under bin_lock: the worker has in its own hands what was in the bin, and
 * the bin what the worker had; buffers change places, too. */
static void exchange(struct worker *w, struct bin *b)
{
	const struct bin was = *b;

	if (w->raw_size > 0 && w->raw != w->gather)
		memcpy(w->gather, w->raw, w->raw_size);
	b->data = w->gather;
	b->size = w->raw_size;
	b->count = w->slot_count;
	memcpy(b->slots, w->slots, w->slot_count * sizeof(*w->slots));
	w->gather = was.data;
	w->raw = was.data;
	w->raw_size = was.size;
	w->slot_count = was.count;
	memcpy(w->slots, was.slots, was.count * sizeof(*w->slots));
}

int gather_end(struct worker *w, struct err *e)
{
	struct intake *in = w->in;

	/* nearly a blob: not worth the copy */
	if (w->raw_size >= in->pace.plan.blob_raw / 4 * 3)
		return store_own(w, e);
	if (w->slot_count == 0)
		return 0;
	pthread_mutex_lock(&in->bin_lock);
	if (fits(w, &in->bin))
		add_own(w, &in->bin);
	else
		exchange(w, &in->bin);
	pthread_mutex_unlock(&in->bin_lock);
	return store_own(w, e);
}

int gather_flush(struct worker *w, struct err *e)
{
	struct intake *in = w->in;

	pthread_mutex_lock(&in->bin_lock);
	exchange(w, &in->bin);
	pthread_mutex_unlock(&in->bin_lock);
	return store_own(w, e);
}
