/* SPDX-License-Identifier: Apache-2.0 */
#include "job/places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/describe.h"
#include "job/held.h"
#include "job/local.h"
#include "job/open.h"
#include "repo/reader.h"

static bool asks(const struct job *j, const char *place)
{
	return j->place == NULL || strcmp(j->place, place) == 0;
}

static bool same_id(const struct id *a, const struct id *b)
{
	return memcmp(a->b, b->b, ID_SIZE) == 0;
}

int places_local(const struct job *j, struct catalog *c, struct err *e)
{
	memset(c, 0, sizeof(*c));
	if (j->local_dir == NULL)
		return 0;
	if (local_load(j->local_dir, c, e) < 0)
		return -1;
	catalog_sort(c);
	return 0;
}

/* ---- twins -------------------------------------------------------------- */

static struct point *find_point(struct catalog *c, const struct id *id,
				struct set **set)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].point_count; k++)
			if (same_id(&c->sets[i].points[k].id, id)) {
				*set = &c->sets[i];
				return &c->sets[i].points[k];
			}
	return NULL;
}

/* Take a point out of its set, into a set of its own. */
static void hide(struct places *p, struct set *set, struct point *point)
{
	size_t at = (size_t)(point - set->points);
	struct set alone = { .session = set->session,
			     .time_ns = set->time_ns,
			     .host = mem_strdup(set->host),
			     .program = mem_strdup(set->program) };

	*set_add_point(&alone) = *point;
	set->point_count--;
	memmove(point, point + 1, (set->point_count - at) * sizeof(*point));
	catalog_add(&p->twins, &alone);
}

/* Has the one here lost what the other still has? */
static bool lacks_ram(const struct point *here, const struct point *there)
{
	return point_image(here, IMAGE_MEMORY) == NULL &&
	       point_image(there, IMAGE_MEMORY) != NULL;
}

static void hide_twins(struct places *p, struct catalog *here,
		       struct catalog *there)
{
	for (size_t i = 0; i < here->count; i++) {
		struct set *set = &here->sets[i];

		for (size_t k = 0; k < set->point_count; k++) {
			struct set *other;
			struct point *twin =
				find_point(there, &set->points[k].id, &other);

			if (twin == NULL)
				continue;
			if (lacks_ram(&set->points[k], twin))
				hide(p, set, &set->points[k--]);
			else
				hide(p, other, twin);
		}
	}
}

/* ---- together ----------------------------------------------------------- */

static void note_here(struct places *p, const struct catalog *here)
{
	p->here = mem_zalloc(here->count, sizeof(*p->here));
	for (size_t i = 0; i < here->count; i++)
		p->here[p->here_count++] = here->sets[i].session;
}

static void move_all(struct catalog *from, struct catalog *to)
{
	struct err why = ERR_INIT;

	for (size_t i = 0; i < from->count; i++)
		if (from->sets[i].point_count > 0)
			catalog_add(to, &from->sets[i]);
	for (size_t i = 0; i < from->damaged_count; i++) {
		memcpy(why.msg, from->damaged[i].msg, sizeof(why.msg));
		catalog_add_damage(to, from->damaged[i].object, &why);
	}
	catalog_fini(from);
}

static int open_repository(struct places *p, struct catalog *there,
			   bool any_here, struct err *e)
{
	p->repo = job_repo(p->job, e);
	if (p->repo != NULL && catalog_load(p->repo, there, e) == 0)
		return 0;
	if (!any_here)
		return -1;
	return err_ctx(e, "say --place local for what this host holds itself");
}

void places_warn(const struct places *p)
{
	for (size_t i = 0; i < p->all.damaged_count; i++)
		talk_say(p->job->talk, TALK_WARN, "points left out: %s",
			 p->all.damaged[i].msg);
}

/* Who may not look into somebody else's folder still has a repository. */
static int look_here(const struct job *j, struct catalog *here, struct err *e)
{
	if (places_local(j, here, e) == 0)
		return 0;
	if (e->sys != EACCES || j->place != NULL || j->repository == NULL)
		return -1;
	talk_say(j->talk, TALK_WARN, "points of this host left out: %s",
		 e->msg);
	err_clear(e);
	return 0;
}

int places_open(const struct job *j, struct places *p, struct err *e)
{
	AUTO(catalog_fini) struct catalog here = { 0 };
	AUTO(catalog_fini) struct catalog there = { 0 };

	*p = (struct places){ .job = j };
	if (asks(j, PLACE_LOCAL) && look_here(j, &here, e) < 0)
		return -1;
	/* without a repository the points here are all there are */
	bool ask = j->repository != NULL || here.count == 0;

	if (asks(j, PLACE_REPOSITORY) && ask &&
	    open_repository(p, &there, here.count > 0, e) < 0)
		return -1;
	note_here(p, &here);
	hide_twins(p, &here, &there);
	move_all(&here, &p->all);
	move_all(&there, &p->all);
	catalog_sort(&p->all);
	return 0;
}

void places_fini(struct places *p)
{
	catalog_fini(&p->all);
	catalog_fini(&p->twins);
	repo_close(p->repo);
	free(p->here);
	memset(p, 0, sizeof(*p));
}

bool places_here(const struct places *p, const struct set *set)
{
	for (size_t i = 0; i < p->here_count; i++)
		if (same_id(&p->here[i], &set->session))
			return true;
	return false;
}

const struct set *places_twin(const struct places *p, const struct point *point)
{
	for (size_t i = 0; i < p->twins.count; i++)
		if (same_id(&p->twins.sets[i].points[0].id, &point->id))
			return &p->twins.sets[i];
	return NULL;
}

int places_bytes(const struct places *p, const struct set *set,
		 const struct image *image, size_t max, struct buf *out,
		 struct err *e)
{
	int ok =
		places_here(p, set)
			? held_bytes(p->job, set, image, max, out, e)
			: reader_bytes(p->repo, set, &image->root, max, out, e);

	return ok < 0 ? err_ctx(e, "%s", image->name) : 0;
}
