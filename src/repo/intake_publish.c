/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/intake_internal.h"
#include "repo/obj.h"

static int put_segment(struct intake *in, const char *name, struct err *e)
{
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct segment_new s = {
		.session = in->session.id,
		.generation = in->session.generation,
		.leans = in->leans.names,
		.lean_count = in->leans.count,
		.entry_count = claims_count(in->claims),
	};

	s.entries = mem_try(s.entry_count, sizeof(*s.entries));
	if (s.entries == NULL)
		return err_set(e, ERR_FAILED,
			       "no memory for an index "
			       "segment");
	claims_list(in->claims, s.entries);
	s.packs = packer_table(in->packer, &s.pack_count);
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

/*
 * Packs first, then the segment that names them: who reads a segment finds
 * its packs.  Afterwards our own segment is looked up like any other.  The
 * segment leans on all that was published or leaned on before it, so that
 * what its nodes lead to is found from it alone.  Nobody adds to the leans
 * meanwhile: `running` is ours.
 */
int intake_publish(struct intake *in, struct worker *w, struct err *e)
{
	char name[SEGMENT_NAME];

	if (intake_alive(in, e) < 0 || worker_flush(w, e) < 0 ||
	    packer_drain(in->packer, e) < 0)
		return -1;
	if (claims_count(in->claims) == 0)
		return 0;
	segment_name(&in->session.id, in->published, name);
	if (put_segment(in, name, e) < 0 ||
	    index_open_segment(in->repo->index, name, e) < 0)
		return err_ctx(e, "cannot publish '%s'", name);
	in->published++;
	count_entries(in, claims_count(in->claims));
	leans_add(&in->leans, name);
	claims_clear(in->claims);
	packer_forget_table(in->packer);
	return 0;
}

/* A segment that is there, but cannot be opened, keeps its number. */
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

/*
 * All segments were opened before.  What the dead process had found in those
 * of siblings is found again, where it is needed.  Its packs that no segment
 * names are garbage.
 */
int intake_go_on(struct intake *in, struct err *e)
{
	for (;;) {
		const struct index_segment *s;
		struct index_about about;
		char name[SEGMENT_NAME];

		segment_name(&in->session.id, in->published, name);
		int there = is_there(in, name, e);

		if (there <= 0)
			return there;
		in->published++;
		s = index_segment_named(in->repo->index, name);
		if (s == NULL)
			continue;
		index_segment_about(s, &about);
		count_entries(in, about.nodes + about.chunks);
		leans_on(&in->leans, s);
	}
}
