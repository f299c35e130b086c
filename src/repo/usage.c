/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/usage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void usage_fini(struct usage *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->packs[i].used);
		free(u->packs[i].more);
	}
	free(u->packs);
	free(u->table);
	memset(u, 0, sizeof(*u));
}

/* Where the id is, or would be. */
static uint32_t *place_of(const struct usage *u, const struct id *pack)
{
	uint64_t v;

	memcpy(&v, pack->b, sizeof(v));
	size_t i = (size_t)v & (u->table_room - 1);

	while (u->table[i] != 0 &&
	       memcmp(u->packs[u->table[i] - 1].id.b, pack->b, ID_SIZE) != 0)
		i = (i + 1) & (u->table_room - 1);
	return &u->table[i];
}

struct usage_pack *usage_find(const struct usage *u, const struct id *pack)
{
	uint32_t *at = u->count > 0 ? place_of(u, pack) : NULL;

	return at != NULL && *at != 0 ? &u->packs[*at - 1] : NULL;
}

static void grow(struct usage *u)
{
	free(u->table);
	u->table_room = u->table_room > 0 ? 2 * u->table_room : 256;
	u->table = mem_zalloc(u->table_room, sizeof(*u->table));
	u->room = u->table_room / 2;
	u->packs = mem_grow(u->packs, u->room, sizeof(*u->packs));
	for (size_t i = 0; i < u->count; i++)
		*place_of(u, &u->packs[i].id) = (uint32_t)i + 1;
}

struct usage_pack *usage_add(struct usage *u, enum blob_class class,
			     const struct id *pack)
{
	struct usage_pack *p = usage_find(u, pack);

	if (p != NULL)
		return p;
	if (u->count == u->room)
		grow(u);
	*place_of(u, pack) = (uint32_t)u->count + 1;
	assert(u->packs != NULL);
	p = &u->packs[u->count++];
	*p = (struct usage_pack){ .id = *pack, .class = class };
	return p;
}

static size_t words(const struct usage_pack *p)
{
	return p->slots / 64 + 1;
}

struct usage_pack *usage_slot(struct usage *u, struct footers *f,
			      const struct place *place, uint32_t *slot,
			      struct err *e)
{
	const struct footer_use *use =
		footers_get(f, place->class, &place->pack, e);

	if (use == NULL)
		return NULL;
	struct usage_pack *p = usage_add(u, place->class, &place->pack);

	assert(p != NULL);
	if (p->used == NULL) {
		p->slots = use->footer.slot_count;
		p->blobs = use->footer.blob_count;
		p->size = p->size != 0 ? p->size : (uint32_t)use->size;
		p->used = mem_zalloc(words(p), sizeof(*p->used));
	}
	bool there = place->blob < use->footer.blob_count;

	if (there)
		*slot = use->footer.blobs[place->blob].first + place->slot;
	footers_put(f, use);
	if (there && *slot < p->slots)
		return p;
	err_set(e, ERR_INTEGRITY, "its pack has no such place");
	return NULL;
}

bool usage_is(const struct usage_pack *p, uint32_t slot)
{
	return p->used != NULL && (p->used[slot / 64] >> slot % 64 & 1) != 0;
}

bool usage_set(struct usage_pack *p, uint32_t slot)
{
	if (usage_is(p, slot))
		return false;
	p->used[slot / 64] |= UINT64_C(1) << slot % 64;
	return true;
}

void usage_clear(struct usage *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->packs[i].used);
		u->packs[i].used = NULL;
	}
}
