/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/verify_internal.h"

/*
 * Small objects first, and a list of the packs.  Then the trees are walked: it
 * is noted which slots of which packs they need.  Those packs are read, and
 * where that finds damage the trees are walked again, so that it can be said
 * whom it hurts: nobody, where the same chunk is in another blob; then that
 * one's pack is read, too.
 */

/* ---- what was found -------------------------------------------------- */

static void fill_point(struct verify_damage *d, const struct point *p)
{
	char when[CLOCK_TEXT];
	char hex[ID_TEXT];

	if (p == NULL) {
		d->point = mem_strdup("");
		return;
	}
	clock_text(p->time_ns, when);
	hex_encode(p->id.b, ID_SIZE, hex);
	d->point = mem_fmt("%s@%s (%.8s)", p->name, when, hex);
}

static void one_fini(struct verify_damage *d)
{
	free(d->object);
	free(d->point);
	free(d->image);
}

static void append(struct verify_damage **items, size_t *count,
		   const struct verify_damage *d)
{
	*items = mem_grow(*items, *count + 1, sizeof(**items));
	(*items)[(*count)++] = *d;
}

/* Is it the last damage that goes on?  A pack that is gone is many chunks. */
static bool extend(struct verify *v, uint64_t offset, uint64_t size)
{
	struct verify_result *r = v->result;

	if (v->image == NULL || v->image != v->damaged)
		return false;
	struct verify_damage *last = &r->damages[r->damage_count - 1];

	if (last->size == 0 || size == 0 || last->offset + last->size != offset)
		return false;
	last->size += size;
	return true;
}

void verify_range_bad(struct verify *v, uint64_t offset, uint64_t size,
		      const struct err *why)
{
	struct verify_damage d = { .offset = offset, .size = size };

	if (extend(v, offset, size))
		return;
	v->damaged = v->image;
	d.object = mem_strdup("");
	d.image = mem_strdup(v->image->name);
	d.in = v->set;
	d.of = v->point;
	d.part = v->image;
	memcpy(d.msg, why->msg, sizeof(d.msg));
	fill_point(&d, v->point);
	append(&v->result->damages, &v->result->damage_count, &d);
}

void verify_object_bad(struct verify *v, const char *name,
		       enum verify_kind kind, const struct id *pack,
		       const struct err *why)
{
	struct verify_object o = { .kind = kind };

	o.damage.object = mem_strdup(name);
	o.damage.point = mem_strdup("");
	o.damage.image = mem_strdup("");
	memcpy(o.damage.msg, why->msg, sizeof(o.damage.msg));
	if (pack != NULL)
		o.pack = *pack;
	v->objects =
		mem_grow(v->objects, v->object_count + 1, sizeof(*v->objects));
	v->objects[v->object_count++] = o;
}

void verify_unread(struct verify *v, const struct err *why)
{
	struct verify_result *r = v->result;

	pthread_mutex_lock(&v->lock);
	if (r->unread++ == 0)
		memcpy(r->unread_msg, why->msg, sizeof(r->unread_msg));
	pthread_mutex_unlock(&v->lock);
}

void verify_object_failed(struct verify *v, const char *name,
			  enum verify_kind kind, const struct err *why)
{
	if (err_passing(why))
		verify_unread(v, why);
	else
		verify_object_bad(v, name, kind, NULL, why);
}

/*
 * Does it hurt nobody?  A blob does not when nothing was looked for in its
 * pack in vain.  Where nothing in a pack can be found, it is not known what
 * was: then no image at all may be hurt.
 */
static bool is_harmless(const struct verify *v, const struct verify_object *o)
{
	const struct usage_pack *p = usage_find(&v->usage, &o->pack);

	switch (o->kind) {
	case VERIFY_PACK_BLOB:
		return p == NULL || !p->hurts;
	case VERIFY_PACK_SUM:
		return p == NULL || p->used == NULL;
	case VERIFY_PACK_LOST:
		return (p == NULL || !p->hurts) && v->result->damage_count == 0;
	case VERIFY_KEY: /* not when all is stored again under others */
		return v->result->damage_count == 0;
	case VERIFY_SMALL:
		break;
	}
	return false;
}

/* Objects before ranges; both belong to the result now. */
static void collect(struct verify *v)
{
	struct verify_result *r = v->result;
	struct verify_damage *ranges = r->damages;
	size_t count = r->damage_count;
	struct verify_damage *all = NULL;
	size_t all_count = 0;

	for (size_t i = 0; i < v->object_count; i++) {
		const struct verify_object *o = &v->objects[i];

		if (is_harmless(v, o))
			append(&r->healed, &r->healed_count, &o->damage);
		else
			append(&all, &all_count, &o->damage);
	}
	v->object_count = 0;
	for (size_t i = 0; i < count; i++)
		append(&all, &all_count, &ranges[i]);
	free(ranges);
	r->damages = all;
	r->damage_count = all_count;
}

static bool was_read(const struct verify *v, const struct id *pack)
{
	const struct usage_pack *p = usage_find(&v->usage, pack);

	return p != NULL && p->done;
}

/* What older notes say of packs that were not read now still counts. */
static void keep_notes(struct verify *v)
{
	const struct damage *k = &v->known;

	for (size_t i = 0; i < k->places.count; i++) {
		const struct pack_locations *p = &k->places.packs[i];

		if (was_read(v, &p->pack))
			continue;
		if (p->whole)
			damage_add_pack(&v->found, p->class, &p->pack);
		for (uint32_t b = 0; b < p->count; b++)
			damage_add_blob(&v->found, p->class, &p->pack,
					p->blobs[b]);
	}
	for (size_t i = 0; i < k->count; i++)
		if (!was_read(v, &k->nodes[i].pack))
			damage_add_node(&v->found, &k->nodes[i]);
	damage_sort(&v->found);
}

static bool is_keeper(const struct verify *v)
{
	struct err ignored = ERR_INIT;

	return repo_need(v->repo, NEED_KEEP, &ignored) == 0;
}

/*
 * So that the next backup stores again what is lost.  Where all was read, and
 * this key may, one new note takes the place of those that were there: what
 * is whole again is known again.
 */
static int note_damage(struct verify *v, struct err *e)
{
	bool all = verify_reads(v) && v->result->complete &&
		   v->o->only == NULL && is_keeper(v);
	char name[DAMAGE_NAME];

	damage_sort(&v->found);
	if (all)
		keep_notes(v);
	bool renew = all && !damage_covers(&v->found, &v->known);

	if ((renew ? !damage_empty(&v->found)
		   : !damage_covers(&v->known, &v->found)) &&
	    damage_put(v->repo, &v->found, name, e) < 0)
		return -1;
	if (renew)
		damage_forget(v->repo, &v->known);
	return 0;
}

int verify_alive(const struct verify *v, struct err *e)
{
	if (v->o->cancel == NULL || !*v->o->cancel)
		return 0;
	return err_set(e, ERR_STOPPED, "stopped");
}

/* ---- all ------------------------------------------------------------- */

/* Notes are believed where packs are not read. */
static int prepare(struct verify *v, struct err *e)
{
	v->fetch = fetch_new(v->repo, e);
	if (v->fetch == NULL || damage_load(v->repo, &v->known, e) < 0)
		return -1;
	v->suspicious = !damage_empty(&v->known);
	if (v->level >= VERIFY_SEALS &&
	    keyring_need(v->repo->keys, NEED_READ, e) < 0)
		return err_ctx(e, "cannot open what is stored; 'verify --level "
				  "checksums' needs no such key");
	return 0;
}

static int run(struct verify *v, struct err *e)
{
	if (prepare(v, e) < 0 || verify_objects(v, e) < 0)
		return -1;
	if ((v->level >= VERIFY_TREES || v->suspicious) &&
	    verify_walk(v, e) < 0)
		return -1;
	struct err why = ERR_INIT;
	int ok = verify_packs(v, e);

	v->result->complete &= v->result->unread == 0;
	collect(v);
	if (ok < 0)
		return -1;
	/* on a full disk, or one that is read-only, what was found counts */
	if (note_damage(v, &why) < 0)
		talk_say(v->o->talk, TALK_WARN,
			 "%s: until it is noted, backups do not store again "
			 "what is lost",
			 why.msg);
	return 0;
}

static enum verify_level level_of(const struct verify_options *o)
{
	if (o->read_data)
		return VERIFY_DATA;
	return o->level != VERIFY_DEFAULT ? o->level : VERIFY_TREES;
}

static void verify_fini(struct verify *v)
{
	for (size_t i = 0; i < v->object_count; i++)
		one_fini(&v->objects[i].damage);
	free(v->objects);
	fetch_free(v->fetch);
	usage_fini(&v->usage);
	damage_fini(&v->known);
	damage_fini(&v->found);
	damage_fini(&v->bad);
	pthread_mutex_destroy(&v->lock);
}

int verify_run(struct repo *r, const struct catalog *c,
	       const struct verify_options *o, struct verify_result *result,
	       struct err *e)
{
	AUTO(verify_fini)
	struct verify v = { .repo = r,
			    .catalog = c,
			    .o = o,
			    .level = level_of(o),
			    .result = result,
			    .lock = PTHREAD_MUTEX_INITIALIZER };

	memset(result, 0, sizeof(*result));
	result->level = v.level;
	return run(&v, e);
}

void verify_result_fini(struct verify_result *r)
{
	for (size_t i = 0; i < r->damage_count; i++)
		one_fini(&r->damages[i]);
	for (size_t i = 0; i < r->healed_count; i++)
		one_fini(&r->healed[i]);
	free(r->damages);
	free(r->healed);
	memset(r, 0, sizeof(*r));
}
