/* SPDX-License-Identifier: Apache-2.0 */
#include "job/repair.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/open.h"
#include "job/verify.h"
#include "repo/repair.h"

static void copy(const struct repair_result *from, struct result_repair *to)
{
	to->changed = from->changed;
	to->objects = from->objects;
	to->segments = from->segments;
	to->images = from->images;
	to->stored_bytes = from->stored_bytes;
	to->damages_before = from->before.damage_count;
	job_take_verify(from->changed ? &from->after : &from->before,
			&to->left);
}

static int run(const struct job *j, struct repo *r, struct repo *from,
	       enum job_verify_level level, struct result_repair *result,
	       struct err *e)
{
	const struct repair_options o = { .from = from,
					  .level = job_level_of(level),
					  .talk = j->talk,
					  .cancel = j->cancel };
	AUTO(repair_result_fini) struct repair_result found = { 0 };
	int ok = repair_run(r, &o, &found, e);

	copy(&found, result);
	return ok;
}

/* Caches would hide what is damaged in the store. */
static struct repo *open_one(const struct job *j, const char *repository,
			     const char *key_file, struct err *e)
{
	struct job one = *j;

	one.cache_dir = NULL;
	one.repository = repository;
	one.key_file = key_file;
	return job_repo(&one, e);
}

int job_repair(const struct job *j, const struct job_repair *o,
	       struct result_repair *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	AUTO(repo_close_at) struct repo *r = NULL;
	AUTO(repo_close_at) struct repo *from = NULL;
	int ok = -1;

	memset(result, 0, sizeof(*result));
	result->left.level = "data";
	r = open_one(j, j->repository, j->key_file, e);
	if (r != NULL && o->from != NULL)
		from = open_one(j, o->from,
				o->from_key_file != NULL ? o->from_key_file
							 : j->key_file,
				e);
	if (r != NULL && (o->from == NULL || from != NULL))
		ok = run(j, r, from, o->level, result, e);
	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
