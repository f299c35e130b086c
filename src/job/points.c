/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "job/describe.h"
#include "job/places.h"

static void add_point(struct result_points *r, const struct places *p,
		      const struct set *set, const struct point *point)
{
	bool here = places_here(p, set);
	bool twin = places_twin(p, point) != NULL;

	r->points = mem_grow(r->points, r->count + 1, sizeof(*r->points));
	struct result_point *to = &r->points[r->count++];

	describe_point(set, point, to);
	if (here || twin)
		result_strings_add(&to->places, PLACE_LOCAL);
	if (!here || twin)
		result_strings_add(&to->places, PLACE_REPOSITORY);
}

static void add_all(const struct places *p, const char *name,
		    struct result_points *r)
{
	const struct catalog *c = &p->all;

	for (size_t i = 0; i < c->count; i++) {
		const struct set *s = &c->sets[i];

		for (size_t k = 0; k < s->point_count; k++)
			if (name == NULL ||
			    strcmp(s->points[k].name, name) == 0)
				add_point(r, p, s, &s->points[k]);
	}
	for (size_t i = 0; i < c->damaged_count; i++)
		result_strings_add(&r->damaged, "%s", c->damaged[i].msg);
}

int job_points(const struct job *j, const char *name,
	       struct result_points *result, struct err *e)
{
	AUTO(places_fini) struct places p = { 0 };

	memset(result, 0, sizeof(*result));
	if (places_open(j, &p, e) < 0)
		return -1;
	add_all(&p, name, result);
	if (name != NULL && result->count == 0 && result->damaged.count == 0)
		return err_set(e, ERR_NOT_FOUND,
			       "no points of '%s': 'vmkeep points' lists what "
			       "there is",
			       name);
	return 0;
}

int job_show(const struct job *j, const char *point,
	     struct result_points *result, struct err *e)
{
	AUTO(places_fini) struct places p = { 0 };
	struct catalog_hit hit;

	memset(result, 0, sizeof(*result));
	if (places_open(j, &p, e) < 0)
		return -1;
	places_warn(&p);
	if (catalog_find(&p.all, point, &hit, e) < 0)
		return -1;
	add_point(result, &p, hit.set, hit.point);
	return 0;
}
