/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index_rebuild.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "repo/generation.h"
#include "repo/idset.h"
#include "repo/internal.h"
#include "repo/obj.h"
#include "repo/pack.h"
#include "repo/session.h"

/* Packs that go into one segment of all: about a million entries. */
#define PACKS_A_SEGMENT 1024

DEFINE_AUTO(index_free, struct index *);

struct listed_pack {
	struct id id;
	enum blob_class class;
};

struct packs {
	struct listed_pack *list;
	size_t count, room;
};

static void packs_fini(struct packs *p)
{
	free(p->list);
}

static void packs_add(struct packs *p, const struct listed_pack *one)
{
	if (p->count == p->room) {
		p->room = p->room > 0 ? 2 * p->room : 1024;
		p->list = mem_grow(p->list, p->room, sizeof(*p->list));
	}
	p->list[p->count++] = *one;
}

/* ---- which packs there are ------------------------------------------- */

static int note_pack(void *ctx, const char *name, const struct store_stat *st,
		     struct err *e)
{
	const char *hex = strrchr(name, '/');
	struct listed_pack one = { .class = name[0] == 'd' ? BLOB_DATA
							   : BLOB_NODE };

	(void)st;
	(void)e;
	if (hex != NULL && strlen(hex + 1) == ID_TEXT - 1 &&
	    hex_decode(hex + 1, one.id.b, ID_SIZE))
		packs_add(ctx, &one);
	return 0;
}

static int list_packs(struct repo *r, struct packs *p, struct err *e)
{
	return store_list(r->store, "meta/", note_pack, p, e) < 0
		       ? -1
		       : store_list(r->store, "data/", note_pack, p, e);
}

/* 1 when the pack is the session's; 0 when not, or when that cannot be read,
 * or when it is gone meanwhile. */
static int is_of(struct repo *r, const struct listed_pack *one,
		 const struct id *session, struct index_rebuilt *out,
		 struct err *e)
{
	uint8_t head[PACK_HEADER];
	struct pack_header h;
	char name[PACK_NAME];

	pack_name(one->class, &one->id, name);
	if (store_get(r->store, name, 0, sizeof(head), head, e) == 0 &&
	    pack_header_decode(head, &h, e) == 0)
		return memcmp(h.session.b, session->b, ID_SIZE) == 0;
	if (e->code != ERR_NOT_FOUND && e->code != ERR_INTEGRITY)
		return -1;
	out->unread += e->code == ERR_INTEGRITY;
	err_clear(e);
	return 0;
}

/* Those of a session that are not in `but`. */
static int packs_of(struct repo *r, const struct id *session,
		    const struct idset *but, struct packs *p,
		    struct index_rebuilt *out, struct err *e)
{
	AUTO(packs_fini) struct packs all = { .list = NULL };

	if (list_packs(r, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		if (idset_has(but, all.list[i].id.b))
			continue;
		int of = is_of(r, &all.list[i], session, out, e);

		if (of < 0)
			return -1;
		if (of == 1)
			packs_add(p, &all.list[i]);
	}
	return 0;
}

/* ---- a segment from footers ------------------------------------------ */

/* A segment as it grows. */
struct growing {
	struct segment_pack *packs;
	size_t pack_count;
	struct segment_entry_new *entries;
	size_t count, room;
};

static void growing_fini(struct growing *g)
{
	free(g->packs);
	free(g->entries);
}

static void add_entry(struct growing *g, const struct hash *id, uint32_t blob,
		      uint8_t slot)
{
	if (g->count == g->room) {
		g->room = g->room > 0 ? 2 * g->room : 4096;
		g->entries = mem_grow(g->entries, g->room, sizeof(*g->entries));
	}
	struct segment_entry_new *n = &g->entries[g->count++];

	memcpy(n->prefix, id->b, sizeof(n->prefix));
	n->pack = (uint32_t)g->pack_count;
	n->blob = blob;
	n->slot = slot;
}

static void add_footer(struct growing *g, const struct footer_use *use)
{
	const struct footer *f = &use->footer;
	struct segment_pack p = {
		.id = use->header.pack,
		.class = use->header.class,
		.blobs = f->blob_count,
		.size = (uint32_t)use->size,
		.key = use->header.key,
	};

	for (uint32_t i = 0; i < f->blob_count; i++) {
		const struct blob *b = &f->blobs[i];

		if (b->moved)
			memset(&p.key, 0, sizeof(p.key));
		for (uint32_t k = 0; k < b->slots; k++)
			add_entry(g, &f->slots[b->first + k].id, i, (uint8_t)k);
	}
	g->packs = mem_grow(g->packs, g->pack_count + 1, sizeof(*g->packs));
	g->packs[g->pack_count++] = p;
}

/* Packs that are gone or damaged are left out. */
static int read_footers(struct repo *r, const struct listed_pack *list,
			size_t count, struct growing *g,
			struct index_rebuilt *out, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct footer_use use;

		if (footer_load(r->store, r->keys->meta_key, list[i].class,
				&list[i].id, &use, e) == 0) {
			add_footer(g, &use);
			footer_fini(&use.footer);
			continue;
		}
		if (e->code != ERR_NOT_FOUND && e->code != ERR_INTEGRITY)
			return -1;
		out->unread += e->code == ERR_INTEGRITY;
		err_clear(e);
	}
	return 0;
}

/* Also where something damaged has the name: nothing of it can be used. */
static int put_over(struct repo *r, const char *name, struct segment_new *s,
		    struct err *e)
{
	AUTO(buf_fini) struct buf body = BUF_INIT;
	AUTO(buf_fini) struct buf sealed = BUF_INIT;

	segment_encode(s, &body);
	if (obj_seal(r->keys, name, &body, &sealed, e) < 0)
		return -1;
	struct iovec iov = { .iov_base = sealed.p, .iov_len = sealed.len };

	return store_put(r->store, name, &iov, 1, e);
}

static int rebuild(struct repo *r, const char *name, struct segment_new *s,
		   const struct listed_pack *list, size_t count,
		   struct index_rebuilt *out, struct err *e)
{
	AUTO(growing_fini) struct growing g = { .packs = NULL };

	if (read_footers(r, list, count, &g, out, e) < 0)
		return -1;
	s->packs = g.packs;
	s->pack_count = g.pack_count;
	s->entries = g.entries;
	s->entry_count = g.count;
	if (put_over(r, name, s, e) < 0)
		return err_ctx(e, "cannot rebuild '%s'", name);
	out->segments++;
	out->packs += g.pack_count;
	out->entries += g.count;
	return 0;
}

/* ---- a set's --------------------------------------------------------- */

/* A session's segments that are lost, and what its others name. */
struct lost {
	struct id session;
	const char **names;
	size_t count;
	struct idset packs;
};

static void lost_fini(struct lost *l)
{
	free(l->names);
	idset_fini(&l->packs);
}

static int note_packs(const struct index_segment *s, struct lost *l,
		      struct err *e)
{
	struct index_about about;
	struct segment_pack p;

	index_segment_about(s, &about);
	for (uint32_t i = 0; i < about.packs; i++) {
		if (index_segment_packs(s, i, &p, 1, e) < 0)
			return -1;
		idset_add(&l->packs, p.id.b);
	}
	return 0;
}

/* Of those that the set names.  The cache is not asked: it may have what the
 * store has lost. */
static int find_lost(struct repo *r, const struct set *set, struct lost *l,
		     struct err *e)
{
	AUTO(index_free_at)
	struct index *ix = index_new(&(struct index_parts){
		.store = r->store, .keys = r->keys, .footers = r->footers });
	char own[SEGMENT_NAME];

	segment_name(&l->session, 0, own);
	size_t n = strlen(own) - 1; /* without its number */

	l->names = mem_zalloc(set->segment_count, sizeof(*l->names));
	for (size_t i = 0; i < set->segment_count; i++) {
		const char *name = set->segments[i];

		if (strncmp(name, own, n) != 0)
			continue;
		if (index_open_segment(ix, name, e) == 0) {
			if (note_packs(index_segment_named(ix, name), l, e) < 0)
				return -1;
			continue;
		}
		if (e->code != ERR_NOT_FOUND && e->code != ERR_INTEGRITY)
			return -1;
		err_clear(e);
		l->names[l->count++] = name;
	}
	return 0;
}

/*
 * As much is leaned on as the set names: it is no less than what was.  Of
 * another session it is not known which segments it had, and what those leaned
 * on: what is made of all its packs says that it is for readers and collectors
 * only.
 */
static int rebuild_lost(struct repo *r, const struct set *set,
			const struct lost *l, struct index_rebuilt *out,
			struct err *e)
{
	AUTO(packs_fini) struct packs p = { .list = NULL };
	autofree char **leans = mem_zalloc(set->segment_count, sizeof(*leans));
	bool own = memcmp(l->session.b, set->session.b, ID_SIZE) == 0;

	if (packs_of(r, &l->session, &l->packs, &p, out, e) < 0)
		return -1;
	size_t each = num_parts(p.count, l->count), from = 0;

	for (size_t i = 0; i < l->count; i++) {
		struct segment_new s = { .session = l->session,
					 .generation = own ? set->generation
							   : SEGMENT_COLLECTED,
					 .leans = leans };
		size_t n = num_min(each, p.count - from);

		for (size_t k = 0; own && k < set->segment_count; k++)
			if (strcmp(set->segments[k], l->names[i]) != 0)
				leans[s.lean_count++] = set->segments[k];
		if (rebuild(r, l->names[i], &s, p.list + from, n, out, e) < 0)
			return -1;
		from += n;
	}
	return 0;
}

/* A writer may do its own kind of segments, an owner the collector's, too. */
static int may_write(const struct repo *r, const struct id *session,
		     const struct set *set, struct err *e)
{
	const struct keyring *k = r->keys;
	bool own = memcmp(session->b, set->session.b, ID_SIZE) == 0;

	if (k->has_sign &&
	    (k->role == ROLE_OWNER || (own && k->role == ROLE_WRITER)))
		return 0;
	return err_set(e, ERR_REFUSED,
		       "this key cannot write index segments; use the owner's");
}

static int rebuild_session(struct repo *r, const struct set *set,
			   const struct id *session, struct index_rebuilt *out,
			   struct err *e)
{
	AUTO(lost_fini)
	struct lost l = { .session = *session, .packs = IDSET_INIT };

	if (find_lost(r, set, &l, e) < 0)
		return -1;
	if (l.count == 0)
		return 0;
	return may_write(r, session, set, e) < 0
		       ? -1
		       : rebuild_lost(r, set, &l, out, e);
}

/* The session that a segment's name tells. */
static bool session_of(const char *name, struct id *session)
{
	char hex[ID_TEXT];

	if (strncmp(name, "idx/", 4) != 0 || strlen(name) < 4 + ID_TEXT - 1)
		return false;
	memcpy(hex, name + 4, ID_TEXT - 1);
	hex[ID_TEXT - 1] = '\0';
	return hex_decode(hex, session->b, ID_SIZE);
}

/* 1 the set's segments may still be needed, 0, -1. */
static int is_recent(struct repo *r, const struct set *set, struct err *e)
{
	uint64_t newest;

	if (generation_newest(r->store, &newest, e) < 0)
		return -1;
	return set->generation + 1 >= newest;
}

int index_rebuild_set(struct repo *r, const struct set *set,
		      struct index_rebuilt *out, struct err *e)
{
	int recent = is_recent(r, set, e);

	return recent == 1 ? rebuild_session(r, set, &set->session, out, e)
			   : recent;
}

int index_rebuild_leans(struct repo *r, const struct set *set,
			struct index_rebuilt *out, struct err *e)
{
	AUTO(idset_fini) struct idset done = IDSET_INIT;
	int recent = is_recent(r, set, e);

	idset_add(&done, set->session.b);
	for (size_t i = 0; i < set->segment_count && recent == 1; i++) {
		struct id session;

		if (session_of(set->segments[i], &session) &&
		    idset_add(&done, session.b) &&
		    rebuild_session(r, set, &session, out, e) < 0)
			return -1;
	}
	return recent < 0 ? -1 : 0;
}

/* ---- all ------------------------------------------------------------- */

/* One that nobody has written in: whoever was killed in his has lost it. */
static int open_fresh(struct repo *r, const char *host, struct session *s,
		      struct err *e)
{
	while (session_open(r, host, s, e) == 0) {
		if (!s->adopted)
			return 0;
		int ended = session_end_empty(r, s, host, e);

		session_close(s, ended == 0);
		if (ended < 0)
			return -1;
	}
	return -1;
}

static int write_all(struct repo *r, struct session *s, struct set *set,
		     struct index_rebuilt *out, struct err *e)
{
	AUTO(packs_fini) struct packs p = { .list = NULL };

	if (list_packs(r, &p, e) < 0)
		return -1;
	size_t count = num_parts(p.count, PACKS_A_SEGMENT);

	set->segments = mem_zalloc(count + 1, sizeof(*set->segments));
	for (size_t i = 0; i < count; i++) {
		struct segment_new n = { .session = s->id,
					 .generation = SEGMENT_COLLECTED };
		size_t from = i * PACKS_A_SEGMENT;
		char name[SEGMENT_NAME];

		segment_name(&s->id, (unsigned)i, name);
		if (session_beat(r, s, e) < 0 ||
		    rebuild(r, name, &n, p.list + from,
			    num_min(PACKS_A_SEGMENT, p.count - from), out,
			    e) < 0)
			return -1;
		set->segments[set->segment_count++] = mem_strdup(name);
	}
	return 0;
}

int index_rebuild_all(struct repo *r, const char *host,
		      struct index_rebuilt *out, struct err *e)
{
	AUTO(set_fini) struct set set = { .point_count = 0 };
	struct session s;

	if (r->keys->role != ROLE_OWNER)
		return err_set(e, ERR_REFUSED,
			       "only the owner's key can rebuild the index");
	if (open_fresh(r, host, &s, e) < 0)
		return -1;
	set.session = s.id;
	set.generation = s.generation;
	set.time_ns = clock_wall_ns();
	set.host = mem_strdup(host);
	set.program = mem_strdup("vmkeep");
	attrs_set(&set.attrs, "repair", "index");
	int ok = write_all(r, &s, &set, out, e);

	if (ok == 0)
		ok = session_commit(r, &s, &set, e);
	session_close(&s, ok == 0);
	return ok;
}
