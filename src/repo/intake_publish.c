/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/intake_internal.h"
#include "repo/obj.h"

/* What was parted: in->leaving, where it is, and what it leans on. */
struct parted {
	struct pack_table *table;
	struct leans leans;
};

static void parted_fini(struct parted *p)
{
	leans_fini(&p->leans);
}

static int put_segment(struct intake *in, const struct parted *p,
		       const char *name, struct err *e)
{
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct segment_new s = {
		.session = in->session.id,
		.generation = in->session.generation,
		.leans = p->leans.names,
		.lean_count = p->leans.count,
		.packs = p->table->packs,
		.pack_count = p->table->count,
		.entry_count = claims_count(in->leaving),
	};

	s.entries = mem_try(s.entry_count, sizeof(*s.entries));
	if (s.entries == NULL)
		return err_set(e, ERR_FAILED,
			       "no memory for an index "
			       "segment");
	claims_list(in->leaving, s.entries);
	segment_encode(&s, &body);
	free(s.entries);
	atomic_fetch_add(&in->index_stored, body.len);
	return obj_put_new(in->repo->store, in->repo->keys, name, &body, e);
}

/* The more there is already, the more may be lost. */
static void count_entries(struct intake *in, uint64_t more)
{
	uint64_t next;

	in->entries += more;
	next = num_min(num_max(in->entries / 2, CLAIMS_FIRST), CLAIMS_MAX);
	if (!in->claims_fixed)
		atomic_store(&in->claims_max, (size_t)next);
}

/* Nobody works on an extent: every claim has its place, and every node's
 * children are in what is parted, too, or in what it leans on. */
static int part(struct intake *in, struct worker *w, struct parted *p,
		struct err *e)
{
	if (intake_alive(in, e) < 0 || worker_flush(w, e) < 0)
		return -1;
	p->table = packer_turn(in->packer);
	claims_move(in->claims, in->leaving);
	for (size_t i = 0; i < in->leans.count; i++)
		leans_add(&p->leans, in->leans.names[i]);
	return 0;
}

static int part_alone(struct intake *in, struct worker *w, struct parted *p,
		      struct err *e)
{
	pthread_rwlock_wrlock(&in->running);
	int ok = part(in, w, p, e);

	/* before anyone goes on: some claims may have no place */
	if (ok < 0)
		intake_fail(in, e);
	pthread_rwlock_unlock(&in->running);
	return ok;
}

/*
 * Packs first, then the segment that names them: who reads a segment finds
 * its packs.  Afterwards our own segment is looked up like any other, and
 * only then the claims in it are forgotten.  The segment leans on all that
 * was published or leaned on before it, so that what its nodes lead to is
 * found from it alone; what was claimed meanwhile will lean on it.
 */
int intake_publish(struct intake *in, struct worker *w, struct err *e)
{
	AUTO(parted_fini) struct parted p = { .table = NULL };
	char name[SEGMENT_NAME];

	if (part_alone(in, w, &p, e) < 0 ||
	    packer_wait(in->packer, p.table, e) < 0)
		return -1;
	if (claims_count(in->leaving) == 0)
		return 0;
	segment_name(&in->session.id, in->published, name);
	if (put_segment(in, &p, name, e) < 0 ||
	    index_open_segment(in->repo->index, name, e) < 0)
		return err_ctx(e, "cannot publish '%s'", name);
	in->published++;
	count_entries(in, claims_count(in->leaving));
	pthread_mutex_lock(&in->leans_lock);
	leans_add(&in->leans, name);
	pthread_mutex_unlock(&in->leans_lock);
	claims_clear(in->leaving);
	return 0;
}

static int is_there(struct intake *in, const char *name, struct err *e)
{
	struct store_stat st;

	if (store_stat(in->repo->store, name, &st, e) == 0)
		return 1;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	return 0;
}

/* One of the session's own, and what it leans on. */
static int go_on_with(struct intake *in, const char *name, struct err *e)
{
	const struct index_segment *s;
	struct index_about about;

	if (index_open_segment(in->repo->index, name, e) < 0)
		return -1;
	s = index_segment_named(in->repo->index, name);
	if (!leans_try(&in->leans, in->repo->index, s))
		return err_set(e, ERR_INTEGRITY,
			       "cannot go on after '%s': a part of the index "
			       "cannot be read; run the backup again",
			       name);
	index_segment_about(s, &about);
	count_entries(in, about.nodes + about.chunks);
	in->published++;
	return 0;
}

/*
 * The session was adopted because all of them can be read (session_adopt.h).
 * What the dead process had found in those of siblings is found again, where
 * it is needed.  Its packs that no segment names are garbage.
 */
int intake_go_on(struct intake *in, struct err *e)
{
	for (;;) {
		char name[SEGMENT_NAME];

		segment_name(&in->session.id, in->published, name);
		int there = is_there(in, name, e);

		if (there <= 0)
			return there;
		if (go_on_with(in, name, e) < 0)
			return -1;
	}
}
