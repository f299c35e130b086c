/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/drop.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "snap/await.h"

static const struct snap_backend *const backends[] = {
	&snap_zfs,
	&snap_lvm,
	&snap_btrfs,
	&snap_reflink,
};

#define BACKENDS (sizeof(backends) / sizeof(*backends))

const struct snap_backend *snap_backend_of(enum snap_kind kind)
{
	switch (kind) {
	case SNAP_ZFS:
	case SNAP_ZVOL:
		return &snap_zfs;
	case SNAP_LVM_THIN:
	case SNAP_LVM_THICK:
		return &snap_lvm;
	case SNAP_BTRFS:
		return &snap_btrfs;
	case SNAP_REFLINK:
		break;
	}
	return &snap_reflink;
}

/* What of the snaps is this backend's. */
struct share {
	const struct snap **snaps;
	size_t *index; /* where it was */
	bool *gone;
	size_t count;
};

/* What was only intended may still be under way.  All of one name are made by
 * one program, so asking for the first is asking for all. */
static int intended_settle(const struct snap *const *snaps, size_t count,
			   const struct snap_time *t, struct err *e)
{
	const char *last = "";

	for (size_t i = 0; i < count; i++) {
		if (snaps[i]->guid[0] || strcmp(last, snaps[i]->name) == 0)
			continue;
		last = snaps[i]->name;
		if (await_nobody(last, t, e) < 0)
			return -1;
	}
	return 0;
}

static struct share share_of(const struct snap_backend *b,
			     const struct snap *const *snaps, size_t count)
{
	struct share s = { .snaps = mem_zalloc(count, sizeof(*s.snaps)),
			   .index = mem_zalloc(count, sizeof(*s.index)),
			   .gone = mem_zalloc(count, sizeof(*s.gone)) };

	for (size_t i = 0; i < count; i++) {
		if (snap_backend_of(snaps[i]->kind) == b) {
			s.snaps[s.count] = snaps[i];
			s.index[s.count++] = i;
		}
	}
	return s;
}

static void share_fini(struct share *s)
{
	free(s->snaps);
	free(s->index);
	free(s->gone);
}

int drop_each(const struct snap *const *snaps, size_t count, bool *gone,
	      int (*one)(void *ctx, const struct snap *snap, struct err *e),
	      void *ctx, struct err *e)
{
	struct err first = ERR_INIT;

	for (size_t i = 0; i < count; i++) {
		struct err why = ERR_INIT;

		gone[i] = one(ctx, snaps[i], &why) == 0 ||
			  why.code == ERR_NOT_FOUND;
		if (!gone[i] && first.code == ERR_NONE)
			first = why;
	}
	if (first.code == ERR_NONE)
		return 0;
	*e = first;
	return -1;
}

int drop_all(const struct snap *const *snaps, size_t count, bool *gone,
	     const struct snap_time *t, struct err *e)
{
	struct err more = ERR_INIT;
	int rc = 0;

	if (intended_settle(snaps, count, t, e) < 0)
		return -1;
	for (size_t i = 0; i < BACKENDS; i++) {
		AUTO(share_fini)
		struct share s = share_of(backends[i], snaps, count);

		if (s.count > 0 && backends[i]->drop(s.snaps, s.count, s.gone,
						     t, rc ? &more : e) < 0)
			rc = -1;
		for (size_t k = 0; k < s.count; k++)
			gone[s.index[k]] = s.gone[k];
	}
	return rc;
}

int snap_intend_drop(const struct snap *snaps, size_t count,
		     const struct snap_how *how, struct err *e)
{
	autofree const struct snap **all = mem_zalloc(count, sizeof(*all));

	for (size_t i = 0; i < count; i++)
		all[i] = &snaps[i];
	return count == 0
		       ? 0
		       : snap_jot(how->journal, SNAP_JOT_DROP, all, count, e);
}

int snap_drop(const struct snap *snaps, size_t count,
	      const struct snap_how *how, struct err *e)
{
	autofree const struct snap **all = mem_zalloc(count, sizeof(*all));
	autofree bool *gone = mem_zalloc(count, sizeof(*gone));
	struct snap_time t = snap_time_of(how->deadline_ms);
	struct err more = ERR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		all[i] = &snaps[i];
	if (count == 0)
		return 0;
	if (snap_jot(how->journal, SNAP_JOT_DROP, all, count, e) < 0)
		return -1;

	int rc = drop_all(all, count, gone, &t, e);

	for (size_t i = 0; i < count; i++) {
		if (gone[i])
			all[n++] = &snaps[i];
	}
	if (n > 0 && snap_jot(how->journal, SNAP_JOT_DROPPED, all, n,
			      rc < 0 ? &more : e) < 0)
		rc = -1;
	return rc;
}

int unview(const struct snap_thing *thing, const struct snap_time *t,
	   struct err *e)
{
	const char *slash = strrchr(thing->name, '/');

	/* The name of a snap is in others' command lines, too. */
	if (!thing->kept &&
	    await_nobody(slash ? slash + 1 : thing->name, t, e) < 0)
		return -1;
	return snap_backend_of(thing->kind)->unview(thing, t, e);
}

int snap_check(const struct snap *snaps, size_t count, struct err *e)
{
	autofree const struct snap **all = mem_zalloc(count, sizeof(*all));
	struct snap_time t = snap_time_of(0);

	for (size_t i = 0; i < count; i++)
		all[i] = &snaps[i];
	for (size_t i = 0; i < BACKENDS; i++) {
		AUTO(share_fini)
		struct share s = share_of(backends[i], all, count);

		if (s.count > 0 && backends[i]->check &&
		    backends[i]->check(s.snaps, s.count, &t, e) < 0)
			return -1;
	}
	return 0;
}

static int list(const struct snap_plan *plan, struct snaps *snaps,
		struct err *e)
{
	struct snap_time t = snap_time_of(0);

	for (size_t i = 0; i < BACKENDS; i++) {
		size_t max = plan ? plan->volume_count : 0;
		autofree const struct snap_volume **own =
			mem_zalloc(max, sizeof(*own));
		size_t n = 0;

		for (size_t k = 0; k < max; k++) {
			const struct snap_volume *v = &plan->volumes[k];

			if (snap_backend_of(v->kind) == backends[i])
				own[n++] = v;
		}
		if (plan && n == 0)
			continue;
		if (backends[i]->list(plan ? own : NULL, n, snaps, &t, e) < 0)
			return -1;
	}
	return 0;
}

int snap_list(const struct snap_plan *plan, struct snaps *snaps, struct err *e)
{
	AUTO(snaps_fini) struct snaps found = { .items = NULL };

	if (list(plan, &found, e) < 0)
		return -1;
	*snaps = found;
	found = (struct snaps){ .items = NULL };
	return 0;
}
