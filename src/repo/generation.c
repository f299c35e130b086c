/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/generation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/obj.h"

#define GENERATION_VERSION 1
#define PLACE_SIZE         (ID_SIZE + 1 + 4)

void generation_name(uint64_t number, char out[GENERATION_NAME])
{
	snprintf(out, GENERATION_NAME, "gen/%016" PRIx64, number);
}

static void put_places(struct buf *b, const struct place *p, size_t n)
{
	wr_u32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		wr_bytes(b, p[i].pack.b, ID_SIZE);
		wr_u8(b, (uint8_t)p[i].class);
		wr_u32(b, p[i].blob);
	}
}

int generation_put(struct store *s, const struct keyring *k,
		   const struct generation *g, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[GENERATION_NAME];

	wr_u16(&b, GENERATION_VERSION);
	wr_u64(&b, g->number);
	wr_u32(&b, (uint32_t)g->segment_count);
	for (size_t i = 0; i < g->segment_count; i++)
		wr_string(&b, g->segments[i]);
	put_places(&b, g->condemned, g->condemned_count);
	put_places(&b, g->doomed, g->doomed_count);
	generation_name(g->number, name);
	return obj_put_new(s, k, name, &b, e);
}

static void get_places(struct reader *r, struct place **p, size_t *n)
{
	size_t count = rd_u32(r);

	if (count > r->left / PLACE_SIZE)
		r->bad = true;
	if (r->bad || count == 0)
		return;
	*p = mem_zalloc(count, sizeof(**p));
	*n = count;
	for (size_t i = 0; i < count; i++) {
		rd_copy(r, (*p)[i].pack.b, ID_SIZE);
		(*p)[i].class = rd_u8(r);
		(*p)[i].blob = rd_u32(r);
	}
}

static void get_segments(struct reader *r, struct generation *g)
{
	size_t count = rd_u32(r);

	if (count > r->left / 2)
		r->bad = true;
	if (r->bad || count == 0)
		return;
	g->segments = mem_zalloc(count, sizeof(*g->segments));
	for (size_t i = 0; i < count && !r->bad; i++) {
		g->segments[i] = rd_string(r, SEGMENT_NAME - 1);
		g->segment_count += g->segments[i] != NULL;
	}
}

static int decode(const struct buf *b, uint64_t number, struct generation *g,
		  struct err *e)
{
	struct reader r = reader_of(b->p, b->len);
	uint16_t version = rd_u16(&r);

	g->number = rd_u64(&r);
	get_segments(&r, g);
	get_places(&r, &g->condemned, &g->condemned_count);
	get_places(&r, &g->doomed, &g->doomed_count);
	if (version == GENERATION_VERSION && g->number == number &&
	    rd_complete(&r))
		return 0;
	generation_fini(g);
	return err_set(e, ERR_INTEGRITY,
		       "not the record of generation %" PRIu64, number);
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
	return decode(&b, number, g, e);
}

void generation_fini(struct generation *g)
{
	for (size_t i = 0; i < g->segment_count; i++)
		free(g->segments[i]);
	free(g->segments);
	free(g->condemned);
	free(g->doomed);
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
