/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/repair.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/index_rebuild.h"
#include "repo/repair_internal.h"

static bool starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* ---- looking --------------------------------------------------------- */

static int look(struct repair *p, struct verify_result *out, struct err *e)
{
	const struct verify_options o = { .level = p->o->level,
					  .talk = p->o->talk,
					  .cancel = p->o->cancel };

	catalog_fini(&p->result->catalog);
	if (catalog_load(p->repo, &p->result->catalog, e) < 0)
		return -1;
	return verify_run(p->repo, &p->result->catalog, &o, out, e);
}

/* Look again after a step, if it has done anything. */
static int look_again(struct repair *p, bool changed, struct err *e)
{
	struct repair_result *r = p->result;

	if (!changed)
		return 0;
	r->changed = true;
	verify_result_fini(&r->after);
	return look(p, &r->after, e);
}

static const struct verify_result *now(const struct repair *p)
{
	return p->result->changed ? &p->result->after : &p->result->before;
}

static bool is_whole(const struct repair *p)
{
	return now(p)->damage_count == 0;
}

/* ---- the index ------------------------------------------------------- */

static bool lacks_segments(const struct verify_result *found)
{
	for (size_t i = 0; i < found->damage_count; i++)
		if (starts(found->damages[i].object, "idx/"))
			return true;
	return false;
}

static int rebuild_sets(struct repair *p, struct index_rebuilt *done,
			struct err *e)
{
	const struct catalog *c = &p->result->catalog;

	for (size_t i = 0; i < c->count; i++)
		if (index_rebuild_set(p->repo, &c->sets[i], done, e) < 0)
			return -1;
	for (size_t i = 0; i < c->count && p->repo->keys->role == ROLE_OWNER;
	     i++)
		if (index_rebuild_leans(p->repo, &c->sets[i], done, e) < 0)
			return -1;
	return 0;
}

/* Of segments that a generation lists nobody knows which entries they had:
 * what can be found is for readers, and for the next collection. */
static int rebuild_all(struct repair *p, struct index_rebuilt *done,
		       struct err *e)
{
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	if (index_rebuild_all(p->repo, host, done, e) < 0)
		return -1;
	return index_open_sessions(p->repo->index, e);
}

static bool hurts_images(const struct verify_result *found)
{
	for (size_t i = 0; i < found->damage_count; i++)
		if (found->damages[i].part != NULL)
			return true;
	return false;
}

static int repair_index(struct repair *p, struct err *e)
{
	struct index_rebuilt done = { .segments = 0 };

	if (!lacks_segments(now(p)))
		return 0;
	if (rebuild_sets(p, &done, e) < 0 ||
	    look_again(p, done.segments > 0, e) < 0)
		return -1;
	p->result->segments += done.segments;
	done.segments = 0;
	if (!lacks_segments(now(p)) ||
	    (!hurts_images(now(p)) && p->repo->keys->role != ROLE_OWNER))
		return 0;
	if (rebuild_all(p, &done, e) < 0)
		return -1;
	p->result->segments += done.segments;
	return look_again(p, done.segments > 0, e);
}

/* ---- all ------------------------------------------------------------- */

static int from_copy(struct repair *p, struct err *e)
{
	uint64_t before = p->result->objects;

	if (memcmp(p->o->from->config.repo.b, p->repo->config.repo.b,
		   ID_SIZE) != 0)
		return 0;
	if (repair_objects(p, now(p), e) < 0)
		return -1;
	return look_again(p, p->result->objects > before, e);
}

static int from_images(struct repair *p, struct err *e)
{
	uint64_t before = p->result->images;

	if (!hurts_images(now(p)))
		return 0;
	if (repair_images(p, now(p), e) < 0)
		return -1;
	return look_again(p, p->result->images > before, e);
}

int repair_run(struct repo *r, const struct repair_options *o,
	       struct repair_result *result, struct err *e)
{
	struct repair p = { .repo = r, .o = o, .result = result };

	memset(result, 0, sizeof(*result));
	if (repo_writable(r, e) < 0 || look(&p, &result->before, e) < 0)
		return -1;
	/* what is there byte for byte first: then nothing else need be done */
	if (!is_whole(&p) && o->from != NULL && from_copy(&p, e) < 0)
		return -1;
	if (!is_whole(&p) && repair_index(&p, e) < 0)
		return -1;
	if (!is_whole(&p) && o->from != NULL && from_images(&p, e) < 0)
		return -1;
	return 0;
}

void repair_result_fini(struct repair_result *r)
{
	verify_result_fini(&r->before);
	verify_result_fini(&r->after);
	catalog_fini(&r->catalog);
	memset(r, 0, sizeof(*r));
}
