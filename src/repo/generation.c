/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/generation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/obj.h"

#define GENERATION_VERSION 1
#define SEGMENT_FRAIL      1

/* Least size of a segment's entry: an empty name and the flags. */
#define SEGMENT_LEAST 3

void generation_name(uint64_t number, char out[GENERATION_NAME])
{
	snprintf(out, GENERATION_NAME, "gen/%016" PRIx64, number);
}

void generation_add_segment(struct generation *g, const char *name, bool frail)
{
	g->segments = mem_grow(g->segments, g->segment_count + 1,
			       sizeof(*g->segments));
	g->segments[g->segment_count++] =
		(struct generation_segment){ mem_strdup(name), frail };
}

void generation_encode(const struct generation *g, struct buf *out)
{
	wr_u16(out, GENERATION_VERSION);
	wr_u64(out, g->number);
	wr_u64(out, (uint64_t)g->time_ns);
	wr_bytes(out, g->session.b, ID_SIZE);
	wr_u32(out, (uint32_t)g->segment_count);
	for (size_t i = 0; i < g->segment_count; i++) {
		wr_string(out, g->segments[i].name);
		wr_u8(out, g->segments[i].frail ? SEGMENT_FRAIL : 0);
	}
	locations_encode(&g->condemned, out);
	locations_encode(&g->doomed, out);
}

int generation_put(struct store *s, const struct keyring *k,
		   const struct generation *g, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[GENERATION_NAME];

	generation_encode(g, &b);
	generation_name(g->number, name);
	return obj_put_new(s, k, name, &b, e);
}

static void get_segments(struct reader *r, struct generation *g)
{
	size_t count = rd_u32(r);

	if (count > r->left / SEGMENT_LEAST)
		r->bad = true;
	for (size_t i = 0; i < count && !r->bad; i++) {
		autofree char *name = rd_string(r, SEGMENT_NAME - 1);
		uint8_t flags = rd_u8(r);

		if (flags > SEGMENT_FRAIL)
			r->bad = true;
		if (!r->bad)
			generation_add_segment(g, name, flags != 0);
	}
}

int generation_decode(const void *data, size_t size, struct generation *g,
		      struct err *e)
{
	struct reader r = reader_of(data, size);
	uint16_t version = rd_u16(&r);

	memset(g, 0, sizeof(*g));
	g->number = rd_u64(&r);
	g->time_ns = (int64_t)rd_u64(&r);
	rd_copy(&r, g->session.b, ID_SIZE);
	get_segments(&r, g);
	locations_decode(&r, &g->condemned);
	locations_decode(&r, &g->doomed);
	if (version == GENERATION_VERSION && rd_complete(&r))
		return 0;
	generation_fini(g);
	return err_set(e, ERR_INTEGRITY, "not the record of a generation");
}

int generation_load(struct store *s, const struct keyring *k, uint64_t number,
		    struct generation *g, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[GENERATION_NAME];

	generation_name(number, name);
	memset(g, 0, sizeof(*g));
	if (obj_load(s, k, name, SIGN_KEEP, OBJECT_MAX_SEGMENT, &b, e) < 0)
		return -1;
	if (generation_decode(b.p, b.len, g, e) < 0)
		return err_ctx(e, "object '%s'", name);
	if (g->number == number)
		return 0;
	generation_fini(g);
	return err_set(e, ERR_INTEGRITY,
		       "object '%s': the record of another generation", name);
}

void generation_fini(struct generation *g)
{
	for (size_t i = 0; i < g->segment_count; i++)
		free(g->segments[i].name);
	free(g->segments);
	locations_fini(&g->condemned);
	locations_fini(&g->doomed);
	memset(g, 0, sizeof(*g));
}

struct newest {
	uint64_t number;
	bool any;
};

static int look(void *ctx, const char *name, const struct store_stat *st,
		struct err *e)
{
	struct newest *n = ctx;
	char *end;

	(void)st;
	(void)e;
	if (strlen(name) != 4 + 16)
		return 0;
	uint64_t v = strtoull(name + 4, &end, 16);

	if (*end == '\0' && (!n->any || v > n->number)) {
		n->number = v;
		n->any = true;
	}
	return 0;
}

int generation_newest(struct store *s, uint64_t *number, struct err *e)
{
	struct newest n = { 0, false };

	if (store_list(s, "gen/", look, &n, e) < 0)
		return -1;
	if (!n.any)
		return err_set(e, ERR_INTEGRITY,
			       "the repository has no generation ('gen/' is "
			       "empty): restore it from a copy");
	*number = n.number;
	return 0;
}
