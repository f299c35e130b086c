/* SPDX-License-Identifier: Apache-2.0 */
#include "job/gather.h"

#include "base/mem.h"
#include "codec/keys.h"

struct point *gather_point(struct set *set, const char *name, int64_t time_ns)
{
	struct point *p = set_add_point(set);

	keys_random(p->id.b, ID_SIZE);
	p->name = mem_strdup(name);
	p->time_ns = time_ns;
	return p;
}

struct image *gather_image(struct point *p, enum image_kind kind,
			   const char *name, const struct image_root *root)
{
	struct image *i = point_add_image(p);

	i->kind = kind;
	i->name = mem_strdup(name);
	i->root = *root;
	return i;
}

int gather_failed(struct err *e)
{
	if (e->code == ERR_NO_SPACE && e->sys != 0)
		err_ctx(e, "the repository is full: make room on its disk, or "
			   "let points go ('vmkeep forget', then 'vmkeep gc')");
	return -1;
}

void gather_counters(struct intake *in, struct result_backup *result)
{
	struct intake_stats st;

	intake_stats(in, &st);
	result->read_bytes += st.pages;
	result->new_bytes += st.new_bytes;
	result->stored_bytes += st.stored_bytes;
}
