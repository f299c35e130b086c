/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

/* Ids are random: their first bytes are as good as any hash. */
static struct idmap_place *place_of(const struct idmap *m, const struct id *id)
{
	uint64_t v;

	memcpy(&v, id->b, sizeof(v));
	size_t i = (size_t)v & (m->room - 1);

	while (!bytes_zero(m->table[i].id.b, ID_SIZE) &&
	       memcmp(m->table[i].id.b, id->b, ID_SIZE) != 0)
		i = (i + 1) & (m->room - 1);
	return &m->table[i];
}

static void grow(struct idmap *m)
{
	struct idmap bigger = { .room = m->room > 0 ? 2 * m->room : 64,
				.count = m->count };

	bigger.table = mem_zalloc(bigger.room, sizeof(*bigger.table));
	for (size_t i = 0; i < m->room; i++)
		if (!bytes_zero(m->table[i].id.b, ID_SIZE))
			*place_of(&bigger, &m->table[i].id) = m->table[i];
	free(m->table);
	*m = bigger;
}

void idmap_put(struct idmap *m, const struct id *id, uint32_t value)
{
	if (bytes_zero(id->b, ID_SIZE))
		return;
	if (2 * (m->count + 1) > m->room)
		grow(m);
	struct idmap_place *at = place_of(m, id);

	if (bytes_zero(at->id.b, ID_SIZE))
		m->count++;
	at->id = *id;
	at->value = value;
}

bool idmap_get(const struct idmap *m, const struct id *id, uint32_t *value)
{
	if (m->room == 0 || bytes_zero(id->b, ID_SIZE))
		return false;
	const struct idmap_place *at = place_of(m, id);

	if (bytes_zero(at->id.b, ID_SIZE))
		return false;
	*value = at->value;
	return true;
}

void idmap_fini(struct idmap *m)
{
	free(m->table);
	*m = (struct idmap){ .table = NULL };
}
