/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/describe.h"
#include "job/gc.h"
#include "job/open.h"
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

/* The result says what was done, also when not all could be. */
static int put_all(struct repo *r, const struct chosen *c,
		   struct result_forget *result, struct err *e)
{
	enum tomb_scope scope = result->ram ? TOMB_RAM : TOMB_POINT;
	bool dry = result->dry_run;

	for (size_t i = 0; i < c->count; i++) {
		if (!dry &&
		    tomb_put(r, c->hits[i].set, c->hits[i].point, scope, e) < 0)
			return -1;
		add_result(result, &c->hits[i]);
	}
	for (size_t i = 0; i < c->set_count; i++) {
		if (!dry && tomb_put_set(r, &c->sets[i], e) < 0)
			return -1;
		add_set(result, &c->sets[i]);
	}
	return 0;
}

int job_forget(const struct job *j, const struct job_forget *f,
	       struct result_forget *result, struct err *e)
{
	*result =
		(struct result_forget){ .ram = f->ram, .dry_run = f->dry_run };
	AUTO(repo_close_at) struct repo *r = job_repo(j, e);
	AUTO(catalog_fini) struct catalog c = { 0 };
	AUTO(chosen_fini) struct chosen chosen = { 0 };

	if (r == NULL || tomb_allowed(r, e) < 0 || catalog_load(r, &c, e) < 0)
		return -1;
	for (size_t i = 0; i < f->point_count; i++)
		if (choose(&c, f->points[i], f->ram, &chosen, e) < 0)
			return -1;
	if (!f->force && !f->ram && check_last(&c, &chosen, e) < 0)
		return -1;
	return put_all(r, &chosen, result, e);
}
