/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/team.h"
#include "repo/verify_internal.h"

/*
 * Packs are read from front to end, several at once, those first that were
 * verified longest ago.  A pack of which only the sum is wrong is looked at
 * blob by blob, where the key that we have can open them.
 */

/* What a thread reads at once; any blob fits. */
#define WINDOW (8u << 20)

#define RECENT_NS (30 * 86400 * INT64_C(1000000000))

struct order {
	uint32_t pack; /* number in usage */
	int64_t when;
};

/* One round of reading. */
struct round {
	struct verify *v;
	struct order *order;
	size_t count;
	size_t next;        /* under v->lock, as all below */
	uint64_t read, all; /* bytes */
	int64_t deadline;   /* steady clock; 0: none */
	bool late;
	bool stopped;
	bool damage;
	struct checked *done;
};

/* What one thread has. */
struct member {
	struct round *g;
	struct fetch *fetch;
	uint8_t *window;
	uint8_t *raw; /* BLOB_MAX_RAW */
};

/* One pack being read. */
struct scan {
	struct member *m;
	const struct footer_use *use;
	const char *name;
	enum verify_level level; /* VERIFY_CHECKSUMS: blobs are left alone */
	uint32_t *by_offset;
	uint32_t next; /* in by_offset */
	uint64_t at;   /* offset of what is in the window */
	size_t have;   /* bytes in it */
	bool bad;      /* a blob is */
	bool unread;   /* something in it could not be read for now */
};

/* ---- blobs ----------------------------------------------------------- */

/* Is it a part of what was asked for?  Points share packs. */
static bool concerns(const struct verify *v, const struct footer_use *use,
		     const struct blob *b)
{
	const struct usage_pack *p = usage_find(&v->usage, &use->header.pack);

	if (v->o->only == NULL)
		return true;
	for (uint32_t i = 0; p != NULL && i < b->slots; i++)
		if (usage_is(p, b->first + i))
			return true;
	return false;
}

static void blob_bad(struct scan *s, uint32_t number, struct err *why)
{
	struct verify *v = s->m->g->v;
	const struct pack_header *h = &s->use->header;
	const struct blob *b = &s->use->footer.blobs[number];

	err_ctx(why, "blob %u, bytes %u to %llu", number, b->offset,
		(unsigned long long)b->offset + b->stored);
	pthread_mutex_lock(&v->lock);
	damage_add_blob(&v->bad, h->class, &h->pack, number);
	damage_add_blob(&v->found, h->class, &h->pack, number);
	verify_object_bad(v, s->name, VERIFY_PACK_BLOB, &h->pack, why);
	s->m->g->damage = true;
	pthread_mutex_unlock(&v->lock);
	s->bad = true;
}

static void scan_unread(struct scan *s, const struct err *why)
{
	verify_unread(s->m->g->v, why);
	s->unread = true;
}

static void check_blob(struct scan *s, uint32_t number, const uint8_t *sealed)
{
	struct fetch *f = s->m->fetch;
	struct err e = ERR_INIT;

	if (!concerns(s->m->g->v, s->use, &s->use->footer.blobs[number]))
		return;
	if ((s->level >= VERIFY_DATA
		     ? fetch_check_blob(f, s->use, number, sealed, &e)
		     : fetch_open(f, s->use, number, sealed, s->m->raw, &e)) ==
	    0)
		return;
	if (err_passing(&e))
		scan_unread(s, &e); /* its data key could not */
	else
		blob_bad(s, number, &e);
}

/* Those that are whole in the window; then those at its front go. */
static void check_window(struct scan *s)
{
	const struct footer *f = &s->use->footer;
	uint64_t end = s->at + s->have;
	uint64_t keep = end;

	for (; s->next < f->blob_count; s->next++) {
		uint32_t number = s->by_offset[s->next];
		const struct blob *b = &f->blobs[number];
		struct err e = ERR_INIT;

		if (b->offset < s->at ||
		    b->stored > zip_bound(BLOB_MAX_RAW) + SEAL_TAG) {
			err_set(&e, ERR_INTEGRITY, "an impossible place");
			blob_bad(s, number, &e);
		} else if ((uint64_t)b->offset + b->stored > end) {
			keep = num_min(b->offset, end);
			break;
		} else if (s->level > VERIFY_CHECKSUMS) {
			check_blob(s, number,
				   s->m->window + (b->offset - s->at));
		}
	}
	s->have = (size_t)(end - keep);
	memmove(s->m->window, s->m->window + (keep - s->at), s->have);
	s->at = keep;
}

static int by_offset(const void *va, const void *vb, void *ctx)
{
	const struct blob *blobs = ctx;
	uint32_t a = blobs[*(const uint32_t *)va].offset;
	uint32_t b = blobs[*(const uint32_t *)vb].offset;

	return (a > b) - (a < b);
}

static void sort_blobs(struct scan *s)
{
	const struct footer *f = &s->use->footer;

	s->by_offset = mem_zalloc(f->blob_count + 1, sizeof(*s->by_offset));
	for (uint32_t i = 0; i < f->blob_count; i++)
		s->by_offset[i] = i;
	qsort_r(s->by_offset, f->blob_count, sizeof(*s->by_offset), by_offset,
		f->blobs);
}

/* The whole body, up to the trailer. */
static int scan_body(struct scan *s, struct hash *sum, struct err *e)
{
	uint64_t body = s->use->size - PACK_TRAILER;
	struct sha256 *h = sha256_new();
	int ok = 0;

	s->next = 0;
	s->at = s->have = 0;
	while (ok == 0 && s->at + s->have < body) {
		uint8_t *to = s->m->window + s->have;
		size_t n = (size_t)num_min(WINDOW - s->have,
					   body - s->at - s->have);

		ok = store_get(s->m->g->v->repo->store, s->name,
			       s->at + s->have, n, to, e);
		if (ok == 0) {
			sha256_add(h, to, n);
			s->have += n;
			check_window(s);
		}
	}
	sha256_end(h, sum);
	sha256_free(h);
	return ok;
}

/* ---- packs ----------------------------------------------------------- */

/* lost: nothing in it can be had any more. */
static void pack_bad(struct round *g, const char *name, enum blob_class class,
		     const struct id *pack, bool lost, const struct err *why)
{
	struct verify *v = g->v;

	pthread_mutex_lock(&v->lock);
	if (lost) {
		damage_add_pack(&v->bad, class, pack);
		g->damage = true;
	}
	damage_add_pack(&v->found, class, pack);
	verify_object_bad(v, name, lost ? VERIFY_PACK_LOST : VERIFY_PACK_SUM,
			  pack, why);
	pthread_mutex_unlock(&v->lock);
}

/* The blobs of a pack whose sum is wrong; can we open them? */
static bool can_open(const struct verify *v, enum blob_class class)
{
	return class == BLOB_NODE || v->repo->keys->has_secret;
}

/* The sum is wrong; that is no damage of the one point that was asked for. */
static void bad_sum(struct scan *s)
{
	struct round *g = s->m->g;
	const struct pack_header *h = &s->use->header;
	bool open = can_open(g->v, h->class);
	struct err e = ERR_INIT;
	struct hash sum;

	if (s->level == VERIFY_CHECKSUMS && open) {
		s->level = VERIFY_SEALS;
		if (scan_body(s, &sum, &e) < 0) {
			if (err_passing(&e)) {
				scan_unread(s, &e);
				return;
			}
			open = false;
		}
	}
	if (s->unread)
		return; /* another time */
	err_set(&e, ERR_INTEGRITY, "its checksum is wrong%s",
		open && !s->bad ? ", though all that is in it can be read"
				: "");
	if (!open || (!s->bad && g->v->o->only == NULL))
		pack_bad(g, s->name, h->class, &h->pack, !open, &e);
}

/* True when all of it was read. */
static bool scan_pack(struct member *m, const char *name,
		      const struct footer_use *use)
{
	struct scan s = { .m = m, .use = use, .name = name };
	struct err e = ERR_INIT;
	struct hash sum;

	s.level = m->g->v->level;
	sort_blobs(&s);
	if (scan_body(&s, &sum, &e) == 0) {
		if (!hash_equal(&sum, &use->sum))
			bad_sum(&s);
	} else if (err_passing(&e)) {
		scan_unread(&s, &e);
	} else {
		pack_bad(m->g, name, use->header.class, &use->header.pack, true,
			 &e);
	}
	free(s.by_offset);
	return !s.unread;
}

/* True when all of it was read, or never can be. */
static bool read_pack(struct member *m, enum blob_class class,
		      const struct id *pack)
{
	struct repo *r = m->g->v->repo;
	struct footer_use use;
	struct err e = ERR_INIT;
	char name[PACK_NAME];

	pack_name(class, pack, name);
	if (footer_load(r->store, r->keys->meta_key, class, pack, &use, &e) <
	    0) {
		if (err_passing(&e)) {
			verify_unread(m->g->v, &e);
			return false;
		}
		pack_bad(m->g, name, class, pack, true, &e);
		return true;
	}
	bool read = scan_pack(m, name, &use);

	footer_fini(&use.footer);
	return read;
}

/* ---- threads --------------------------------------------------------- */

/* Under the lock: the next pack, or NULL.  The first is read however late it
 * is: every run gets on. */
static const struct usage_pack *take_pack(struct round *g)
{
	if (g->stopped || g->next == g->count)
		return NULL;
	if (g->deadline != 0 && g->next > 0 &&
	    clock_steady_ns() >= g->deadline) {
		g->late = true;
		return NULL;
	}
	return &g->v->usage.packs[g->order[g->next++].pack];
}

static void pack_done(struct round *g, const struct usage_pack *p)
{
	struct verify_result *r = g->v->result;

	pthread_mutex_lock(&g->v->lock);
	checked_add(g->done, &p->id, (uint8_t)g->v->level, clock_wall_ns());
	r->packs_read++;
	r->bytes_read += p->size;
	g->read += p->size;
	talk_progress(g->v->o->talk, "packs", g->read, g->all);
	pthread_mutex_unlock(&g->v->lock);
}

static int read_packs(struct member *m, struct err *e)
{
	struct round *g = m->g;

	for (;;) {
		if (verify_alive(g->v, e) < 0)
			return -1;
		pthread_mutex_lock(&g->v->lock);
		const struct usage_pack *p = take_pack(g);

		pthread_mutex_unlock(&g->v->lock);
		if (p == NULL)
			return 0;
		if (read_pack(m, p->class, &p->id))
			pack_done(g, p);
	}
}

static int work(void *ctx, unsigned number, struct err *e)
{
	struct member m = { .g = ctx };
	int ok = -1;

	(void)number;
	m.fetch = fetch_new(m.g->v->repo, e);
	m.window = m.fetch != NULL ? mem_try(WINDOW, 1) : NULL;
	m.raw = m.window != NULL ? mem_try(BLOB_MAX_RAW, 1) : NULL;
	if (m.raw != NULL)
		ok = read_packs(&m, e);
	else if (m.fetch != NULL)
		err_set(e, ERR_FAILED, "no memory to read packs");
	free(m.raw);
	free(m.window);
	fetch_free(m.fetch);
	return ok;
}

static void stop(void *ctx)
{
	struct round *g = ctx;

	pthread_mutex_lock(&g->v->lock);
	g->stopped = true;
	pthread_mutex_unlock(&g->v->lock);
}

/* ---- rounds ---------------------------------------------------------- */

/* Never verified first, then the longest ago. */
static int by_age(const void *va, const void *vb)
{
	const struct order *a = va;
	const struct order *b = vb;

	if (a->when != b->when)
		return a->when < b->when ? -1 : 1;
	return (a->pack > b->pack) - (a->pack < b->pack);
}

/* Packs in use that were not read yet. */
static void make_order(struct round *g, const struct checked *c)
{
	struct usage *u = &g->v->usage;

	g->order = mem_zalloc(u->count + 1, sizeof(*g->order));
	for (size_t i = 0; i < u->count; i++) {
		struct usage_pack *p = &u->packs[i];

		if (p->used == NULL || p->done)
			continue;
		p->done = true;
		g->all += p->size;
		g->order[g->count++] =
			(struct order){ (uint32_t)i,
					checked_when(c, &p->id,
						     (uint8_t)g->v->level) };
	}
	qsort(g->order, g->count, sizeof(*g->order), by_age);
}

static int run_round(struct round *g, struct err *e)
{
	struct team t = { .ctx = g, .work = work, .stop = stop };

	t.members = g->v->o->threads != 0 ? g->v->o->threads : team_size(0);
	t.members = (unsigned)num_min(t.members, TEAM_MAX);
	return team_run(&t, e);
}

/* What was found may make other packs needed: they are read, too. */
static int all_rounds(struct verify *v, const struct checked *before,
		      struct checked *done, struct err *e)
{
	int64_t deadline = 0;
	bool late = false;

	if (v->o->max_time_ms != 0)
		deadline =
			clock_steady_ns() +
			(int64_t)num_min(v->o->max_time_ms, 1u << 31) * 1000000;
	for (;;) {
		struct round g = { .v = v, .done = done, .deadline = deadline };

		make_order(&g, before);
		int ok = g.count > 0 ? run_round(&g, e) : 0;

		free(g.order);
		late |= g.late;
		if (ok < 0)
			return -1;
		if (!g.damage)
			break;
		if (verify_walk(v, e) < 0)
			return -1;
	}
	v->result->complete = !late;
	return 0;
}

/* ---- what was verified when ------------------------------------------ */

/* Of packs that are still in use. */
static void keep_old(struct verify *v, const struct checked *before,
		     struct checked *now)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct checked_pack *c = &before->packs[i];
		const struct usage_pack *p = usage_find(&v->usage, &c->pack);

		if (p != NULL && (p->used != NULL || v->o->only != NULL))
			checked_add(now, &c->pack, c->level, c->time_ns);
	}
}

static void summary(struct verify *v, const struct checked *now)
{
	struct verify_result *r = v->result;
	int64_t recent = clock_wall_ns() - RECENT_NS;
	int64_t oldest = INT64_MAX;

	r->bytes = r->bytes_recent = r->bytes_ever = r->packs = 0;
	for (size_t i = 0; i < v->usage.count; i++) {
		const struct usage_pack *p = &v->usage.packs[i];

		if (p->used == NULL && v->walked)
			continue;
		int64_t when = checked_when(now, &p->id, VERIFY_CHECKSUMS);

		r->packs++;
		r->bytes += p->size;
		r->bytes_ever += when != 0 ? p->size : 0;
		r->bytes_recent += when >= recent && when != 0 ? p->size : 0;
		oldest = when < oldest ? when : oldest;
	}
	r->oldest_ns = r->packs > 0 ? oldest : 0;
}

/* One note of all, where those that it replaces can be deleted. */
static int save(struct verify *v, struct checked *before, struct checked *now,
		struct err *e)
{
	struct err ignored = ERR_INIT;

	if (now->count == 0)
		return 0;
	if (repo_need(v->repo, NEED_KEEP, &ignored) == 0) {
		keep_old(v, before, now);
		now->notes = before->notes;
		now->note_count = before->note_count;
		before->notes = NULL;
		before->note_count = 0;
	}
	checked_sort(now);
	return checked_put(v->repo, now, e);
}

int verify_packs(struct verify *v, struct err *e)
{
	AUTO(checked_fini) struct checked before = { .count = 0 };
	AUTO(checked_fini) struct checked now = { .count = 0 };
	struct err why = ERR_INIT;
	int ok = 0;

	if (checked_load(v->repo, &before, e) < 0)
		return -1;
	v->result->complete = true;
	if (verify_reads(v)) {
		ok = all_rounds(v, &before, &now, e);
		if (save(v, &before, &now, &why) < 0)
			talk_say(v->o->talk, TALK_WARN, "%s", why.msg);
	}
	for (size_t i = 0; i < before.count; i++)
		checked_add(&now, &before.packs[i].pack, before.packs[i].level,
			    before.packs[i].time_ns);
	checked_sort(&now);
	summary(v, &now);
	return ok;
}
