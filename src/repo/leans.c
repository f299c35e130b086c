/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/leans.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/segment.h"

void leans_fini(struct leans *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->names[i]);
	free(l->names);
	free(l->seen);
	free(l->shunned);
	memset(l, 0, sizeof(*l));
}

static bool has_name(const struct leans *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->names[i], name) == 0)
			return true;
	return false;
}

void leans_add(struct leans *l, const char *name)
{
	if (has_name(l, name))
		return;
	if (l->count == l->room) {
		l->room = l->room > 0 ? 2 * l->room : 16;
		l->names = mem_grow(l->names, l->room, sizeof(char *));
	}
	l->names[l->count++] = mem_strdup(name);
}

/* The one that was added last is asked for most. */
static bool has(const struct index_segment *const *list, size_t count,
		const struct index_segment *s)
{
	for (size_t i = count; i > 0; i--)
		if (list[i - 1] == s)
			return true;
	return false;
}

void leans_on(struct leans *l, const struct index_segment *s)
{
	char *const *more = index_segment_leans(s);
	struct index_about about;

	if (has(l->seen, l->seen_count, s))
		return;
	l->seen = mem_grow(l->seen, l->seen_count + 1, sizeof(*l->seen));
	l->seen[l->seen_count++] = s;
	leans_add(l, index_segment_name(s));
	index_segment_about(s, &about);
	for (uint32_t i = 0; i < about.leans; i++)
		leans_add(l, more[i]);
}

bool leans_try(struct leans *l, struct index *ix, const struct index_segment *s)
{
	if (has(l->seen, l->seen_count, s))
		return true;
	if (has(l->shunned, l->shunned_count, s))
		return false;
	if (index_leans_open(ix, s)) {
		leans_on(l, s);
		return true;
	}
	l->shunned =
		mem_grow(l->shunned, l->shunned_count + 1, sizeof(*l->shunned));
	l->shunned[l->shunned_count++] = s;
	return false;
}
