/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "job/describe.h"
#include "job/open.h"

static void add_point(struct result_points *r, const struct set *set,
		      const struct point *p)
{
	r->points = mem_grow(r->points, r->count + 1, sizeof(*r->points));
	describe_point(set, p, &r->points[r->count++]);
}

static void add_all(const struct catalog *c, const char *name,
		    struct result_points *r)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct set *s = &c->sets[i];

		for (size_t k = 0; k < s->point_count; k++)
			if (name == NULL ||
			    strcmp(s->points[k].name, name) == 0)
				add_point(r, s, &s->points[k]);
	}
	for (size_t i = 0; i < c->damaged_count; i++)
		result_strings_add(&r->damaged, "%s", c->damaged[i].msg);
}

int job_points(const struct job *j, const char *name,
	       struct result_points *result, struct err *e)
{
	memset(result, 0, sizeof(*result));
	AUTO(repo_close_at) struct repo *r = job_repo(j, e);
	AUTO(catalog_fini) struct catalog c = { 0 };

	if (r == NULL || catalog_load(r, &c, e) < 0)
		return -1;
	add_all(&c, name, result);
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
	memset(result, 0, sizeof(*result));
	AUTO(repo_close_at) struct repo *r = job_repo(j, e);
	AUTO(catalog_fini) struct catalog c = { 0 };
	struct catalog_hit hit;

	if (r == NULL || job_catalog(j, r, &c, e) < 0 ||
	    catalog_find(&c, point, &hit, e) < 0)
		return -1;
	add_point(result, hit.set, hit.point);
	return 0;
}
