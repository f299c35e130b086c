/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/intake.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "repo/intake_internal.h"

#ifndef VMKEEP_VERSION
#define VMKEEP_VERSION "0.1.0"
#endif

/* ---- failing --------------------------------------------------------- */

void intake_fail(struct intake *in, const struct err *e)
{
	pthread_mutex_lock(&in->fail_lock);
	/* "stopped" is what others say after the first failure */
	if (in->error.code == ERR_NONE && e->code != ERR_STOPPED)
		in->error = *e;
	pthread_mutex_unlock(&in->fail_lock);
	atomic_store(&in->failed, true);
	queue_stop(in->free);
	queue_stop(in->work);
	if (in->packer != NULL)
		packer_stop(in->packer);
	images_wake(in);
}

static void part_failed(void *ctx, const struct err *e)
{
	intake_fail(ctx, e);
}

int intake_alive(struct intake *in, struct err *e)
{
	if (!atomic_load(&in->failed))
		return 0;
	pthread_mutex_lock(&in->fail_lock);
	*e = in->error;
	pthread_mutex_unlock(&in->fail_lock);
	if (e->code == ERR_NONE)
		err_set(e, ERR_STOPPED, "stopped");
	return -1;
}

/* A caller's own failure ends all; it then hears of the first one. */
static int fail_with(struct intake *in, struct err *e)
{
	intake_fail(in, e);
	return intake_alive(in, e);
}

/* ---- workers --------------------------------------------------------- */

/* Publish when much has gathered.  Others go on meanwhile, unless as much
 * has gathered again. */
static int maybe_publish(struct worker *w, struct err *e)
{
	struct intake *in = w->in;
	size_t count = claims_count(in->claims);
	int ok = 0;

	if (count < in->claims_max)
		return 0;
	if (count >= 2 * in->claims_max)
		pthread_mutex_lock(&in->publish_lock);
	else if (pthread_mutex_trylock(&in->publish_lock) != 0)
		return 0;
	if (claims_count(in->claims) >= in->claims_max)
		ok = intake_publish(in, w, e);
	if (ok < 0)
		intake_fail(in, e);
	pthread_mutex_unlock(&in->publish_lock);
	return ok;
}

static int work_on(struct worker *w, const struct extent_job *job,
		   struct err *e)
{
	struct intake *in = w->in;

	pthread_rwlock_rdlock(&in->running);
	int ok = worker_extent(w, job, e);

	/* before anyone else may publish: some claims have no place now */
	if (ok < 0)
		intake_fail(in, e);
	pthread_rwlock_unlock(&in->running);
	return ok == 0 ? maybe_publish(w, e) : -1;
}

/* The next job, once there is one. */
static bool next_job(struct intake *in, struct extent_job **job)
{
	int64_t start = clock_steady_ns();
	void *thing;

	if (queue_pop(in->work, &thing) != 1)
		return false;
	pace_source(&in->pace, clock_steady_ns() - start);
	*job = thing;
	return true;
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	struct intake *in = w->in;
	struct extent_job *job;

	while (next_job(in, &job)) {
		int64_t start = clock_steady_ns();
		struct err e = ERR_INIT;

		if (work_on(w, job, &e) < 0)
			intake_fail(in, &e);
		pace_busy(&in->pace, clock_steady_ns() - start);
		image_done(job->image);
		intake_unbuffer(in, job->buffer);
		free(job);
	}
	worker_free(w);
	return NULL;
}

static int start_worker(struct intake *in, struct err *e)
{
	struct worker *w = worker_new(in, e);

	if (w == NULL)
		return -1;
	int sys = pthread_create(&in->threads[in->thread_count], NULL,
				 worker_thread, w);

	if (sys != 0) {
		worker_free(w);
		return err_sysno(e, sys, "cannot start a thread");
	}
	in->thread_count++;
	return 0;
}

/* ---- life ------------------------------------------------------------ */

/* Workers that are wanted; the plan may have fewer. */
static unsigned worker_count(const struct intake_options *o)
{
	long n = o->workers != 0 ? (long)o->workers
				 : sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)num_min((uint64_t)n, UINT_MAX) : 1;
}

static int make_buffers(struct intake *in, struct err *e)
{
	const unsigned n = in->pace.plan.buffers;

	in->free = queue_new(n);
	in->work = queue_new(n);
	for (in->buffers = 0; in->buffers < n; in->buffers++) {
		void *b = mem_try_pages(EXTENT_SIZE);

		if (b == NULL)
			return err_set(e, ERR_FAILED,
				       "no memory for %u "
				       "buffers of 4 MiB",
				       n);
		queue_push(in->free, b);
	}
	return 0;
}

static int make_packer(struct intake *in, struct err *e)
{
	struct packer_parts parts = {
		.repo = in->repo,
		.session = in->session.id,
		.failed = part_failed,
		.ctx = in,
	};

	in->packer = packer_new(&parts, e);
	return in->packer != NULL ? 0 : -1;
}

static int open_session(struct intake *in, struct err *e)
{
	struct repo *r = in->repo;

	if (repo_need(r, NEED_WRITE, e) < 0)
		return -1;
	if (session_open(r, in->host, &in->session, e) < 0 ||
	    index_open_siblings(r->index, in->session.generation, e) < 0 ||
	    damage_load(r, &in->damage, e) < 0 ||
	    (in->session.adopted && intake_go_on(in, e) < 0))
		return -1;
	in->ask = (struct index_ask){
		.generation = in->session.generation,
		.most = TIER_SIBLING,
		.own = &in->session.id,
	};
	return 0;
}

static int start_beat(struct intake *in, struct err *e)
{
	in->beat = beat_start(&(struct beat_parts){ .repo = in->repo,
						    .session = &in->session,
						    .every_ns = BEAT_EVERY_NS,
						    .failed = part_failed,
						    .ctx = in },
			      e);
	return in->beat != NULL ? 0 : -1;
}

static int start(struct intake *in, const struct intake_options *o,
		 struct err *e)
{
	struct pace_plan plan = pace_plan(in->repo->level, worker_count(o));
	unsigned n = plan.workers;

	pace_init(&in->pace, &plan);
	if (open_session(in, e) < 0 || start_beat(in, e) < 0 ||
	    make_packer(in, e) < 0 || make_buffers(in, e) < 0)
		return -1;
	in->bin.data = mem_alloc(plan.blob_raw);
	in->main = worker_new(in, e);
	if (in->main == NULL)
		return -1;
	in->threads = mem_zalloc(n, sizeof(*in->threads));
	while (in->thread_count < n)
		if (start_worker(in, e) < 0)
			return -1;
	return 0;
}

static char *host_name(const struct intake_options *o)
{
	char name[256] = "";

	if (o->host != NULL)
		return mem_strdup(o->host);
	if (gethostname(name, sizeof(name) - 1) != 0)
		return mem_strdup("unknown");
	return mem_strdup(name);
}

static void init_locks(struct intake *in)
{
	pthread_rwlockattr_t a;

	/* publishing must not wait until there is no work left */
	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setkind_np(
		&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&in->running, &a);
	pthread_rwlockattr_destroy(&a);
	pthread_mutex_init(&in->publish_lock, NULL);
	pthread_mutex_init(&in->nodes_lock, NULL);
	pthread_mutex_init(&in->bin_lock, NULL);
	pthread_mutex_init(&in->main_lock, NULL);
	pthread_mutex_init(&in->images_lock, NULL);
	pthread_mutex_init(&in->fail_lock, NULL);
	pthread_mutex_init(&in->leans_lock, NULL);
}

struct intake *intake_open(struct repo *r, const struct intake_options *o,
			   struct err *e)
{
	AUTO(intake_close_at) struct intake *in = mem_zalloc(1, sizeof(*in));

	in->repo = r;
	in->host = host_name(o);
	in->claims = claims_new();
	in->leaving = claims_new();
	in->claims_fixed = o->claims_max != 0;
	atomic_init(&in->claims_max,
		    in->claims_fixed ? o->claims_max : CLAIMS_FIRST);
	in->nodes = mem_zalloc(1, sizeof(*in->nodes));
	init_locks(in);
	if (start(in, o, e) < 0)
		return NULL;
	return mem_take(&in);
}

static void free_job(void *thing)
{
	struct extent_job *job = thing;

	free(job->buffer);
	free(job);
}

static void free_queue(struct queue *q, void (*free_thing)(void *))
{
	void *thing;

	while (q != NULL && (thing = queue_drain(q)) != NULL)
		free_thing(thing);
	queue_free(q);
}

void intake_close(struct intake *in)
{
	if (in == NULL)
		return;
	beat_stop(in->beat);
	if (in->work != NULL)
		queue_stop(in->work);
	if (in->packer != NULL)
		packer_stop(in->packer);
	for (unsigned i = 0; i < in->thread_count; i++)
		pthread_join(in->threads[i], NULL);
	free(in->threads);
	worker_free(in->main);
	packer_free(in->packer);
	claims_free(in->claims);
	claims_free(in->leaving);
	while (in->images != NULL)
		image_forget(in, in->images);
	free_queue(in->work, free_job);
	free_queue(in->free, free);
	leans_fini(&in->leans);
	damage_fini(&in->damage);
	pthread_rwlock_destroy(&in->running);
	pthread_mutex_destroy(&in->publish_lock);
	pthread_mutex_destroy(&in->nodes_lock);
	pthread_mutex_destroy(&in->bin_lock);
	pthread_mutex_destroy(&in->main_lock);
	pthread_mutex_destroy(&in->images_lock);
	pthread_mutex_destroy(&in->fail_lock);
	pthread_mutex_destroy(&in->leans_lock);
	session_close(&in->session, false);
	free(in->nodes);
	free(in->bin.data);
	free(in->host);
	free(in);
}

void intake_close_at(struct intake **in)
{
	intake_close(*in);
}

/* ---- commit ---------------------------------------------------------- */

static void fill_set(struct intake *in, struct set *set)
{
	struct intake_stats st;

	intake_stats(in, &st);
	set->session = in->session.id;
	set->generation = in->session.generation;
	set->time_ns = clock_wall_ns();
	set->host = mem_strdup(in->host);
	set->program = mem_strdup("vmkeep " VMKEEP_VERSION);
	set->segments = mem_zalloc(in->leans.count, sizeof(char *));
	for (size_t i = 0; i < in->leans.count; i++)
		set->segments[i] = mem_strdup(in->leans.names[i]);
	set->segment_count = in->leans.count;
	attrs_setf(&set->attrs, "bytes.pages", "%llu",
		   (unsigned long long)st.pages);
	attrs_setf(&set->attrs, "bytes.new", "%llu",
		   (unsigned long long)st.new_bytes);
	attrs_setf(&set->attrs, "bytes.stored", "%llu",
		   (unsigned long long)st.stored_bytes);
}

int intake_commit(struct intake *in, struct set *set, struct err *e)
{
	pthread_mutex_lock(&in->main_lock);
	pthread_mutex_lock(&in->publish_lock);
	int ok = intake_publish(in, in->main, e);

	pthread_mutex_unlock(&in->publish_lock);
	pthread_mutex_unlock(&in->main_lock);
	if (ok < 0)
		return fail_with(in, e);
	fill_set(in, set);
	/* what has ended says no more that it lives */
	beat_stop(mem_take(&in->beat));
	if (session_commit(in->repo, &in->session, set, e) < 0)
		return fail_with(in, e);
	session_close(&in->session, true);
	return 0;
}

void intake_stats(struct intake *in, struct intake_stats *st)
{
	st->pages = atomic_load(&in->pages);
	st->new_bytes = atomic_load(&in->new_bytes);
	st->chunks = atomic_load(&in->chunks);
	st->new_chunks = atomic_load(&in->new_chunks);
	st->blobs = atomic_load(&in->blobs);
	st->stored_bytes =
		packer_stored(in->packer) + atomic_load(&in->index_stored);
}
