/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "job/local.h"
#include "job/snapuse.h"

/* All that the point's disks are in, each once. */
static int snaps_of(const struct point *p, struct snaps *all, struct err *e)
{
	for (size_t i = 0; i < p->image_count; i++)
		if (attrs_get(&p->images[i].attrs, ATTR_INSIDE) != NULL &&
		    local_snap(&p->images[i], all, e) < 0)
			return -1;
	return 0;
}

/*
 * The intent to drop its snaps is on disk before the point goes: whoever dies
 * between leaves them to recovery.  Other points that need them keep them.
 */
static int forget_whole(const struct job *j, const struct set *set,
			const struct point *point, struct err *e)
{
	AUTO(snaps_fini) struct snaps all = { 0 };

	if (snaps_of(point, &all, e) < 0)
		return -1;
	struct snap_use *use = snap_use_begin(j, NULL, e);

	if (use == NULL)
		return -1;
	int ok = snap_intend_drop(all.items, all.count, snap_use_how(use), e);

	if (ok == 0)
		ok = local_drop(j->local_dir, set, &point->id, false, e);
	if (ok < 0) {
		struct err second = ERR_INIT;

		(void)!snap_use_end(use, &second);
		return -1;
	}
	if (snap_use_end(use, e) == 0)
		return 0;
	return err_ctx(e, "it is forgotten, but not all is freed ('vmkeep "
			  "recover' goes on)");
}

int local_forget(const struct job *j, const struct set *set,
		 const struct point *point, bool ram_only, struct err *e)
{
	return ram_only ? local_drop(j->local_dir, set, &point->id, true, e)
			: forget_whole(j, set, point, e);
}
