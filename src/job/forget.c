/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/describe.h"
#include "job/gc.h"
#include "job/local.h"
#include "job/places.h"
#include "repo/tomb.h"

#define SET_PREFIX "points/"

/* What is to be forgotten: points of the catalogue, and sets that cannot be
 * read. */
struct chosen {
	struct catalog_hit *hits;
	size_t count;
	struct id *sets;
	size_t set_count;
};

static void chosen_fini(struct chosen *c)
{
	free(c->hits);
	free(c->sets);
}

static bool is_chosen(const struct chosen *c, const struct point *p)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->hits[i].point == p)
			return true;
	return false;
}

/* ---- finding ------------------------------------------------------------ */

static bool has_ram(const struct point *p)
{
	for (size_t i = 0; i < p->image_count; i++)
		if (image_is_ram(&p->images[i]))
			return true;
	return false;
}

/* Only one that is known to be damaged, or it would be too easy to forget
 * several points by one. */
static int choose_set(const struct catalog *c, const char *text,
		      struct chosen *to, struct err *e)
{
	struct id id;

	for (size_t i = 0; i < c->damaged_count; i++) {
		if (strcmp(c->damaged[i].object, text) != 0 ||
		    !hex_decode(text + strlen(SET_PREFIX), id.b, ID_SIZE))
			continue;
		to->sets = mem_grow(to->sets, to->set_count + 1,
				    sizeof(*to->sets));
		to->sets[to->set_count++] = id;
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND,
		       "no damaged set '%s': 'vmkeep points' lists them", text);
}

static int choose(const struct catalog *c, const char *text, bool ram,
		  struct chosen *to, struct err *e)
{
	struct catalog_hit hit;

	if (strncmp(text, SET_PREFIX, strlen(SET_PREFIX)) == 0 &&
	    strlen(text) == strlen(SET_PREFIX) + ID_TEXT - 1)
		return choose_set(c, text, to, e);
	if (catalog_find(c, text, &hit, e) < 0)
		return -1;
	if (ram && !has_ram(hit.point))
		return err_set(e, ERR_USAGE, "point '%s' has no RAM to forget",
			       text);
	if (is_chosen(to, hit.point))
		return 0;
	to->hits = mem_grow(to->hits, to->count + 1, sizeof(*to->hits));
	to->hits[to->count++] = hit;
	return 0;
}

/* ---- the last one ------------------------------------------------------- */

static bool any_left(const struct catalog *c, const struct chosen *chosen,
		     const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].point_count; k++) {
			const struct point *p = &c->sets[i].points[k];

			if (strcmp(p->name, name) == 0 && !is_chosen(chosen, p))
				return true;
		}
	return false;
}

/* Who forgets the last backup of a VM has most often mistyped something. */
static int check_last(const struct catalog *c, const struct chosen *chosen,
		      struct err *e)
{
	for (size_t i = 0; i < chosen->count; i++) {
		const char *name = chosen->hits[i].point->name;

		if (!any_left(c, chosen, name))
			return err_set(e, ERR_REFUSED,
				       "nothing would be left of '%s': say "
				       "--force if that is meant",
				       name);
	}
	return 0;
}

/* ---- doing it ----------------------------------------------------------- */

static void add_result(struct result_forget *r, const struct catalog_hit *hit)
{
	r->points = mem_grow(r->points, r->count + 1, sizeof(*r->points));
	describe_point(hit->set, hit->point, &r->points[r->count++]);
}

static void add_set(struct result_forget *r, const struct id *id)
{
	autofree char *hex = describe_id(id);

	result_strings_add(&r->sets, SET_PREFIX "%s", hex);
}

/* In one place. */
static int forget_in(const struct places *p, const struct set *set,
		     const struct point *point, bool ram, struct err *e)
{
	if (places_here(p, set))
		return local_forget(p->job, set, point, ram, e);
	return tomb_put(p->repo, set, point, ram ? TOMB_RAM : TOMB_POINT, e);
}

/* Wherever it is held: in the repository first, for that may be refused. */
static int forget_point(const struct places *p, const struct catalog_hit *hit,
			bool ram, struct err *e)
{
	const struct set *twin = places_twin(p, hit->point);
	const struct set *there = places_here(p, hit->set) ? twin : hit->set;
	const struct set *here = there == twin ? hit->set : twin;

	if (there != NULL && forget_in(p, there, hit->point, ram, e) < 0)
		return -1;
	return here != NULL ? forget_in(p, here, hit->point, ram, e) : 0;
}

/* The result says what was done, also when not all could be. */
static int forget_all(const struct places *p, const struct chosen *c,
		      struct result_forget *result, struct err *e)
{
	bool dry = result->dry_run;

	for (size_t i = 0; i < c->count; i++) {
		if (!dry && forget_point(p, &c->hits[i], result->ram, e) < 0)
			return -1;
		add_result(result, &c->hits[i]);
	}
	for (size_t i = 0; i < c->set_count; i++) {
		if (!dry && tomb_put_set(p->repo, &c->sets[i], e) < 0)
			return -1;
		add_set(result, &c->sets[i]);
	}
	return 0;
}

/* Does anything of it stand in the repository? */
static bool needs_keeper(const struct places *p, const struct chosen *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (!places_here(p, c->hits[i].set) ||
		    places_twin(p, c->hits[i].point) != NULL)
			return true;
	return c->set_count > 0;
}

int job_forget(const struct job *j, const struct job_forget *f,
	       struct result_forget *result, struct err *e)
{
	*result =
		(struct result_forget){ .ram = f->ram, .dry_run = f->dry_run };
	AUTO(places_fini) struct places p = { 0 };
	AUTO(chosen_fini) struct chosen chosen = { 0 };

	if (places_open(j, &p, e) < 0)
		return -1;
	for (size_t i = 0; i < f->point_count; i++)
		if (choose(&p.all, f->points[i], f->ram, &chosen, e) < 0)
			return -1;
	if (needs_keeper(&p, &chosen) && tomb_allowed(p.repo, e) < 0)
		return -1;
	if (!f->force && !f->ram && check_last(&p.all, &chosen, e) < 0)
		return -1;
	return forget_all(&p, &chosen, result, e);
}
