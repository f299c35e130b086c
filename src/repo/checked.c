/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/checked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/internal.h"
#include "repo/obj.h"

#define CHECKED_VERSION 1
#define GROUP_HEAD      (8 + 1 + 4)

void checked_fini(struct checked *c)
{
	for (size_t i = 0; i < c->note_count; i++)
		free(c->notes[i]);
	free(c->notes);
	free(c->packs);
	memset(c, 0, sizeof(*c));
}

void checked_add(struct checked *c, const struct id *pack, uint8_t level,
		 int64_t time_ns)
{
	if (c->count == c->room) {
		c->room = c->room > 0 ? 2 * c->room : 256;
		c->packs = mem_grow(c->packs, c->room, sizeof(*c->packs));
	}
	c->packs[c->count++] = (struct checked_pack){ *pack, level, time_ns };
}

/* The latest of a pack and level first. */
static int by_pack(const void *va, const void *vb)
{
	const struct checked_pack *a = va;
	const struct checked_pack *b = vb;
	int c = memcmp(a->pack.b, b->pack.b, ID_SIZE);

	if (c != 0)
		return c;
	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	return (a->time_ns < b->time_ns) - (a->time_ns > b->time_ns);
}

static bool same(const struct checked_pack *a, const struct checked_pack *b)
{
	return a->level == b->level &&
	       memcmp(a->pack.b, b->pack.b, ID_SIZE) == 0;
}

void checked_sort(struct checked *c)
{
	size_t kept = 0;

	if (c->count > 0)
		qsort(c->packs, c->count, sizeof(*c->packs), by_pack);
	for (size_t i = 0; i < c->count; i++)
		if (kept == 0 || !same(&c->packs[kept - 1], &c->packs[i]))
			c->packs[kept++] = c->packs[i];
	c->count = kept;
}

/* The first entry of the pack, or of what would follow it. */
static size_t first_of(const struct checked *c, const struct id *pack)
{
	size_t lo = 0, hi = c->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(c->packs[mid].pack.b, pack->b, ID_SIZE) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int64_t checked_when(const struct checked *c, const struct id *pack,
		     uint8_t level)
{
	int64_t when = 0;

	for (size_t i = first_of(c, pack);
	     i < c->count && memcmp(c->packs[i].pack.b, pack->b, ID_SIZE) == 0;
	     i++)
		if (c->packs[i].level >= level && c->packs[i].time_ns > when)
			when = c->packs[i].time_ns;
	return when;
}

/* ---- bytes ----------------------------------------------------------- */

static int by_group(const void *va, const void *vb)
{
	const struct checked_pack *a = va;
	const struct checked_pack *b = vb;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	return memcmp(a->pack.b, b->pack.b, ID_SIZE);
}

/* How many from here on are of one group. */
static size_t group_size(const struct checked_pack *p, size_t left)
{
	size_t n = 1;

	while (n < left && p[n].time_ns == p[0].time_ns &&
	       p[n].level == p[0].level)
		n++;
	return n;
}

static uint32_t groups(const struct checked_pack *p, size_t count)
{
	uint32_t n = 0;

	for (size_t i = 0; i < count; n++)
		i += group_size(p + i, count - i);
	return n;
}

void checked_encode(const struct checked *c, struct buf *out)
{
	autofree struct checked_pack *p = mem_zalloc(c->count + 1, sizeof(*p));
	char host[256] = "";

	if (c->count > 0) {
		memcpy(p, c->packs, c->count * sizeof(*p));
		qsort(p, c->count, sizeof(*p), by_group);
	}
	gethostname(host, sizeof(host) - 1);
	wr_u16(out, CHECKED_VERSION);
	wr_string(out, host);
	wr_u32(out, groups(p, c->count));
	for (size_t i = 0; i < c->count;) {
		size_t n = group_size(p + i, c->count - i);

		wr_u64(out, (uint64_t)p[i].time_ns);
		wr_u8(out, p[i].level);
		wr_u32(out, (uint32_t)n);
		for (size_t k = 0; k < n; k++)
			wr_bytes(out, p[i + k].pack.b, ID_SIZE);
		i += n;
	}
}

static void get_group(struct reader *r, struct checked *c)
{
	int64_t time_ns = (int64_t)rd_u64(r);
	uint8_t level = rd_u8(r);
	size_t count = rd_u32(r);
	struct id last, pack;

	if (count == 0 || count > r->left / ID_SIZE)
		r->bad = true;
	for (size_t i = 0; i < count && !r->bad; i++) {
		rd_copy(r, pack.b, ID_SIZE);
		if (i > 0 && memcmp(last.b, pack.b, ID_SIZE) >= 0)
			r->bad = true;
		checked_add(c, &pack, level, time_ns);
		last = pack;
	}
}

void checked_decode(struct reader *r, struct checked *c)
{
	if (rd_u16(r) != CHECKED_VERSION)
		r->bad = true;
	free(rd_string(r, 255)); /* the host, for people */
	size_t count = rd_u32(r);

	if (count > r->left / GROUP_HEAD)
		r->bad = true;
	for (size_t i = 0; i < count && !r->bad; i++)
		get_group(r, c);
	if (!rd_complete(r))
		r->bad = true;
}

/* ---- notes ----------------------------------------------------------- */

static int load_note(struct repo *r, const char *name, struct checked *c,
		     struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	size_t before = c->count;

	if (obj_load(r->store, r->keys, name, SIGN_NONE, OBJECT_MAX_SEGMENT, &b,
		     e) < 0)
		return -1;
	struct reader rd = reader_of(b.p, b.len);

	checked_decode(&rd, c);
	if (!rd.bad)
		return 0;
	c->count = before;
	return err_set(e, ERR_INTEGRITY, "object '%s': not a note of verifying",
		       name);
}

int checked_check(struct repo *r, const char *name, struct err *e)
{
	AUTO(checked_fini) struct checked c = { .count = 0 };

	return load_note(r, name, &c, e);
}

struct loading {
	struct repo *repo;
	struct checked *c;
};

static int load_one(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	struct loading *l = ctx;
	struct checked *c = l->c;
	struct err why = ERR_INIT;

	(void)st;
	if (load_note(l->repo, name, c, &why) < 0) {
		if (why.code == ERR_INTEGRITY || why.code == ERR_NOT_FOUND)
			return 0;
		*e = why;
		return -1;
	}
	c->notes = mem_grow(c->notes, c->note_count + 1, sizeof(char *));
	c->notes[c->note_count++] = mem_strdup(name);
	return 0;
}

int checked_load(struct repo *r, struct checked *c, struct err *e)
{
	struct loading l = { r, c };

	if (store_list(r->store, CHECKED_PREFIX, load_one, &l, e) < 0)
		return err_ctx(e, "cannot read when packs were verified");
	checked_sort(c);
	return 0;
}

/* Another verify may have been faster: then it is gone already. */
static void delete_notes(struct repo *r, const struct checked *c)
{
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < c->note_count; i++)
		store_del(r->store, c->notes[i], &ignored);
}

int checked_put(struct repo *r, const struct checked *c, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[CHECKED_NAME];
	char hex[ID_TEXT];
	struct id id;

	keys_random(id.b, ID_SIZE);
	hex_encode(id.b, ID_SIZE, hex);
	snprintf(name, sizeof(name), CHECKED_PREFIX "%s", hex);
	checked_encode(c, &b);
	if (repo_writable(r, e) < 0 ||
	    obj_put_unsigned(r->store, r->keys, name, &b, e) < 0)
		return err_ctx(e, "cannot note what was verified as '%s'",
			       name);
	delete_notes(r, c);
	return 0;
}
