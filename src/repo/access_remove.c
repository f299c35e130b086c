/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/access.h"
#include "repo/internal.h"
#include "repo/issued.h"
#include "repo/obj.h"

/* What one key has committed, collected and forgotten: names of objects. */
struct deeds {
	struct repo *repo;
	const struct id *signer;
	char **names;
	size_t count;
};

static void deeds_fini(struct deeds *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->names[i]);
	free(d->names);
}

static int see_deed(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct deeds *d = ctx;
	struct signer by;
	const struct sign_want want = { name, SIGN_WRITE | SIGN_KEEP, &by };
	struct err why = ERR_INIT;

	(void)st;
	if (obj_load_want(d->repo->store, d->repo->keys, &want,
			  OBJECT_MAX_SEGMENT, &b, &why) < 0) {
		/* what is damaged or gone is no deed that could stand */
		if (why.code == ERR_INTEGRITY || why.code == ERR_NOT_FOUND)
			return 0;
		*e = why;
		return -1;
	}
	if (memcmp(by.id.b, d->signer->b, ID_SIZE) != 0)
		return 0;
	d->names = mem_grow(d->names, d->count + 1, sizeof(*d->names));
	d->names[d->count++] = mem_strdup(name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int deeds_load(struct deeds *d, struct err *e)
{
	struct keyring *k = d->repo->keys;
	const struct issued *issued = k->issued;

	/* removed keys' deeds as well: nothing is refused meanwhile */
	k->issued = NULL;
	int ok = store_list(d->repo->store, "points/", see_deed, d, e);

	if (ok == 0)
		ok = store_list(d->repo->store, "gen/", see_deed, d, e);
	if (ok == 0)
		ok = store_list(d->repo->store, "tomb/", see_deed, d, e);
	k->issued = issued;
	if (ok == 0 && d->count > 0)
		qsort(d->names, d->count, sizeof(*d->names), by_name);
	return ok;
}

/* ---- the last way in -------------------------------------------------- */

static bool opens(const struct access_key *k)
{
	return k->role == ROLE_OWNER && !k->removed &&
	       (k->slots > 0 || k->file);
}

static int check_last(struct repo *r, const struct access_key *key,
		      struct err *e)
{
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };
	size_t others = 0;

	if (access_list(r, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.count; i++)
		if (memcmp(l.keys[i].id.b, key->id.b, ID_SIZE) != 0)
			others += opens(&l.keys[i]);
	if (key->role != ROLE_OWNER || others > 0)
		return 0;
	return err_set(e, ERR_REFUSED,
		       "this is the last owner's key: without it nobody could "
		       "manage the repository; add another with 'vmkeep key "
		       "add --role owner' first");
}

/* ---- removing --------------------------------------------------------- */

static int put_void(struct repo *r, const struct access_key *key,
		    const struct deeds *d, struct err *e)
{
	const struct issued_key gone = { .id = key->id,
					 .removed_ns = clock_wall_ns(),
					 .stands = d->names,
					 .stand_count = d->count };

	if (issued_put_void(r->store, r->keys, &gone, e) == 0)
		return 0;
	/* removed before, perhaps killed then: what is left is done now */
	if (e->code != ERR_EXISTS)
		return err_ctx(e, "cannot store that the key is removed");
	err_clear(e);
	return 0;
}

/* Listed anew: killed before, some may be left. */
static int drop_slots(struct repo *r, const struct id *id, struct err *e)
{
	AUTO(slots_fini) struct slots s = { .slots = NULL };

	if (slots_list(r->store, &s, e) < 0)
		return -1;
	return slots_delete(r->store, &s, id, e);
}

int access_remove(struct repo *r, const struct access_key *key, uint64_t *late,
		  struct err *e)
{
	AUTO(deeds_fini) struct deeds d = { .repo = r, .signer = &key->id };
	AUTO(deeds_fini) struct deeds all = { .repo = r, .signer = &key->id };

	*late = 0;
	if (repo_need(r, NEED_OWN, e) < 0 || check_last(r, key, e) < 0 ||
	    deeds_load(&d, e) < 0 || put_void(r, key, &d, e) < 0 ||
	    drop_slots(r, &key->id, e) < 0)
		return -1;
	/* it may have committed while we were listing */
	if (repo_reload_issued(r, e) < 0 || deeds_load(&all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		struct err ignored = ERR_INIT;

		*late += issued_refuses(r->issued, &key->id, all.names[i],
					&ignored);
	}
	return 0;
}
