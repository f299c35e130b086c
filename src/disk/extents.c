/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/extents.h"

#include <stdlib.h>

#include "base/mem.h"

/* 16 MiB at most, whatever a server answers. */
#define MAX_RUNS (1u << 20)

struct extents_run {
	uint64_t end;
	bool data;
};

void extents_fini(struct extents *x)
{
	free(x->runs);
	*x = (struct extents){ .start = 0 };
}

void extents_restart(struct extents *x, uint64_t start)
{
	x->start = start;
	x->end = start;
	x->count = 0;
	x->last = 0;
	x->full = false;
}

static void append(struct extents *x, bool data)
{
	if (x->count == x->cap) {
		x->cap = x->cap > 0 ? x->cap * 2 : 64;
		x->runs = mem_grow(x->runs, x->cap, sizeof(*x->runs));
	}
	x->runs[x->count++] =
		(struct extents_run){ .end = x->end, .data = data };
}

void extents_add(struct extents *x, uint64_t size, bool data)
{
	bool same = x->count > 0 && x->runs[x->count - 1].data == data;

	/* What does not fit is asked for again, in its turn. */
	if ((!same && x->count == MAX_RUNS) || size > UINT64_MAX - x->end)
		x->full = true;
	if (x->full)
		return;
	x->end += size;
	if (same)
		x->runs[x->count - 1].end = x->end;
	else
		append(x, data);
}

bool extents_find(struct extents *x, uint64_t offset, uint64_t *end, bool *data)
{
	if (offset < x->start || offset >= x->end)
		return false;
	if (x->last > 0 && offset < x->runs[x->last - 1].end)
		x->last = 0;
	while (x->runs[x->last].end <= offset)
		x->last++;
	*end = x->runs[x->last].end;
	*data = x->runs[x->last].data;
	return true;
}
