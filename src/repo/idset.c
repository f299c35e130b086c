/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/idset.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

static struct id *place_of(const struct idset *s, const uint8_t *id)
{
	uint64_t v;

	memcpy(&v, id, sizeof(v));
	size_t i = (size_t)v & (s->room - 1);

	while (!bytes_zero(s->table[i].b, ID_SIZE) &&
	       memcmp(s->table[i].b, id, ID_SIZE) != 0)
		i = (i + 1) & (s->room - 1);
	return &s->table[i];
}

static void grow(struct idset *s)
{
	struct idset bigger = { .room = s->room > 0 ? 2 * s->room : 1024 };

	bigger.table = mem_zalloc(bigger.room, sizeof(*bigger.table));
	for (size_t i = 0; i < s->room; i++)
		if (!bytes_zero(s->table[i].b, ID_SIZE))
			*place_of(&bigger, s->table[i].b) = s->table[i];
	free(s->table);
	s->table = bigger.table;
	s->room = bigger.room;
}

bool idset_add(struct idset *s, const uint8_t *id)
{
	if (2 * (s->count + 1) > s->room)
		grow(s);
	struct id *at = place_of(s, id);

	if (!bytes_zero(at->b, ID_SIZE))
		return false;
	memcpy(at->b, id, ID_SIZE);
	s->count++;
	return true;
}

bool idset_has(const struct idset *s, const uint8_t *id)
{
	return s->room > 0 && !bytes_zero(place_of(s, id)->b, ID_SIZE);
}

void idset_fini(struct idset *s)
{
	free(s->table);
	*s = (struct idset)IDSET_INIT;
}
