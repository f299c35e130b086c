/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/tomb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/internal.h"
#include "repo/obj.h"

#define TOMB_VERSION 1
#define RAM_STREAM   "memory"

void tomb_name(const struct id *point, enum tomb_scope scope,
	       char out[TOMB_NAME])
{
	char hex[ID_TEXT];

	hex_encode(point->b, ID_SIZE, hex);
	snprintf(out, TOMB_NAME, "tomb/%s%s", hex,
		 scope == TOMB_RAM ? "-ram" : "");
}

int tomb_allowed(struct repo *r, struct err *e)
{
	return repo_need(r, NEED_KEEP, e);
}

static int put(struct repo *r, const struct id *set, const struct id *point,
	       enum tomb_scope scope, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[TOMB_NAME];

	if (tomb_allowed(r, e) < 0)
		return -1;
	tomb_name(point, scope, name);
	wr_u16(&b, TOMB_VERSION);
	wr_bytes(&b, point->b, ID_SIZE);
	wr_bytes(&b, set->b, ID_SIZE);
	wr_u8(&b, (uint8_t)scope);
	wr_u64(&b, (uint64_t)clock_wall_ns());
	if (obj_put_new(r->store, r->keys, name, &b, e) == 0)
		return 0;
	if (e->code != ERR_EXISTS)
		return err_ctx(e, "cannot put '%s'", name);
	err_clear(e);
	return 0;
}

int tomb_put(struct repo *r, const struct set *set, const struct point *p,
	     enum tomb_scope scope, struct err *e)
{
	return put(r, &set->session, &p->id, scope, e);
}

int tomb_put_set(struct repo *r, const struct id *set, struct err *e)
{
	return put(r, set, set, TOMB_POINT, e);
}

/* ---- loading --------------------------------------------------------- */

static int decode(const struct buf *b, const char *name, struct tomb *t,
		  struct err *e)
{
	struct reader r = reader_of(b->p, b->len);
	char own[TOMB_NAME];
	uint16_t version = rd_u16(&r);

	rd_copy(&r, t->point.b, ID_SIZE);
	rd_copy(&r, t->set.b, ID_SIZE);
	uint8_t scope = rd_u8(&r);

	t->time_ns = (int64_t)rd_u64(&r);
	t->scope = scope == TOMB_RAM ? TOMB_RAM : TOMB_POINT;
	tomb_name(&t->point, t->scope, own);
	if (version == TOMB_VERSION && scope == t->scope && rd_complete(&r) &&
	    strcmp(own, name) == 0)
		return 0;
	return err_set(e, ERR_INTEGRITY, "object '%s': not a tomb", name);
}

struct load {
	struct repo *repo;
	struct tombs *tombs;
};

static void add_trouble(struct tombs *t, const char *name,
			const struct err *why)
{
	t->troubles = mem_grow(t->troubles, t->trouble_count + 1,
			       sizeof(*t->troubles));
	struct tomb_trouble *w = &t->troubles[t->trouble_count++];

	w->name = mem_strdup(name);
	memcpy(w->msg, why->msg, sizeof(w->msg));
}

static void add(struct tombs *t, const struct tomb *tomb)
{
	if (t->count == t->room) {
		t->room = t->room > 0 ? 2 * t->room : 16;
		t->items = mem_grow(t->items, t->room, sizeof(*t->items));
	}
	t->items[t->count++] = *tomb;
}

/* What is not there, damaged or forged is left out; what could not be read
 * for another reason is a failure, for it may mean something. */
static int load_one(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	struct load *l = ctx;
	struct repo *r = l->repo;
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err why = ERR_INIT;
	struct tomb tomb;

	(void)st;
	if (obj_load(r->store, r->keys, name, SIGN_KEEP, OBJECT_MAX_SMALL, &b,
		     &why) == 0 &&
	    decode(&b, name, &tomb, &why) == 0) {
		add(l->tombs, &tomb);
	} else if (why.code == ERR_INTEGRITY || why.code == ERR_REFUSED) {
		add_trouble(l->tombs, name, &why);
	} else if (why.code != ERR_NOT_FOUND) {
		*e = why;
		return -1;
	}
	return 0;
}

static int by_point(const void *va, const void *vb)
{
	const struct tomb *a = va;
	const struct tomb *b = vb;
	int c = memcmp(a->point.b, b->point.b, ID_SIZE);

	return c != 0 ? c : (int)a->scope - (int)b->scope;
}

int tombs_load(struct repo *r, struct tombs *t, struct err *e)
{
	struct load l = { r, t };

	memset(t, 0, sizeof(*t));
	if (store_list(r->store, "tomb/", load_one, &l, e) < 0) {
		tombs_fini(t);
		return err_ctx(e, "cannot read what is forgotten");
	}
	if (t->count > 0)
		qsort(t->items, t->count, sizeof(*t->items), by_point);
	return 0;
}

void tombs_fini(struct tombs *t)
{
	for (size_t i = 0; i < t->trouble_count; i++)
		free(t->troubles[i].name);
	free(t->troubles);
	free(t->items);
	memset(t, 0, sizeof(*t));
}

/* ---- asking ---------------------------------------------------------- */

const struct tomb *tombs_find(const struct tombs *t, const struct id *set,
			      const struct id *point, enum tomb_scope scope)
{
	const struct tomb key = { .point = *point, .scope = scope };
	const struct tomb *found =
		t->count > 0 ? bsearch(&key, t->items, t->count,
				       sizeof(*t->items), by_point)
			     : NULL;

	if (found != NULL && memcmp(found->set.b, set->b, ID_SIZE) != 0)
		return NULL;
	return found;
}

bool image_is_ram(const struct image *image)
{
	size_t n = strlen(RAM_STREAM);

	if (image->kind != IMAGE_STREAM)
		return image->kind == IMAGE_RAM;
	return strncmp(image->name, RAM_STREAM, n) == 0 &&
	       (image->name[n] == '\0' || image->name[n] == '.');
}

static void drop_ram(struct point *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->image_count; i++) {
		if (image_is_ram(&p->images[i]))
			image_fini(&p->images[i]);
		else
			p->images[kept++] = p->images[i];
	}
	p->image_count = kept;
}

void tombs_apply(const struct tombs *t, struct set *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->point_count; i++) {
		struct point *p = &set->points[i];

		if (tombs_find(t, &set->session, &p->id, TOMB_POINT) != NULL) {
			point_fini(p);
			continue;
		}
		if (tombs_find(t, &set->session, &p->id, TOMB_RAM) != NULL)
			drop_ram(p);
		set->points[kept++] = *p;
	}
	set->point_count = kept;
}
