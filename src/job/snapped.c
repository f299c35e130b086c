/* SPDX-License-Identifier: Apache-2.0 */
#include "job/snapped.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/snapuse.h"

/* How often the reader's question is passed on. */
#define EVERY_NS ((int64_t)2 * 1000000000)

struct snapped {
	const struct job *job;
	char *id;
	struct snap_use *use; /* from the first plan on */
	struct snap_plan plan;
	struct snaps snaps;
	bool stay;
	struct snap_view **views; /* of each snap, opened when needed */
	pthread_mutex_t check_lock;
	int64_t checked_ns;
	struct err failed; /* stays once it is set */
};

struct snapped *snapped_new(const struct job *j, const char *id)
{
	struct snapped *s = mem_zalloc(1, sizeof(*s));

	s->job = j;
	s->id = mem_strdup(id);
	pthread_mutex_init(&s->check_lock, NULL);
	return s;
}

static void snapped_free(struct snapped *s)
{
	snap_use_free(s->use);
	snap_plan_fini(&s->plan);
	snaps_fini(&s->snaps);
	pthread_mutex_destroy(&s->check_lock);
	free(s->views);
	free(s->id);
	free(s);
}

static struct snap_how how_of(const struct snapped *s, unsigned deadline_ms)
{
	struct snap_how how = { .journal = NULL };

	if (s->use != NULL)
		how = *snap_use_how(s->use);
	how.deadline_ms = deadline_ms;
	how.thick_bytes = s->job->thick_bytes;
	return how;
}

/* ---- taking ---------------------------------------------------------- */

static char *refusal(const char *const *paths, size_t count)
{
	struct snap_plan plan = { .volumes = NULL };
	struct err e = ERR_INIT;

	if (snap_find(paths, count, NULL, &plan, &e) < 0)
		return mem_strdup(e.msg);
	snap_plan_fini(&plan);
	return NULL;
}

static bool is_named(char *const *targets, size_t count, const char *target)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(targets[i], target) == 0)
			return true;
	return targets == NULL;
}

char *snapped_refusal_of(struct conn *c, const struct domain_info *d,
			 char *const *targets, size_t count)
{
	autofree const char **paths =
		mem_zalloc(d->disk_count + 1, sizeof(*paths));
	size_t n = 0;

	if (!conn_local(c))
		return mem_strdup("its disks are on another host");
	for (size_t i = 0; i < d->disk_count; i++)
		if (d->disks[i].captured &&
		    is_named(targets, count, d->disks[i].target))
			paths[n++] = d->disks[i].chain[0].path;
	return n > 0 ? refusal(paths, n) : mem_strdup("it has no disks");
}

static int begin(struct snapped *s, struct err *e)
{
	if (s->use == NULL)
		s->use = snap_use_begin(s->job, s->id, e);
	return s->use != NULL ? 0 : -1;
}

int snapped_plan(struct snapped *s, const char *const *paths, size_t count,
		 struct err *e)
{
	struct snap_how how;

	snap_plan_fini(&s->plan);
	s->plan = (struct snap_plan){ .volumes = NULL };
	if (count == 0)
		return 0;
	if (begin(s, e) < 0 || snap_find(paths, count, NULL, &s->plan, e) < 0)
		return -1;
	how = how_of(s, 0);
	return snap_ready(&s->plan, &how, e);
}

/* Of an attempt that came to nothing. */
static int drop_all(struct snapped *s, struct err *e)
{
	struct snap_how how = how_of(s, 0);

	if (s->snaps.count > 0 &&
	    snap_drop(s->snaps.items, s->snaps.count, &how, e) < 0)
		return -1;
	snaps_fini(&s->snaps);
	s->snaps = (struct snaps){ .items = NULL };
	return 0;
}

int snapped_take(struct snapped *s, unsigned deadline_ms, struct err *e)
{
	struct snap_how how = how_of(s, deadline_ms);

	if (drop_all(s, e) < 0)
		return -1;
	if (s->plan.volume_count == 0)
		return 0;
	if (snap_take(&s->plan, s->id, &how, &s->snaps, e) < 0)
		return err_ctx(e, "storage snapshot");
	free(s->views);
	s->views = mem_zalloc(s->snaps.count, sizeof(struct snap_view *));
	return 0;
}

uint64_t snapped_ms(const struct snapped *s)
{
	int64_t first = INT64_MAX;
	int64_t last = 0;

	for (size_t i = 0; i < s->snaps.count; i++) {
		const struct snap *one = &s->snaps.items[i];

		first = one->begin_ns < first ? one->begin_ns : first;
		last = one->end_ns > last ? one->end_ns : last;
	}
	return last > first ? (uint64_t)(last - first + 999999) / 1000000 : 0;
}

const struct snaps *snapped_all(const struct snapped *s)
{
	return &s->snaps;
}

/* ---- reading --------------------------------------------------------- */

static const struct snap_place *place_of(const struct snapped *s,
					 const char *path)
{
	for (size_t i = 0; i < s->plan.place_count; i++)
		if (strcmp(s->plan.places[i].path, path) == 0)
			return &s->plan.places[i];
	return NULL;
}

static struct snap_view *view_of(struct snapped *s, size_t volume,
				 struct err *e)
{
	struct snap_how how = how_of(s, 0);
	const char *warning;

	if (s->views[volume] != NULL)
		return s->views[volume];
	s->views[volume] = snap_view_open(&s->snaps.items[volume], &how, e);
	if (s->views[volume] == NULL)
		return NULL;
	warning = snap_view_warning(s->views[volume]);
	if (warning != NULL)
		talk_say(s->job->talk, TALK_WARN, "%s", warning);
	return s->views[volume];
}

static const struct snap_place *taken_place(const struct snapped *s,
					    const char *path, struct err *e)
{
	const struct snap_place *place = place_of(s, path);

	if (place != NULL && place->volume < s->snaps.count)
		return place;
	err_set(e, ERR_FAILED, "'%s' has no storage snapshot", path);
	return NULL;
}

int snapped_where(const struct snapped *s, const char *path,
		  const struct snap **snap, const char **inside, struct err *e)
{
	const struct snap_place *place = taken_place(s, path, e);

	if (place == NULL)
		return -1;
	*snap = &s->snaps.items[place->volume];
	*inside = place->inside;
	return 0;
}

const char *snapped_path(struct snapped *s, const char *path, struct err *e)
{
	const struct snap_place *place = taken_place(s, path, e);
	struct snap_view *view;

	if (place == NULL)
		return NULL;
	view = view_of(s, place->volume, e);
	return view != NULL ? snap_view_path(view, place->inside, e) : NULL;
}

static int check(struct snapped *s, int64_t age_ns, struct err *e)
{
	int64_t now = clock_steady_ns();
	int ret = 0;

	pthread_mutex_lock(&s->check_lock);
	if (s->failed.code == ERR_NONE && now - s->checked_ns >= age_ns &&
	    s->snaps.count > 0) {
		s->checked_ns = now;
		(void)!snap_check(s->snaps.items, s->snaps.count, &s->failed);
	}
	if (s->failed.code != ERR_NONE) {
		*e = s->failed;
		ret = -1;
	}
	pthread_mutex_unlock(&s->check_lock);
	return ret;
}

int snapped_check(struct snapped *s, struct err *e)
{
	return check(s, EVERY_NS, e);
}

int snapped_sure(struct snapped *s, struct err *e)
{
	return check(s, 0, e);
}

/* ---- giving back ----------------------------------------------------- */

/* The first error is the one that counts. */
static void keep_first(struct err *first, const struct err *e)
{
	if (first->code == ERR_NONE)
		*first = *e;
}

static void close_views(struct snapped *s, struct err *first)
{
	struct snap_how how = how_of(s, 0);

	for (size_t i = 0; s->views != NULL && i < s->snaps.count; i++) {
		struct err e = ERR_INIT;

		if (snap_view_close(s->views[i], &how, &e) < 0)
			keep_first(first, &e);
		s->views[i] = NULL;
	}
}

void snapped_stay(struct snapped *s)
{
	s->stay = true;
}

/* Of those that stay, a member that was lost has no point that names them. */
static int end_use(struct snapped *s, struct err *e)
{
	return s->stay ? snap_use_end(mem_take(&s->use), e)
		       : snap_use_done(s->use, e);
}

int snapped_end(struct snapped *s, struct err *e)
{
	struct err first = ERR_INIT;
	struct err second = ERR_INIT;

	if (s == NULL)
		return 0;
	if (s->use != NULL) {
		close_views(s, &first);
		if (!s->stay && drop_all(s, &second) < 0)
			keep_first(&first, &second);
		if (first.code == ERR_NONE)
			(void)!end_use(s, &first);
	}
	snapped_free(s);
	if (first.code == ERR_NONE)
		return 0;
	*e = first;
	return err_ctx(e, "not all storage snapshots could be given back "
			  "(vmkeep recover tries again)");
}
