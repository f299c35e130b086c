/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/collect_internal.h"
#include "repo/obj.h"

/* Entries of one segment: 50 MiB stored, 110 MiB of memory while it is
 * written. */
#define SEGMENT_ENTRIES (2u << 20)

/* ---- a row of segments --------------------------------------------------- */

/* Takes merged entries and makes segments of them, each of a range of its
 * own. */
struct row {
	struct step *step;
	bool frail;
	struct segment_entry_new *entries; /* pack: number in the table */
	size_t count, room;
	struct segment_pack *packs;
	size_t pack_count, pack_room;
	uint32_t *number; /* of each pack_rec in the table, and 1 */
};

static uint32_t table_number(struct row *w, uint32_t rec)
{
	const struct pack_rec *p = &w->step->packs[rec];

	if (w->number[rec] > 0)
		return w->number[rec] - 1;
	if (w->pack_count == w->pack_room) {
		w->pack_room = w->pack_room > 0 ? 2 * w->pack_room : 64;
		w->packs = mem_grow(w->packs, w->pack_room, sizeof(*w->packs));
	}
	w->packs[w->pack_count] = (struct segment_pack){
		.id = p->id,
		.class = p->class,
		.blobs = p->blobs,
		.size = (uint32_t)p->size,
		.key = p->key,
	};
	w->number[rec] = (uint32_t)++w->pack_count;
	return w->number[rec] - 1;
}

/* The next segment begins with an empty table. */
static void row_clear(struct row *w)
{
	for (size_t i = 0; i < w->step->pack_count; i++)
		w->number[i] = 0;
	w->count = w->pack_count = 0;
	free(w->entries);
	w->entries = NULL;
	w->room = 0;
}

static int row_put(struct row *w, struct err *e)
{
	struct step *s = w->step;
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct segment_new n = {
		.session = s->attempt.id,
		.generation = SEGMENT_COLLECTED,
		.packs = w->packs,
		.pack_count = w->pack_count,
		.entries = w->entries,
		.entry_count = w->count,
	};
	char name[SEGMENT_NAME];

	if (w->count == 0)
		return 0;
	segment_encode(&n, &body);
	row_clear(w); /* makes room for the sealed bytes */
	segment_name(&s->attempt.id, s->segments++, name);
	if (obj_put_new(s->c->repo->store, s->c->repo->keys, name, &body, e) <
	    0)
		return err_ctx(e, "cannot write '%s'", name);
	generation_add_segment(&s->next, name, w->frail);
	return step_alive(s, e);
}

static int row_grow(struct row *w, struct err *e)
{
	size_t room = w->room > 0 ? 2 * w->room : 4096;
	void *bigger = reallocarray(w->entries, room, sizeof(*w->entries));

	if (bigger == NULL)
		return err_set(e, ERR_FAILED, "no memory for an index segment");
	w->entries = bigger;
	w->room = room;
	return 0;
}

/* Entries in packs that are compacted point to where their blobs are now. */
static int row_take(void *ctx, const struct segment_entry_new *n, struct err *e)
{
	struct row *w = ctx;
	struct step *s = w->step;
	struct segment_entry_new to = *n;

	if (n->pack < s->pack_count && s->packs[n->pack].moving) {
		const struct move *m =
			&s->moves[s->packs[n->pack].moved_first + n->blob];

		to.pack = m->pack;
		to.blob = m->blob;
	}
	if (w->count == SEGMENT_ENTRIES && row_put(w, e) < 0)
		return -1;
	if (w->count == w->room && row_grow(w, e) < 0)
		return -1;
	to.pack = table_number(w, to.pack);
	w->entries[w->count++] = to;
	return 0;
}

/* ---- which segments stay --------------------------------------------------
 */

/* Does it name a pack that is compacted? */
static bool has_moving(const struct step *s, const struct marked *m)
{
	for (uint32_t i = 0; i < m->about.packs; i++)
		if (m->packs[i] != UINT32_MAX && s->packs[m->packs[i]].moving)
			return true;
	return false;
}

/* What the generation lists and is in use to the last entry. */
static bool is_clean(const struct step *s, const struct marked *m)
{
	uint64_t entries = m->about.nodes + m->about.chunks;

	return m->listed && m->count == entries && entries > 0 &&
	       m->weak_count == (m->frail ? entries : 0) && !has_moving(s, m);
}

/* ---- tiers ------------------------------------------------------------------
 */

/*
 * The segments of one attempt are a run: side by side, so that a look-up needs
 * one of them.  A run is written anew with the others when it has no more than
 * twice what is written anyway.  So each run that stays is more than twice as
 * large as all smaller ones together: there are at most log3(entries) of
 * them, 18 at 10 TiB, and an entry is written again at most log1.5 times in
 * its life.
 */
struct tier {
	struct id attempt;
	uint64_t entries;
};

static int by_size(const void *va, const void *vb)
{
	const struct tier *a = va;
	const struct tier *b = vb;

	return (a->entries > b->entries) - (a->entries < b->entries);
}

static void add_to_tier(struct tier *runs, size_t *count,
			const struct marked *m)
{
	size_t i = 0;

	while (i < *count && !same_id(&runs[i].attempt, &m->about.session))
		i++;
	if (i == *count)
		runs[(*count)++] = (struct tier){ .attempt = m->about.session };
	runs[i].entries += m->about.nodes + m->about.chunks;
}

static void absorb(struct step *s, const struct tier *run)
{
	for (size_t i = 0; i < s->marked_count; i++)
		if (!s->marked[i].frail &&
		    same_id(&s->marked[i].about.session, &run->attempt))
			s->marked[i].stays = false;
}

static void merge_tiers(struct step *s, uint64_t written)
{
	autofree struct tier *runs =
		mem_zalloc(s->marked_count + 1, sizeof(*runs));
	size_t count = 0;

	for (size_t i = 0; i < s->marked_count; i++)
		if (s->marked[i].stays && !s->marked[i].frail)
			add_to_tier(runs, &count, &s->marked[i]);
	qsort(runs, count, sizeof(*runs), by_size);
	for (size_t i = 0; i < count && runs[i].entries <= 2 * written; i++) {
		absorb(s, &runs[i]);
		written += runs[i].entries;
	}
}

/* ---- writing ----------------------------------------------------------------
 */

static void list_those_that_stay(struct step *s)
{
	for (size_t i = 0; i < s->marked_count; i++)
		if (s->marked[i].stays)
			generation_add_segment(
				&s->next,
				index_segment_name(s->marked[i].segment),
				s->marked[i].frail);
}

static size_t get_sources(struct step *s, bool frail,
			  struct merge_source *sources)
{
	size_t count = 0;

	for (size_t i = 0; i < s->marked_count; i++) {
		const struct marked *m = &s->marked[i];
		uint64_t want =
			frail ? m->weak_count : m->count - m->weak_count;

		if (m->stays || want == 0)
			continue;
		sources[count++] = (struct merge_source){
			.segment = m->segment,
			.take = frail ? m->weak : m->bits,
			.but = frail ? NULL : m->weak,
			.packs = m->packs,
		};
	}
	return count;
}

static int write_row(struct step *s, bool frail, struct err *e)
{
	autofree struct merge_source *sources =
		mem_zalloc(s->marked_count + 1, sizeof(*sources));
	size_t count = get_sources(s, frail, sources);
	struct row w = { .step = s, .frail = frail };

	if (count == 0)
		return 0;
	w.number = mem_zalloc(s->pack_count + 1, sizeof(*w.number));
	int ok = merge_run(sources, count, row_take, &w, e);

	if (ok == 0)
		ok = row_put(&w, e);
	free(w.number);
	free(w.entries);
	free(w.packs);
	return ok;
}

void segments_choose(struct step *s)
{
	uint64_t written = 0;

	for (size_t i = 0; i < s->marked_count; i++) {
		struct marked *m = &s->marked[i];

		m->stays = is_clean(s, m);
		if (!m->stays)
			written += m->count - m->weak_count;
	}
	if (written > 0)
		merge_tiers(s, written);
	list_those_that_stay(s);
}

int segments_write(struct step *s, struct err *e)
{
	return write_row(s, false, e) < 0 ? -1 : write_row(s, true, e);
}
