/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/point.h"

/* Where key is, or where it belongs; *found says which. */
static size_t attrs_place(const struct attrs *a, const char *key, bool *found)
{
	size_t lo = 0;
	size_t hi = a->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(a->items[mid].key, key);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = false;
	return lo;
}

static void attrs_take(struct attrs *a, const char *key, char *value)
{
	bool found;
	size_t at = attrs_place(a, key, &found);

	if (found) {
		free(a->items[at].value);
		a->items[at].value = value;
		return;
	}
	a->items = mem_grow(a->items, a->count + 1, sizeof(*a->items));
	memmove(a->items + at + 1, a->items + at,
		(a->count - at) * sizeof(*a->items));
	a->items[at] = (struct attr){ mem_strdup(key), value };
	a->count++;
}

void attrs_set(struct attrs *a, const char *key, const char *value)
{
	attrs_take(a, key, mem_strdup(value));
}

void attrs_setf(struct attrs *a, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	attrs_take(a, key, mem_vfmt(fmt, ap));
	va_end(ap);
}

const char *attrs_get(const struct attrs *a, const char *key)
{
	bool found;
	size_t at = attrs_place(a, key, &found);

	return found ? a->items[at].value : NULL;
}

void attrs_fini(struct attrs *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->items[i].key);
		free(a->items[i].value);
	}
	free(a->items);
	*a = (struct attrs){ NULL, 0 };
}
