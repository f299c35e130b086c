/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int by_low(const void *va, const void *vb)
{
	const struct span *a = va;
	const struct span *b = vb;

	return a->low < b->low ? -1 : a->low > b->low;
}

/* The first run that ends before the span, or a new one. */
static struct run *run_for(struct runs *r, const struct span *s)
{
	for (size_t i = 0; i < r->count; i++) {
		struct run *run = &r->runs[i];

		if (run->spans[run->count - 1].high < s->low)
			return run;
	}
	r->runs = mem_grow(r->runs, r->count + 1, sizeof(*r->runs));
	r->runs[r->count] = (struct run){ .spans = NULL, .count = 0 };
	return &r->runs[r->count++];
}

static void add_span(struct runs *r, const struct span *s)
{
	struct run *run = run_for(r, s);

	run->spans = mem_grow(run->spans, run->count + 1, sizeof(*run->spans));
	run->spans[run->count++] = *s;
}

static void make_runs(const struct view_new *n, enum blob_class class,
		      struct runs *r)
{
	autofree struct span *spans =
		mem_zalloc(n->listed_count, sizeof(*spans));
	size_t count = 0;

	for (size_t i = 0; i < n->listed_count; i++) {
		struct span *s = &spans[count];

		s->segment = n->listed[i];
		if (index_segment_range(s->segment, class, &s->low, &s->high))
			count++;
	}
	if (count > 0)
		qsort(spans, count, sizeof(*spans), by_low);
	for (size_t i = 0; i < count; i++)
		add_span(r, &spans[i]);
}

/* With as much room again, so that all views together are not much larger
 * than the last one. */
struct view *view_new(const struct view_new *n)
{
	size_t room = 2 * n->other_count + 16;
	struct view *v =
		mem_zalloc(1, sizeof(*v) + room * sizeof(v->others[0]));

	make_runs(n, BLOB_NODE, &v->listed[0]);
	make_runs(n, BLOB_DATA, &v->listed[1]);
	v->frail = mem_dup(n->frail, n->frail_count * sizeof(*n->frail));
	v->frail_count = n->frail_count;
	v->room = room;
	atomic_init(&v->count, 0);
	for (size_t i = 0; i < n->other_count; i++)
		view_add(v, n->others[i]);
	return v;
}

static void runs_fini(struct runs *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->runs[i].spans);
	free(r->runs);
}

void view_free(struct view *v)
{
	while (v != NULL) {
		struct view *older = v->older;

		runs_fini(&v->listed[0]);
		runs_fini(&v->listed[1]);
		free(v->frail);
		free(v);
		v = older;
	}
}

bool view_add(struct view *v, const struct index_segment *s)
{
	size_t count = atomic_load_explicit(&v->count, memory_order_relaxed);

	if (count == v->room)
		return false;
	v->others[count] = s;
	atomic_store_explicit(&v->count, count + 1, memory_order_release);
	return true;
}

const struct index_segment *run_find(const struct run *run, uint64_t key)
{
	size_t lo = 0, hi = run->count;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (run->spans[mid].low <= key)
			lo = mid;
		else
			hi = mid;
	}
	const struct span *s = &run->spans[lo];

	return key >= s->low && key <= s->high ? s->segment : NULL;
}
