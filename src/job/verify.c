/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/verify.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/open.h"

static void copy_counts(const struct verify_result *from,
			struct result_verify *to)
{
	to->sets = from->sets;
	to->points = from->points;
	to->images = from->images;
	to->nodes = from->nodes;
	to->chunks = from->chunks;
	to->packs = from->packs;
	to->bytes_read = from->bytes_read;
}

static void copy_damages(const struct verify_result *from,
			 struct result_verify *to)
{
	to->damage_count = from->damage_count;
	to->damages = mem_zalloc(from->damage_count, sizeof(*to->damages));
	for (size_t i = 0; i < from->damage_count; i++) {
		const struct verify_damage *d = &from->damages[i];

		to->damages[i] = (struct result_damage){
			.object = mem_strdup(d->object),
			.point = mem_strdup(d->point),
			.image = mem_strdup(d->image),
			.offset = d->offset,
			.size = d->size,
			.msg = mem_strdup(d->msg),
		};
	}
}

static int run(const struct job *j, struct repo *r, const char *point,
	       struct result_verify *result, struct err *e)
{
	AUTO(catalog_fini) struct catalog c = { 0 };
	AUTO(verify_result_fini) struct verify_result found = { 0 };
	struct verify_options o = { .read_data = result->read_data,
				    .talk = j->talk };
	struct catalog_hit hit;

	if (catalog_load(r, &c, e) < 0)
		return -1;
	if (point != NULL) {
		if (catalog_find(&c, point, &hit, e) < 0)
			return -1;
		o.only = &hit;
	}
	int ok = verify_run(r, &c, &o, &found, e);

	copy_counts(&found, result);
	copy_damages(&found, result);
	return ok;
}

int job_verify(const struct job *j, const char *point, bool read_data,
	       struct result_verify *result, struct err *e)
{
	int64_t start = clock_steady_ns();

	memset(result, 0, sizeof(*result));
	result->read_data = read_data;
	struct job plain = *j;

	/* what is cached here says nothing of what is stored there */
	plain.cache_dir = NULL;
	AUTO(repo_close_at) struct repo *r = job_repo(&plain, e);
	int ok = r != NULL ? run(j, r, point, result, e) : -1;

	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
