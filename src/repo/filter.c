/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A try fails once in a few hundred times at these sizes. */
#define TRIES 32

/* Keys are brought into the order of their first place before peeling, in so
 * many heaps, so that memory is walked through, not jumped about in. */
#define HEAPS 256u

/* The table: `segments` + 2 segments of a power of two bytes each.  A key has
 * a place in each of three neighbouring segments. */
struct shape {
	uint32_t length; /* of a segment */
	uint32_t segments;
	uint32_t size; /* all, bytes */
};

/* log2(n), at most 0.09 too small. */
static double about_log2(uint32_t n)
{
	unsigned k = 31 - (unsigned)__builtin_clz(n);

	return k + ((double)n / (double)(1u << k) - 1);
}

/* Section 4 of the paper: length 2^(log3.33(n) + 2.25), and room for n keys
 * and an eighth, or more where they are few. */
static struct shape shape_of(uint32_t n)
{
	struct shape s = { .length = 4 };

	for (double most = 2.47; most * 3.33 <= n && s.length < 1u << 18;
	     most *= 3.33)
		s.length *= 2;
	double factor = n > 2 ? 0.875 + 0.25 * 19.94 / about_log2(n) : 2;
	uint32_t room = (uint32_t)(n * (factor < 1.125 ? 1.125 : factor));
	uint32_t parts = (room + s.length - 1) / s.length;

	s.segments = parts > 3 ? parts - 2 : 1;
	s.size = (s.segments + 2) * s.length;
	return s;
}

size_t filter_size(uint32_t n)
{
	return n > 0 ? shape_of(n).size : 0;
}

/* Appleby's finalizer of MurmurHash3. */
static uint64_t mix(uint64_t key, uint32_t seed)
{
	uint64_t h = key + (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

/* The three places of a hash. */
struct places {
	uint32_t at[3];
};

static struct places places_of(const struct shape *s, uint64_t h)
{
	uint64_t range = (uint64_t)s->segments * s->length;
	uint32_t first =
		(uint32_t)(((__extension__(unsigned __int128) h) * range) >>
			   64);
	uint32_t mask = s->length - 1;

	return (struct places){ {
		first,
		(first + s->length) ^ ((uint32_t)(h >> 18) & mask),
		(first + 2 * s->length) ^ ((uint32_t)h & mask),
	} };
}

static uint8_t print_of(uint64_t h)
{
	return (uint8_t)(h ^ h >> 32);
}

struct filter filter_of(const uint8_t *bytes, uint32_t n, uint32_t seed)
{
	struct shape s = n > 0 ? shape_of(n) : (struct shape){ .size = 0 };

	return (struct filter){ .bytes = bytes,
				.seed = seed,
				.length = s.length,
				.segments = s.segments };
}

bool filter_has(const struct filter *f, uint64_t key)
{
	const struct shape s = { .length = f->length, .segments = f->segments };
	uint64_t h = mix(key, f->seed);

	if (f->segments == 0)
		return false;
	struct places p = places_of(&s, h);
	uint8_t v = (uint8_t)(f->bytes[p.at[0]] ^ f->bytes[p.at[1]] ^
			      f->bytes[p.at[2]]);

	return v == print_of(h);
}

/* ---- building -------------------------------------------------------- */

struct work {
	struct shape shape;
	uint32_t n;
	uint64_t *hashes; /* n: by heap; then those peeled, in that order */
	uint8_t *which;   /* n: by which of its places it was peeled */
	uint64_t *sum;    /* for each place: its hashes, xored */
	uint8_t *count;   /* how many */
	uint32_t *alone;  /* places with one */
};

static void work_fini(struct work *w)
{
	free(w->hashes);
	free(w->which);
	free(w->sum);
	free(w->count);
	free(w->alone);
}

static bool work_init(struct work *w, uint32_t n)
{
	w->shape = shape_of(n);
	w->n = n;
	w->hashes = mem_try(n, sizeof(*w->hashes));
	w->which = mem_try(n, 1);
	w->sum = mem_try(w->shape.size, sizeof(*w->sum));
	w->count = mem_try(w->shape.size, 1);
	w->alone = mem_try(w->shape.size, sizeof(*w->alone));
	return w->hashes != NULL && w->which != NULL && w->sum != NULL &&
	       w->count != NULL && w->alone != NULL;
}

/* Fill hashes, heap by heap. */
static void sort_hashes(struct work *w, const uint64_t *keys, uint32_t seed)
{
	uint32_t start[HEAPS + 1] = { 0 };

	for (uint32_t i = 0; i < w->n; i++)
		start[(mix(keys[i], seed) >> 56) + 1]++;
	for (uint32_t i = 0; i < HEAPS; i++)
		start[i + 1] += start[i];
	for (uint32_t i = 0; i < w->n; i++) {
		uint64_t h = mix(keys[i], seed);

		w->hashes[start[h >> 56]++] = h;
	}
}

/* False when a place has more than can be counted: not by chance. */
static bool count_places(struct work *w)
{
	memset(w->sum, 0, w->shape.size * sizeof(*w->sum));
	memset(w->count, 0, w->shape.size);
	for (uint32_t i = 0; i < w->n; i++) {
		struct places p = places_of(&w->shape, w->hashes[i]);

		for (size_t k = 0; k < 3; k++) {
			w->sum[p.at[k]] ^= w->hashes[i];
			if (++w->count[p.at[k]] == UINT8_MAX)
				return false;
		}
	}
	return true;
}

/* Take the only hash of a place out of its three; the others may be alone
 * then. */
static uint32_t peel_one(struct work *w, uint32_t at, uint32_t done,
			 uint32_t alone)
{
	uint64_t h = w->sum[at];
	struct places p = places_of(&w->shape, h);

	w->hashes[done] = h;
	for (size_t k = 0; k < 3; k++) {
		if (p.at[k] == at)
			w->which[done] = (uint8_t)k;
		w->sum[p.at[k]] ^= h;
		if (--w->count[p.at[k]] == 1)
			w->alone[alone++] = p.at[k];
	}
	return alone;
}

/* True when every hash could be taken out; a place is in `alone` once at
 * most, as its count only falls. */
static bool peel(struct work *w)
{
	uint32_t alone = 0;
	uint32_t done = 0;

	for (uint32_t i = 0; i < w->shape.size; i++)
		if (w->count[i] == 1)
			w->alone[alone++] = i;
	while (alone > 0) {
		uint32_t at = w->alone[--alone];

		if (w->count[at] == 1)
			alone = peel_one(w, at, done++, alone);
	}
	return done == w->n;
}

/* Last peeled first: its own place is free then, and makes it right. */
static void assign(const struct work *w, uint8_t *bytes)
{
	memset(bytes, 0, w->shape.size);
	for (uint32_t i = w->n; i > 0; i--) {
		uint64_t h = w->hashes[i - 1];
		struct places p = places_of(&w->shape, h);
		uint8_t v = print_of(h);

		for (size_t k = 0; k < 3; k++)
			if (k != w->which[i - 1])
				v ^= bytes[p.at[k]];
		bytes[p.at[w->which[i - 1]]] = v;
	}
}

bool filter_build(const uint64_t *keys, uint32_t n, uint8_t *bytes,
		  uint32_t *seed)
{
	AUTO(work_fini) struct work w = { 0 };

	*seed = 0;
	if (n == 0)
		return true;
	if (n > FILTER_MAX_KEYS || !work_init(&w, n))
		return false;
	for (uint32_t i = 0; i < TRIES; i++) {
		sort_hashes(&w, keys, i);
		if (!count_places(&w) || !peel(&w))
			continue;
		assign(&w, bytes);
		*seed = i;
		return true;
	}
	return false;
}
