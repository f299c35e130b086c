/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define BATCH 512

/* Where the reading of a source is. */
struct cursor {
	const struct merge_source *source;
	uint64_t next; /* entry that is looked at next */
	uint64_t end;  /* of the part */
	uint64_t loaded_at;
	size_t loaded;
	struct segment_entry_new now; /* pack is the merged number */
	struct segment_entry_new batch[BATCH];
};

struct merge {
	struct cursor **heap; /* the least entry first */
	size_t count;
	merge_sink *sink;
	void *ctx;
	struct segment_entry_new last;
	bool any; /* last is meant */
};

static int compare(const struct segment_entry_new *a,
		   const struct segment_entry_new *b)
{
	int c = memcmp(a->prefix, b->prefix, sizeof(a->prefix));

	if (c != 0)
		return c;
	if (a->pack != b->pack)
		return a->pack < b->pack ? -1 : 1;
	if (a->blob != b->blob)
		return a->blob < b->blob ? -1 : 1;
	return (int)a->slot - (int)b->slot;
}

static bool wanted(const struct merge_source *s, uint64_t i)
{
	return bit_get(s->take, i) && (s->but == NULL || !bit_get(s->but, i));
}

/* The next wanted entry from c->next on, a word of bits at a time. */
static bool seek(struct cursor *c)
{
	while (c->next < c->end) {
		if (c->source->take[c->next / 64] >> (c->next % 64) == 0)
			c->next = (c->next / 64 + 1) * 64;
		else if (!wanted(c->source, c->next))
			c->next++;
		else
			return true;
	}
	return false;
}

/* 1 and c->now, or 0 at the end of the part. */
static int advance(struct cursor *c, struct err *e)
{
	if (!seek(c))
		return 0;
	if (c->next >= c->loaded_at + c->loaded) {
		size_t n = (size_t)num_min(BATCH, c->end - c->next);

		if (index_segment_entries(c->source->segment, c->next, c->batch,
					  n, e) < 0)
			return -1;
		c->loaded_at = c->next;
		c->loaded = n;
	}
	c->now = c->batch[c->next++ - c->loaded_at];
	c->now.pack = c->source->packs[c->now.pack];
	return 1;
}

/* ---- the heap -------------------------------------------------------- */

static bool less(const struct merge *m, size_t a, size_t b)
{
	return compare(&m->heap[a]->now, &m->heap[b]->now) < 0;
}

static void sink_down(struct merge *m, size_t i)
{
	for (;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2; k++)
			if (k < m->count && less(m, k, least))
				least = k;
		if (least == i)
			return;
		struct cursor *c = m->heap[i];

		m->heap[i] = m->heap[least];
		m->heap[least] = c;
		i = least;
	}
}

static int hand_over(struct merge *m, const struct segment_entry_new *n,
		     struct err *e)
{
	if (m->any && compare(&m->last, n) == 0)
		return 0;
	m->last = *n;
	m->any = true;
	return m->sink(m->ctx, n, e);
}

static int drain(struct merge *m, struct err *e)
{
	for (size_t i = m->count; i > 0; i--)
		sink_down(m, i - 1);
	while (m->count > 0) {
		struct cursor *c = m->heap[0];

		if (hand_over(m, &c->now, e) < 0)
			return -1;
		int more = advance(c, e);

		if (more < 0)
			return -1;
		if (more == 0)
			m->heap[0] = m->heap[--m->count];
		sink_down(m, 0);
	}
	return 0;
}

/* ---- parts ----------------------------------------------------------- */

static void set_part(struct cursor *c, enum blob_class class)
{
	struct index_about about;

	index_segment_about(c->source->segment, &about);
	c->next = class == BLOB_NODE ? 0 : about.nodes;
	c->end = class == BLOB_NODE ? about.nodes : about.nodes + about.chunks;
	c->loaded_at = c->next;
	c->loaded = 0;
}

static int merge_part(struct merge *m, struct cursor *cursors, size_t count,
		      enum blob_class class, struct err *e)
{
	m->count = 0;
	m->any = false;
	for (size_t i = 0; i < count; i++) {
		set_part(&cursors[i], class);
		int more = advance(&cursors[i], e);

		if (more < 0)
			return -1;
		if (more == 1)
			m->heap[m->count++] = &cursors[i];
	}
	return drain(m, e);
}

int merge_run(const struct merge_source *sources, size_t count,
	      merge_sink *sink, void *ctx, struct err *e)
{
	autofree struct cursor *cursors = mem_try(count + 1, sizeof(*cursors));
	autofree struct cursor **heap =
		mem_zalloc(count + 1, sizeof(struct cursor *));
	struct merge m = { .heap = heap, .sink = sink, .ctx = ctx };

	if (cursors == NULL)
		return err_set(e, ERR_FAILED,
			       "no memory to merge %zu index segments", count);
	for (size_t i = 0; i < count; i++)
		cursors[i].source = &sources[i];
	if (merge_part(&m, cursors, count, BLOB_NODE, e) < 0)
		return -1;
	return merge_part(&m, cursors, count, BLOB_DATA, e);
}
