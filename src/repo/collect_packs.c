/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/collect_internal.h"

#define BATCH 2048

/* ---- what is there ------------------------------------------------------ */

static struct pack_rec *pack_new(struct step *s, const struct id *id)
{
	if (s->pack_count == s->pack_room) {
		s->pack_room = s->pack_room > 0 ? 2 * s->pack_room : 256;
		s->packs = mem_grow(s->packs, s->pack_room, sizeof(*s->packs));
	}
	idmap_put(&s->pack_by_id, id, (uint32_t)s->pack_count);
	struct pack_rec *p = &s->packs[s->pack_count++];

	*p = (struct pack_rec){ .id = *id };
	return p;
}

struct pack_rec *pack_find(struct step *s, const struct id *id)
{
	uint32_t i;

	return idmap_get(&s->pack_by_id, id, &i) ? &s->packs[i] : NULL;
}

static int see_pack(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	struct step *s = ctx;
	char own[PACK_NAME];
	enum blob_class class = *name == 'd' ? BLOB_DATA : BLOB_NODE;
	struct id id;

	(void)e;
	const char *base = strrchr(name, '/');

	/* whatever else lies there is not ours */
	if (strlen(base + 1) != ID_TEXT - 1 ||
	    !hex_decode(base + 1, id.b, ID_SIZE))
		return 0;
	pack_name(class, &id, own);
	if (strcmp(own, name) != 0 || pack_find(s, &id) != NULL)
		return 0;
	struct pack_rec *p = pack_new(s, &id);

	p->class = class;
	p->size = st->size;
	return 0;
}

int packs_list(struct step *s, struct err *e)
{
	struct store *store = s->c->repo->store;

	if (store_list(store, "meta/", see_pack, s, e) < 0 ||
	    store_list(store, "data/", see_pack, s, e) < 0)
		return err_ctx(e, "cannot list the packs");
	return 0;
}

uint32_t packs_add(struct step *s, const struct segment_pack *p)
{
	struct pack_rec *rec = pack_new(s, &p->id);

	rec->class = p->class;
	rec->size = p->size;
	rec->blobs = p->blobs;
	rec->live = p->blobs;
	rec->named = true;
	return (uint32_t)(rec - s->packs);
}

/* ---- the tables of segments --------------------------------------------- */

static void see_row(struct step *s, struct marked *m, uint32_t i,
		    const struct segment_pack *row)
{
	struct pack_rec *p = pack_find(s, &row->id);

	m->packs[i] = UINT32_MAX;
	if (p == NULL || p->class != row->class)
		return;
	m->packs[i] = (uint32_t)(p - s->packs);
	p->odd |= p->named && p->blobs != row->blobs;
	p->blobs = p->named && p->blobs > row->blobs ? p->blobs : row->blobs;
	/* a writer's table is not believed: see fill_keys() */
	if (m->about.generation == SEGMENT_COLLECTED)
		p->key = row->key;
	p->named = true;
	p->indexed |= m->listed || m->before;
}

static void add_missing(struct step *s, const struct segment_pack *row)
{
	struct pack_rec *p;

	if (pack_find(s, &row->id) != NULL ||
	    locations_pack(&s->now.doomed, &row->id) != NULL ||
	    locations_pack(&s->before.doomed, &row->id) != NULL)
		return;
	p = pack_new(s, &row->id);
	p->class = row->class;
	p->size = row->size;
	p->missing = true;
}

/*
 * A folder that is not mounted, or a copy of the repository that is not whole
 * yet: what lies there may come back.  So entries in such packs stay, as
 * frail, and what is there is not taken for nobody's later on.
 */
int packs_missing(struct step *s, struct err *e)
{
	for (size_t i = 0; i < s->marked_count; i++) {
		const struct marked *m = &s->marked[i];
		struct segment_pack row;

		for (uint32_t k = 0;
		     k < m->about.packs && (m->listed || m->before); k++) {
			if (index_segment_packs(m->segment, k, &row, 1, e) < 0)
				return -1;
			add_missing(s, &row);
		}
	}
	return 0;
}

static int read_table(struct step *s, struct marked *m, struct err *e)
{
	struct segment_pack rows[64];

	m->packs = mem_zalloc((size_t)m->about.packs + 1, sizeof(*m->packs));
	for (uint32_t i = 0; i < m->about.packs;) {
		size_t n = (size_t)num_min(64, m->about.packs - i);

		if (index_segment_packs(m->segment, i, rows, n, e) < 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			see_row(s, m, i++, &rows[k]);
	}
	return 0;
}

/* Where the bits of each pack's blobs are. */
static int make_bits(struct step *s, struct err *e)
{
	size_t words = 0;

	for (size_t i = 0; i < s->pack_count; i++) {
		if (s->packs[i].blobs > PACK_MAX_BLOBS)
			s->packs[i].odd = true;
		s->packs[i].bits = words;
		words += bit_words(num_min(s->packs[i].blobs, PACK_MAX_BLOBS));
	}
	s->blob_bits = mem_try(words + 1, sizeof(uint64_t));
	if (s->blob_bits == NULL)
		return err_set(e, ERR_FAILED, "no memory for %zu packs",
			       s->pack_count);
	return 0;
}

/* ---- from entries to blobs ---------------------------------------------- */

static int mark_blob(struct step *s, const struct marked *m,
		     const struct segment_entry_new *n, struct err *e)
{
	if (n->pack >= m->about.packs || m->packs[n->pack] == UINT32_MAX)
		return err_set(e, ERR_INTEGRITY,
			       "nothing was collected, for segment '%s' names "
			       "a pack that is not there ('vmkeep verify' "
			       "tells more)",
			       index_segment_name(m->segment));
	struct pack_rec *p = &s->packs[m->packs[n->pack]];

	if (n->blob >= p->blobs || n->blob >= PACK_MAX_BLOBS) {
		p->odd = true;
	} else if (!bit_get(s->blob_bits + p->bits, n->blob)) {
		bit_set(s->blob_bits + p->bits, n->blob);
		p->live++;
	}
	return 0;
}

static bool any_bit(const uint64_t *bits, uint64_t from, uint64_t end)
{
	for (uint64_t w = from / 64; w <= (end - 1) / 64; w++)
		if (bits[w] != 0)
			return true;
	return false;
}

static int mark_blobs(struct step *s, const struct marked *m,
		      struct segment_entry_new *room, struct err *e)
{
	uint64_t entries = m->about.nodes + m->about.chunks;

	for (uint64_t i = 0; i < entries; i += BATCH) {
		size_t n = (size_t)num_min(BATCH, entries - i);

		if (!any_bit(m->bits, i, i + n))
			continue;
		if (index_segment_entries(m->segment, i, room, n, e) < 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			if (bit_get(m->bits, i + k) &&
			    mark_blob(s, m, &room[k], e) < 0)
				return -1;
	}
	return step_alive(s, e);
}

/* The keys of packs that no collector has named before: their footers say, and
 * vouch for it.  What cannot be read keeps no key, and then no key goes. */
static int fill_keys(struct step *s, struct err *e)
{
	for (size_t i = 0; i < s->pack_count; i++) {
		struct pack_rec *p = &s->packs[i];
		const struct footer_use *use;

		if (p->indexed || p->live == 0 || p->class != BLOB_DATA)
			continue;
		use = footers_get(s->view.footers, p->class, &p->id, e);
		if (use != NULL)
			p->key = use->header.key;
		else if (e->code != ERR_INTEGRITY)
			return -1;
		err_clear(e);
		footers_put(s->view.footers, use);
	}
	return 0;
}

int packs_mark(struct step *s, struct err *e)
{
	autofree struct segment_entry_new *room =
		mem_zalloc(BATCH, sizeof(*room));

	for (size_t i = 0; i < s->marked_count; i++)
		if (read_table(s, &s->marked[i], e) < 0)
			return -1;
	if (make_bits(s, e) < 0)
		return -1;
	for (size_t i = 0; i < s->marked_count; i++)
		if (s->marked[i].count > 0 &&
		    mark_blobs(s, &s->marked[i], room, e) < 0)
			return -1;
	return fill_keys(s, e);
}

/* ---- judging ------------------------------------------------------------- */

/*
 * Whose is a pack that no index names?  Only its own header tells.  1 its
 * session is over, 0 it is open, or it cannot be told.
 */
static int is_orphan(struct step *s, struct pack_rec *p, struct err *e)
{
	uint8_t head[PACK_HEADER];
	struct pack_header h;
	struct err why = ERR_INIT;
	char name[PACK_NAME];

	pack_name(p->class, &p->id, name);
	if (store_get(s->c->repo->store, name, 0, sizeof(head), head, &why) ==
		    0 &&
	    pack_header_decode(head, &h, &why) == 0 &&
	    same_id(&h.pack, &p->id)) {
		p->key = h.key;
		return session_over(s->c, &h.session, e);
	}
	if (why.code == ERR_NOT_FOUND)
		return 0;
	if (why.code != ERR_INTEGRITY && why.code != ERR_NONE) {
		*e = why;
		return -1;
	}
	s->c->result->left_alone++;
	p->odd = true;
	talk_say(s->c->o.talk, TALK_WARN,
		 "pack '%s' is left alone: its header is damaged, so it cannot "
		 "be told whose it is",
		 name);
	return 0;
}

/* 1 it may be condemned, 0 it may not, -1. */
static int may_go(struct step *s, struct pack_rec *p, struct err *e)
{
	if (p->odd && p->live > 0)
		return 0;
	return p->indexed ? 1 : is_orphan(s, p, e);
}

/*
 * Packs are condemned as a whole, once nothing in them is in use (or all that
 * is has been moved): deleting a part of one is not possible, so naming dead
 * parts would only make generations long.
 */
static int judge(struct step *s, struct pack_rec *p, struct err *e)
{
	bool doomed = locations_pack(&s->now.doomed, &p->id) != NULL;
	bool condemned = locations_pack(&s->now.condemned, &p->id) != NULL;
	struct locations *to = &s->next.condemned;

	if (p->missing || (p->live > 0 && !p->moving))
		return 0;
	if (doomed || (condemned && !p->moving)) {
		to = &s->next.doomed;
	} else {
		int may = may_go(s, p, e);

		if (may <= 0)
			return may;
	}
	locations_add_pack(to, p->class, &p->id);
	s->c->result->waiting_packs++;
	s->c->result->waiting_bytes += p->size;
	return 0;
}

int packs_judge(struct step *s, struct err *e)
{
	s->c->result->waiting_packs = 0;
	s->c->result->waiting_bytes = 0;
	s->c->result->left_alone = 0;
	for (size_t i = 0; i < s->pack_count; i++)
		if (judge(s, &s->packs[i], e) < 0)
			return -1;
	locations_sort(&s->next.condemned);
	locations_sort(&s->next.doomed);
	return 0;
}

/* ---- notes of damage -------------------------------------------------------
 */

/* A pack of which this step's marks do not tell whether it is in use: put
 * since they were made, or one of a session that no index has yet. */
static bool is_untold(struct step *s, const struct id *pack)
{
	const struct pack_rec *p = pack_find(s, pack);

	return p != NULL && !p->missing && !p->indexed &&
	       locations_pack(&s->next.condemned, pack) == NULL &&
	       locations_pack(&s->next.doomed, pack) == NULL;
}

/* 1 it is there, though it was not when the packs were listed; 0; -1. */
static int is_new(struct step *s, enum blob_class class, const struct id *pack,
		  struct err *e)
{
	char name[PACK_NAME];
	struct store_stat st;

	if (pack_find(s, pack) != NULL)
		return 0;
	pack_name(class, pack, name);
	if (store_stat(s->c->repo->store, name, &st, e) == 0)
		return 1;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	return 0;
}

static bool blob_in_use(struct step *s, const struct id *pack, uint32_t blob)
{
	const struct pack_rec *p = pack_find(s, pack);

	if (p == NULL || p->live == 0 || p->moving)
		return is_untold(s, pack);
	return p->odd || blob >= p->blobs ||
	       bit_get(s->blob_bits + p->bits, blob);
}

static int pack_in_use(struct step *s, const struct pack_locations *p,
		       struct err *e)
{
	const struct pack_rec *rec = pack_find(s, &p->pack);
	bool used = is_untold(s, &p->pack) ||
		    (rec != NULL && rec->live > 0 && !rec->moving && p->whole);

	for (uint32_t i = 0; i < p->count && !used; i++)
		used = blob_in_use(s, &p->pack, p->blobs[i]);
	return used ? 1 : is_new(s, p->class, &p->pack, e);
}

static int node_in_use(struct step *s, const struct place *p, struct err *e)
{
	return blob_in_use(s, &p->pack, p->blob)
		       ? 1
		       : is_new(s, BLOB_NODE, &p->pack, e);
}

/* 1, 0, -1. */
static int damage_in_use(struct step *s, const struct damage *d, struct err *e)
{
	int used = 0;

	for (size_t i = 0; i < d->places.count && used == 0; i++)
		used = pack_in_use(s, &d->places.packs[i], e);
	for (size_t i = 0; i < d->count && used == 0; i++)
		used = node_in_use(s, &d->nodes[i], e);
	return used;
}

/* A note that cannot be read stays: verify tells of it. */
static int clean_note(struct step *s, const char *name, struct err *e)
{
	AUTO(damage_fini) struct damage d = { 0 };
	struct err why = ERR_INIT;

	if (damage_load_note(s->c->repo, name, &d, &why) < 0)
		return 0;
	damage_sort(&d);
	int used = damage_in_use(s, &d, e);

	return used == 0 ? drop(s->c, name, e) : used;
}

int notes_clean(struct step *s, struct err *e)
{
	AUTO(names_fini) struct names notes = { NULL, 0, 0 };

	if (damage_empty(&s->damage))
		return 0;
	if (names_list(s->c, DAMAGE_PREFIX, &notes, e) < 0)
		return -1;
	for (size_t i = 0; i < notes.count; i++)
		if (clean_note(s, notes.items[i], e) < 0)
			return -1;
	return 0;
}

/* ---- data keys ------------------------------------------------------------
 */

/* Blobs that were moved are sealed under the keys of where they come from,
 * and only their pack's footer has these. */
static int add_origins(struct step *s, const struct pack_rec *p,
		       struct idset *used, struct err *e)
{
	const struct footer_use *use =
		footers_get(s->view.footers, p->class, &p->id, e);

	if (use == NULL)
		return -1;
	for (uint32_t i = 0; i < use->footer.blob_count; i++)
		if (use->footer.blobs[i].moved)
			idset_add(used, use->footer.blobs[i].origin.key.b);
	idset_add(used, use->header.key.b);
	footers_put(s->view.footers, use);
	return 0;
}

/* 1 all keys in use are known, 0 they are not, -1. */
static int used_keys(struct step *s, struct idset *used, struct err *e)
{
	for (size_t i = 0; i < s->pack_count; i++) {
		const struct pack_rec *p = &s->packs[i];

		if (p->class != BLOB_DATA || (p->missing && p->live == 0))
			continue;
		if (!bytes_zero(p->key.b, ID_SIZE)) {
			idset_add(used, p->key.b);
		} else if (add_origins(s, p, used, e) < 0) {
			/* who knows what is in it: all keys stay */
			if (e->code != ERR_INTEGRITY &&
			    e->code != ERR_NOT_FOUND)
				return -1;
			err_clear(e);
			return 0;
		}
	}
	return 1;
}

/* 1 it can go, 0 it stays, -1. */
static int key_is_spent(struct step *s, const char *name,
			const struct idset *used, struct err *e)
{
	struct err why = ERR_INIT;
	struct id key, session;

	if (name_id(name, &key) && idset_has(used, key.b))
		return 0;
	/* what is damaged stays: nobody knows what it was */
	if (data_key_session(s->c->repo, name, &key, &session, &why) < 0)
		return 0;
	return idset_has(used, key.b) ? 0 : session_over(s->c, &session, e);
}

/*
 * Keys were listed before sessions, and outcomes before packs: so the packs of
 * a session that is over are all there, and a key that none of them uses is
 * none's.
 */
int keys_clean(struct step *s, struct err *e)
{
	AUTO(idset_fini) struct idset used = IDSET_INIT;
	struct collect *c = s->c;
	int known = c->rings.count > 0 ? used_keys(s, &used, e) : 0;

	if (known <= 0)
		return known;
	for (size_t i = 0; i < c->rings.count; i++) {
		const char *name = c->rings.items[i];
		int spent = key_is_spent(s, name, &used, e);

		if (spent < 0 || (spent == 1 && drop(c, name, e) < 0))
			return -1;
	}
	return 0;
}
