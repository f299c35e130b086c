/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/collect_internal.h"

/* ---- life ---------------------------------------------------------------- */

static char *host_name(const struct collect_options *o)
{
	char name[256] = "";

	if (o->host != NULL)
		return mem_strdup(o->host);
	if (gethostname(name, sizeof(name) - 1) != 0)
		return mem_strdup("unknown");
	return mem_strdup(name);
}

struct collect *collect_new(struct repo *r, const struct collect_options *o,
			    struct err *e)
{
	/* before sessions are ended with a signature that is worth nothing */
	if (repo_need(r, NEED_KEEP, e) < 0)
		return NULL;
	if (r->config.may_collect != 0) {
		err_set(e, ERR_REFUSED,
			"this version of vmkeep cannot collect in the "
			"repository: use a newer one");
		return NULL;
	}
	struct collect *c = mem_zalloc(1, sizeof(*c));

	c->repo = r;
	c->o = *o;
	c->host = host_name(o);
	if (c->o.silent_ns == 0)
		c->o.silent_ns = COLLECT_SILENT_NS;
	if (c->o.talk == NULL)
		c->o.talk = &talk_none;
	return c;
}

void collect_free(struct collect *c)
{
	if (c == NULL)
		return;
	scan_fini(c);
	idset_fini(&c->carried.points);
	free(c->host);
	free(c);
}

void collect_free_at(struct collect **c)
{
	collect_free(*c);
}

void collect_result_fini(struct collect_result *result)
{
	free(result->wait.host);
	result->wait.host = NULL;
}

int step_alive(struct step *s, struct err *e)
{
	const struct collect_options *o = &s->c->o;

	if (o->cancel != NULL && atomic_load(o->cancel))
		return err_set(e, ERR_STOPPED, "stopped by the user");
	if (!s->opened)
		return 0;
	return session_beat(s->c->repo, &s->attempt, e);
}

/* Whatever comes out of it, the attempt is ended: the put may have worked,
 * though its answer was lost. */
int step_open(struct step *s, struct err *e)
{
	if (s->opened)
		return 0;
	s->opened = true;
	return session_attempt(s->c->repo, s->c->host, s->number, &s->attempt,
			       e);
}

/* ---- the next generation ----------------------------------------------------
 */

static bool same_packs(const struct locations *a, const struct locations *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (locations_pack(b, &a->packs[i].pack) == NULL)
			return false;
	return true;
}

/*
 * A writer that only further generations rid us of: a silent one can be ended
 * in the next generation, and one without points goes in the one after that.
 * Collectors' attempts do not count, or there would be no end; nor do sessions
 * that stay anyway.  1, 0, -1.
 */
static int is_pending(struct step *s, struct known *k, struct err *e)
{
	bool attempt = k->recorded && k->record.kind == SESSION_COLLECTOR;

	if (!k->listed || attempt)
		return 0;
	if (k->ended == ENDED_NOT)
		return known_generation(k) == s->number ? is_silent(s->c, k, e)
							: 0;
	return is_spent(s->c, k) && is_dated(k) &&
	       dated_generation(k) <= s->number;
}

static int any_pending(struct step *s, struct err *e)
{
	int pending = 0;

	for (size_t i = 0; pending == 0 && i < s->c->known_count; i++)
		pending = is_pending(s, &s->c->known[i], e);
	return pending;
}

/* Segments are immutable: the same number of them that all stay is the same
 * index. */
static bool same_index(const struct step *s)
{
	size_t stay = 0;

	for (size_t i = 0; i < s->marked_count; i++) {
		if (!s->marked[i].stays && s->marked[i].count > 0)
			return false;
		stay += s->marked[i].stays;
	}
	return stay == s->now.segment_count;
}

/* Is there anything that the next generation would change?  What n dooms is
 * deleted without one.  1, 0, -1. */
static int any_change(struct step *s, struct err *e)
{
	if (s->next.condemned.count > 0 || s->now.condemned.count > 0 ||
	    !same_packs(&s->next.doomed, &s->now.doomed) || !same_index(s))
		return 1;
	return any_pending(s, e);
}

/* Is what stands there ours, though the answer was lost?  1, 0, -1. */
static int is_ours(struct step *s, struct err *e)
{
	AUTO(generation_fini) struct generation there = { 0 };
	struct repo *r = s->c->repo;

	if (generation_load(r->store, r->keys, s->next.number, &there, e) < 0)
		return -1;
	return same_id(&there.session, &s->attempt.id);
}

/* 1 put, 0 somebody was faster, -1. */
static int put_generation(struct step *s, struct err *e)
{
	struct repo *r = s->c->repo;

	s->next.time_ns = clock_wall_ns();
	s->next.session = s->attempt.id;
	if (generation_put(r->store, r->keys, &s->next, e) == 0)
		return 1;
	if (e->code != ERR_EXISTS) {
		err_clear(e);
		if (generation_put(r->store, r->keys, &s->next, e) == 0)
			return 1;
	}
	if (e->code != ERR_EXISTS)
		return err_ctx(e, "cannot put generation %llu",
			       (unsigned long long)s->next.number);
	err_clear(e);
	return is_ours(s, e);
}

/*
 * After the put the newest must be ours: else a gap has been filled that others
 * had left when they cleaned up, and what we have decided is of the past.
 */
static int publish(struct step *s, enum collect_state *state, struct err *e)
{
	uint64_t newest;

	if (step_open(s, e) < 0 || segments_write(s, e) < 0)
		return -1;
	int put = put_generation(s, e);

	*state = COLLECT_AGAIN;
	if (put <= 0)
		return put;
	if (generation_newest(s->c->repo->store, &newest, e) < 0)
		return -1;
	if (newest != s->next.number)
		return 0;
	s->c->result->steps++;
	s->c->result->generation = newest;
	carry_out(s);
	return notes_clean(s, e) < 0 ? -1 : keys_clean(s, e);
}

/* Nothing is to be done; but packs that others moved while they were listed
 * may be missing in our list, and then their keys seem to be unused. */
static int leave(struct step *s, enum collect_state *state, struct err *e)
{
	uint64_t newest;

	if (generation_newest(s->c->repo->store, &newest, e) < 0)
		return -1;
	*state = newest == s->number ? COLLECT_DONE : COLLECT_AGAIN;
	if (newest != s->number)
		return 0;
	return notes_clean(s, e) < 0 ? -1 : keys_clean(s, e);
}

static int decide(struct step *s, enum collect_state *state, struct err *e)
{
	*state = COLLECT_DONE;
	if (carry_in(s, e) < 0 || mark_all(s, e) < 0 || packs_mark(s, e) < 0 ||
	    compact(s, e) < 0 || packs_judge(s, e) < 0)
		return -1;
	segments_choose(s);
	if (s->c->o.dry_run)
		return 0;
	int change = any_change(s, e);

	if (change < 0)
		return -1;
	return change ? publish(s, state, e) : leave(s, state, e);
}

/* ---- one step
 * ---------------------------------------------------------------- */

static void step_fini(struct step *s)
{
	mark_fini(s);
	damage_fini(&s->damage);
	damage_fini(&s->doubted);
	free(s->copies.seen);
	fetch_free(s->fetch);
	index_free(s->view.index);
	generation_fini(&s->now);
	generation_fini(&s->before);
	generation_fini(&s->next);
	free(s->packs);
	idmap_fini(&s->pack_by_id);
	free(s->blob_bits);
	free(s->moves);
	idset_fini(&s->points);
}

static int load_generations(struct step *s, struct err *e)
{
	struct repo *r = s->c->repo;

	if (generation_newest(r->store, &s->number, e) < 0 ||
	    generation_load(r->store, r->keys, s->number, &s->now, e) < 0)
		return -1;
	s->c->result->generation = s->number;
	s->next.number = s->number + 1;
	return s->number == 0 ? 0
			      : generation_load(r->store, r->keys,
						s->number - 1, &s->before, e);
}

static int make_view(struct step *s, struct err *e)
{
	struct repo *r = s->c->repo;

	s->view = *r;
	s->view.index = index_new(&(struct index_parts){
		.store = r->store,
		.keys = r->keys,
		.footers = r->footers,
		.cache_dir = r->cache_dir,
	});
	s->fetch = fetch_new(&s->view, e);
	return s->fetch != NULL ? 0 : -1;
}

/* What n had condemned or doomed and is still there. */
static int count_waiting(struct step *s, const struct locations *l,
			 struct err *e)
{
	struct collect_result *r = s->c->result;

	for (size_t i = 0; i < l->count; i++) {
		char name[PACK_NAME];
		struct store_stat st;

		pack_name(l->packs[i].class, &l->packs[i].pack, name);
		if (store_stat(s->c->repo->store, name, &st, e) == 0) {
			r->waiting_packs++;
			r->waiting_bytes += st.size;
		} else if (e->code != ERR_NOT_FOUND) {
			return -1;
		}
		err_clear(e);
	}
	return 0;
}

static int waits(struct step *s, enum collect_state *state, struct err *e)
{
	struct collect_result *r = s->c->result;

	*state = COLLECT_WAITS;
	r->waiting_packs = r->waiting_bytes = 0;
	if (count_waiting(s, &s->now.condemned, e) < 0)
		return -1;
	return count_waiting(s, &s->now.doomed, e);
}

/* A session of our own, where there is one, is ended whatever comes out. */
static int attempt(struct step *s, enum collect_state *state, struct err *e)
{
	struct collect *c = s->c;
	struct err ignored = ERR_INIT;

	int ok = scan(c, e);

	if (ok == 0)
		ok = packs_list(s, e);
	if (ok == 0)
		ok = mark_open(s, e);
	if (ok == 0)
		ok = decide(s, state, e);
	if (!s->opened)
		return ok;
	/* what it wrote is listed, or garbage */
	return session_revoke(c->repo, &s->attempt.id, ok == 0 ? e : &ignored) <
			       0
		       ? -1
		       : ok;
}

static int step(struct step *s, enum collect_state *state, struct err *e)
{
	struct collect *c = s->c;
	int newest = 1;

	if (load_generations(s, e) < 0 || make_view(s, e) < 0 || scan(c, e) < 0)
		return -1;
	if (!c->o.dry_run)
		newest = clean_up(c, &s->now, &s->before, e);
	if (newest < 0 || end_sessions(c, s->number, e) < 0)
		return -1;
	*state = COLLECT_AGAIN;
	if (newest == 0)
		return 0;
	if (c->result->wait.host != NULL && !c->o.dry_run)
		return waits(s, state, e);
	return attempt(s, state, e);
}

/* What is not there where it was a moment ago has been cleaned up by another
 * collector, which is ahead of us. */
static bool is_behind(const struct step *s, const struct err *why)
{
	struct err ignored = ERR_INIT;
	uint64_t newest;

	return why->code == ERR_NOT_FOUND &&
	       generation_newest(s->c->repo->store, &newest, &ignored) == 0 &&
	       newest != s->number;
}

int collect_step(struct collect *c, struct collect_result *result,
		 enum collect_state *state, struct err *e)
{
	AUTO(step_fini) struct step s = { .c = c };

	c->result = result;
	collect_result_fini(result);
	int ok = step(&s, state, e);

	if (ok < 0 && is_behind(&s, e)) {
		err_clear(e);
		*state = COLLECT_AGAIN;
		return 0;
	}
	if (ok < 0 && e->code == ERR_NOT_FOUND)
		e->code = ERR_INTEGRITY;
	return ok;
}

/* ---- all steps
 * ---------------------------------------------------------------- */

/* Others may be faster again and again, but not for ever. */
#define MAX_STEPS 64

int collect_run(struct repo *r, const struct collect_options *o,
		struct collect_result *result, struct err *e)
{
	AUTO(collect_free_at) struct collect *c = collect_new(r, o, e);
	enum collect_state state = COLLECT_AGAIN;

	memset(result, 0, sizeof(*result));
	if (c == NULL)
		return -1;
	for (unsigned i = 0; state == COLLECT_AGAIN; i++) {
		if (i == MAX_STEPS)
			return err_set(e, ERR_BUSY,
				       "other collectors were faster %u times: "
				       "they do the work",
				       MAX_STEPS);
		if (collect_step(c, result, &state, e) < 0)
			return -1;
	}
	return 0;
}
