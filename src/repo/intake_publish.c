/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
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
	leans_add(&in->leans, name);
	claims_clear(in->claims);
	packer_forget_table(in->packer);
	return 0;
}
