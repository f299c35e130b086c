/* SPDX-License-Identifier: Apache-2.0 */
#include "job/stats.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/open.h"
#include "repo/stats.h"

static void copy_counts(const struct stats_result *from,
			struct result_stats *to)
{
	to->size = from->size;
	to->data = from->data;
	to->unique = from->unique;
	to->stored = from->stored;
	to->nodes = from->nodes;
	to->chunks = from->chunks;
	to->tree = from->tree;
	to->packs = from->packs;
	to->pack_bytes = from->pack_bytes;
	to->objects = from->objects;
	to->bytes = from->bytes;
	to->lost = from->lost;
}

static void add_point(struct result_stats *to, const struct stats_point *p)
{
	char hex[ID_TEXT];

	hex_encode(p->point->id.b, ID_SIZE, hex);
	to->points[to->point_count++] = (struct result_stats_point){
		.id = mem_strdup(hex),
		.name = mem_strdup(p->point->name),
		.time_ns = p->point->time_ns,
		.size = p->size,
		.data = p->data,
		.frees = p->frees,
	};
}

static void copy_points(const struct stats_result *from,
			const struct point *only, struct result_stats *to)
{
	to->points = mem_zalloc(from->point_count + 1, sizeof(*to->points));
	for (size_t i = 0; i < from->point_count; i++)
		if (only == NULL || from->points[i].point == only)
			add_point(to, &from->points[i]);
}

static void copy_names(const struct stats_result *from, struct result_stats *to)
{
	to->names = mem_zalloc(from->name_count + 1, sizeof(*to->names));
	for (size_t i = 0; i < from->name_count; i++) {
		const struct stats_name *n = &from->names[i];

		to->names[to->name_count++] = (struct result_stats_name){
			.name = mem_strdup(n->name),
			.points = n->points,
			.size = n->size,
			.data = n->data,
			.frees = n->frees,
		};
	}
}

static int run(const struct job *j, struct repo *r, const char *point,
	       struct result_stats *result, struct err *e)
{
	const struct stats_options o = { .talk = j->talk, .cancel = j->cancel };
	AUTO(catalog_fini) struct catalog c = { 0 };
	AUTO(stats_result_fini) struct stats_result found = { 0 };
	struct catalog_hit hit = { .point = NULL };

	if (job_catalog(j, r, &c, e) < 0 ||
	    (point != NULL && catalog_find(&c, point, &hit, e) < 0) ||
	    stats_run(r, &c, &o, &found, e) < 0)
		return -1;
	copy_counts(&found, result);
	copy_points(&found, hit.point, result);
	copy_names(&found, result);
	return 0;
}

int job_stats(const struct job *j, const char *point,
	      struct result_stats *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	AUTO(repo_close_at) struct repo *r = job_repo(j, e);

	memset(result, 0, sizeof(*result));
	result->one = point != NULL;
	int ok = r != NULL ? run(j, r, point, result, e) : -1;

	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
