/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/claims.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SHARDS   64
#define PENDING  UINT32_MAX
#define MIN_ROOM 256

struct claim {
	uint8_t prefix[16];
	uint32_t pack;      /* PENDING until it has a place */
	uint32_t blob_slot; /* blob << 8 | slot */
};

/* Open addressing; an entry without prefix is free (a real id's prefix is
 * zero with probability 2^-128). */
struct shard {
	pthread_mutex_t lock;
	struct claim *table;
	size_t room; /* a power of two */
	size_t count;
};

struct claims {
	struct shard shards[SHARDS];
	atomic_size_t count;
};

struct claims *claims_new(void)
{
	struct claims *c = mem_zalloc(1, sizeof(*c));

	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&c->shards[i].lock, NULL);
	return c;
}

void claims_free(struct claims *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_destroy(&c->shards[i].lock);
		free(c->shards[i].table);
	}
	free(c);
}

static bool is_free(const struct claim *n)
{
	static const uint8_t none[sizeof(n->prefix)];

	return memcmp(n->prefix, none, sizeof(none)) == 0;
}

static size_t start_of(const struct shard *s, const uint8_t *prefix)
{
	uint64_t v;

	memcpy(&v, prefix + 1, sizeof(v));
	return (size_t)v & (s->room - 1);
}

/* The entry of this prefix, or the free one where it belongs. */
static struct claim *entry_of(const struct shard *s, const uint8_t *prefix)
{
	size_t i = start_of(s, prefix);

	while (!is_free(&s->table[i]) &&
	       memcmp(s->table[i].prefix, prefix, 16) != 0)
		i = (i + 1) & (s->room - 1);
	return &s->table[i];
}

static void shard_grow(struct shard *s)
{
	struct shard bigger = { .room = s->room > 0 ? 2 * s->room : MIN_ROOM };

	bigger.table = mem_zalloc(bigger.room, sizeof(*bigger.table));
	for (size_t i = 0; i < s->room; i++)
		if (!is_free(&s->table[i]))
			*entry_of(&bigger, s->table[i].prefix) = s->table[i];
	free(s->table);
	s->table = bigger.table;
	s->room = bigger.room;
}

static struct shard *shard_lock(struct claims *c, const struct hash *id)
{
	struct shard *s = &c->shards[id->b[0] % SHARDS];

	pthread_mutex_lock(&s->lock);
	return s;
}

bool claims_has(struct claims *c, const struct hash *id)
{
	struct shard *s = shard_lock(c, id);
	bool has = s->room > 0 && !is_free(entry_of(s, id->b));

	pthread_mutex_unlock(&s->lock);
	return has;
}

bool claims_take(struct claims *c, const struct hash *id)
{
	struct shard *s = shard_lock(c, id);

	if (4 * (s->count + 1) > 3 * s->room)
		shard_grow(s);
	struct claim *n = entry_of(s, id->b);
	bool fresh = is_free(n);

	if (fresh) {
		memcpy(n->prefix, id->b, sizeof(n->prefix));
		n->pack = PENDING;
		n->blob_slot = 0;
		s->count++;
		atomic_fetch_add(&c->count, 1);
	}
	pthread_mutex_unlock(&s->lock);
	return fresh;
}

void claims_place(struct claims *c, const struct hash *id, uint32_t pack,
		  uint32_t blob, uint8_t slot)
{
	struct shard *s = shard_lock(c, id);
	struct claim *n = entry_of(s, id->b);

	assert(!is_free(n) && n->pack == PENDING);
	n->pack = pack;
	n->blob_slot = blob << 8 | slot;
	pthread_mutex_unlock(&s->lock);
}

size_t claims_count(const struct claims *c)
{
	return atomic_load(&c->count);
}

void claims_list(struct claims *c, struct segment_entry_new *entries)
{
	for (size_t i = 0; i < SHARDS; i++) {
		const struct shard *s = &c->shards[i];

		for (size_t k = 0; k < s->room; k++) {
			const struct claim *n = &s->table[k];

			if (is_free(n))
				continue;
			assert(n->pack != PENDING);
			memcpy(entries->prefix, n->prefix, 16);
			entries->pack = n->pack;
			entries->blob = n->blob_slot >> 8;
			entries->slot = (uint8_t)n->blob_slot;
			entries++;
		}
	}
}

void claims_clear(struct claims *c)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];

		pthread_mutex_lock(&s->lock);
		free(s->table);
		s->table = NULL;
		s->room = s->count = 0;
		pthread_mutex_unlock(&s->lock);
	}
	atomic_store(&c->count, 0);
}

void claims_move(struct claims *c, struct claims *to)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];
		struct shard *t = &to->shards[i];

		assert(t->count == 0);
		free(t->table);
		t->table = mem_take(&s->table);
		t->room = s->room;
		t->count = s->count;
		s->room = s->count = 0;
	}
	atomic_store(&to->count, claims_count(c));
	atomic_store(&c->count, 0);
}
