/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/verify.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/open.h"
#include "job/verify.h"

static const enum verify_level levels[] = {
	[JOB_VERIFY_SIZES] = VERIFY_SIZES,
	[JOB_VERIFY_TREES] = VERIFY_TREES,
	[JOB_VERIFY_CHECKSUMS] = VERIFY_CHECKSUMS,
	[JOB_VERIFY_SEALS] = VERIFY_SEALS,
	[JOB_VERIFY_DATA] = VERIFY_DATA,
};

enum verify_level job_level_of(enum job_verify_level level)
{
	return levels[level];
}

static const char *level_text(enum verify_level level)
{
	switch (level) {
	case VERIFY_SIZES:
		return "sizes";
	case VERIFY_CHECKSUMS:
		return "checksums";
	case VERIFY_SEALS:
		return "seals";
	case VERIFY_DATA:
		return "data";
	case VERIFY_DEFAULT:
	case VERIFY_TREES:
		break;
	}
	return "trees";
}

static void copy_counts(const struct verify_result *from,
			struct result_verify *to)
{
	to->level = level_text(from->level);
	to->reads = from->level >= VERIFY_CHECKSUMS;
	to->complete = from->complete;
	to->sets = from->sets;
	to->points = from->points;
	to->images = from->images;
	to->nodes = from->nodes;
	to->chunks = from->chunks;
	to->packs = from->packs;
	to->packs_read = from->packs_read;
	to->bytes_read = from->bytes_read;
	to->bytes = from->bytes;
	to->bytes_recent = from->bytes_recent;
	to->bytes_ever = from->bytes_ever;
	to->oldest_ns = from->oldest_ns;
}

static struct result_damage *copy_damages(const struct verify_damage *from,
					  size_t count)
{
	struct result_damage *to = mem_zalloc(count, sizeof(*to));

	for (size_t i = 0; i < count; i++) {
		const struct verify_damage *d = &from[i];

		to[i] = (struct result_damage){
			.object = mem_strdup(d->object),
			.point = mem_strdup(d->point),
			.image = mem_strdup(d->image),
			.offset = d->offset,
			.size = d->size,
			.msg = mem_strdup(d->msg),
		};
	}
	return to;
}

void job_take_verify(const struct verify_result *from, struct result_verify *to)
{
	copy_counts(from, to);
	to->unread = from->unread;
	to->unread_msg = from->unread > 0 ? mem_strdup(from->unread_msg) : NULL;
	to->damages = copy_damages(from->damages, from->damage_count);
	to->damage_count = from->damage_count;
	to->healed = copy_damages(from->healed, from->healed_count);
	to->healed_count = from->healed_count;
}

static int run(const struct job *j, struct repo *r, const struct job_verify *v,
	       struct result_verify *result, struct err *e)
{
	AUTO(catalog_fini) struct catalog c = { 0 };
	AUTO(verify_result_fini) struct verify_result found = { 0 };
	struct verify_options o = { .level = job_level_of(v->level),
				    .max_time_ms = v->max_time_ms,
				    .talk = j->talk,
				    .cancel = j->cancel };
	struct catalog_hit hit;

	if (catalog_load(r, &c, e) < 0)
		return -1;
	if (v->point != NULL) {
		if (catalog_find(&c, v->point, &hit, e) < 0)
			return -1;
		o.only = &hit;
	}
	int ok = verify_run(r, &c, &o, &found, e);

	job_take_verify(&found, result);
	return ok;
}

int job_verify(const struct job *j, const struct job_verify *v,
	       struct result_verify *result, struct err *e)
{
	int64_t start = clock_steady_ns();

	memset(result, 0, sizeof(*result));
	result->level = level_text(job_level_of(v->level));
	struct job plain = *j;

	/* what is cached here says nothing of what is stored there */
	plain.cache_dir = NULL;
	AUTO(repo_close_at) struct repo *r = job_repo(&plain, e);
	int ok = r != NULL ? run(j, r, v, result, e) : -1;

	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
