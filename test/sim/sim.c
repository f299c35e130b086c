/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers, collectors, forgetters and readers on one repository, the real
 * code of all of them, in an order that a seed decides; calls of the store
 * fail, or their answers are lost, or their caller is dead from then on.
 *
 *     sim FIRST COUNT [-v]     run the seeds FIRST to FIRST + COUNT - 1
 *
 * What was promised must be kept, at every read and at the end: a point whose
 * commit succeeded and that nobody forgot reads back bit for bit; nobody waits
 * for ever; and when all points are forgotten, collecting leaves nothing of
 * them.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/collect.h"
#include "repo/tomb.h"
#include "threads.h"
#include "world.h"

/* ---- writers --------------------------------------------------------- */

/*
 * Some images have two extents, and so a node above them; the first one is
 * mostly a hole: going through 4 MiB of zeroes costs more than all else.
 */
static void choose(struct picture *p)
{
	bool first = sim_random(4) == 0;

	p->extents = 1 + (sim_random(4) == 0);
	for (size_t x = 0; x < p->extents; x++)
		for (size_t i = 0; i < PIECES; i++)
			p->pieces[x][i] =
				(int8_t)(sim_random(VOCABULARY + 2)) - 2;
	for (size_t x = 0; x < p->extents; x++)
		for (size_t i = 0; i < PIECES; i++)
			if (p->pieces[x][i] < 0 ||
			    (x + 1 < p->extents && !first))
				p->pieces[x][i] = -1;
}

static int give(struct intake *in, const struct picture *p,
		struct image_root *root, struct err *e)
{
	struct intake_image *img = intake_image(
		in, (uint64_t)(p->extents - 1) * EXTENT_SIZE + LAST_SIZE);

	for (unsigned i = 0; i < p->extents; i++) {
		if (picture_hole(p, i) && i + 1 < p->extents)
			continue;
		uint8_t *b = intake_buffer(in, e);

		if (b == NULL)
			return -1;
		/* what lies past the image's end does not matter */
		memset(b, 0, picture_size(p, i));
		picture_draw(p, i, b);
		if (intake_put(in, img, i, b, e) < 0)
			return -1;
	}
	return intake_finish(in, img, root, e);
}

static int add_image(struct intake *in, struct point *p, enum image_kind kind,
		     const struct picture *picture, struct err *e)
{
	struct image_root root;

	if (give(in, picture, &root, e) < 0)
		return -1;
	struct image *image = point_add_image(p);

	image->kind = kind;
	image->name = mem_strdup(kind == IMAGE_RAM ? "memory" : "vda");
	image->root = root;
	return 0;
}

static int add_point(struct intake *in, struct set *set,
		     const struct promise *pr, struct err *e)
{
	struct point *p = set_add_point(set);

	p->id = pr->point;
	p->name = mem_strdup("vm");
	p->time_ns = clock_wall_ns();
	if (add_image(in, p, IMAGE_DISK, &pr->disk, e) < 0)
		return -1;
	return add_image(in, p, IMAGE_RAM, &pr->ram, e);
}

static int backup(struct world *w, struct promise *const *promises, size_t n,
		  struct err *e)
{
	const struct intake_options o = { .workers = 1,
					  .claims_max = 1 + sim_random(40),
					  .host = "sim" };
	AUTO(repo_close_at) struct repo *r = world_open(w, true, e);
	AUTO(intake_close_at) struct intake *in = NULL;
	AUTO(set_fini) struct set set = { 0 };

	if (r == NULL)
		return -1;
	in = intake_open(r, &o, e);
	if (in == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_point(in, &set, promises[i], e) < 0)
			return -1;
	return intake_commit(in, &set, e);
}

static void writer(struct world *w)
{
	struct promise *promises[2];
	struct err e = ERR_INIT;
	size_t n = 1 + (sim_random(4) == 0);

	if (w->promise_count + n > MAX_PROMISES)
		return;
	for (size_t i = 0; i < n; i++) {
		promises[i] = &w->promises[w->promise_count++];
		keys_random(promises[i]->point.b, ID_SIZE);
		choose(&promises[i]->disk);
		choose(&promises[i]->ram);
	}
	int done = backup(w, promises, n, &e);

	w->commits += done == 0;
	w->failed_commits += done < 0;
	for (size_t i = 0; i < n; i++)
		promises[i]->committed = done == 0;
}

/* ---- the others ------------------------------------------------------ */

static bool find(const struct catalog *c, const struct promise *pr,
		 struct catalog_hit *hit)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct set *s = &c->sets[i];

		for (size_t k = 0; k < s->point_count; k++) {
			if (memcmp(s->points[k].id.b, pr->point.b, ID_SIZE) !=
			    0)
				continue;
			*hit = (struct catalog_hit){ s, &s->points[k] };
			return true;
		}
	}
	return false;
}

static struct promise *any_committed(struct world *w)
{
	if (w->promise_count == 0)
		return NULL;
	struct promise *pr = &w->promises[sim_random(w->promise_count)];

	return pr->committed ? pr : NULL;
}

static void forget(struct world *w, struct promise *pr, enum tomb_scope scope,
		   bool faults)
{
	struct err e = ERR_INIT;
	AUTO(repo_close_at) struct repo *r = world_open(w, faults, &e);
	AUTO(catalog_fini) struct catalog c = { 0 };
	struct catalog_hit hit;

	if (r == NULL || catalog_load(r, &c, &e) < 0 || !find(&c, pr, &hit))
		return;
	pr->tombed |= scope == TOMB_POINT;
	pr->ram_tombed = true;
	w->tombs++;
	tomb_put(r, hit.set, hit.point, scope, &e);
}

static void forgetter(struct world *w)
{
	struct promise *pr = any_committed(w);

	if (pr != NULL && !pr->tombed)
		forget(w, pr, sim_random(3) == 0 ? TOMB_RAM : TOMB_POINT, true);
}

static int check_images(struct repo *r, const struct promise *pr,
			const struct catalog_hit *hit, struct err *e)
{
	const struct point *p = hit->point;
	bool ram = false;

	for (size_t i = 0; i < p->image_count; i++) {
		const struct image *image = &p->images[i];
		bool is_ram = image->kind == IMAGE_RAM;

		ram |= is_ram;
		if (picture_check(r, hit->set, image,
				  is_ram ? &pr->ram : &pr->disk, e) < 0 &&
		    !(is_ram && pr->ram_tombed))
			return -1;
	}
	if (!ram && !pr->ram_tombed)
		return err_set(e, ERR_NOT_FOUND, "it has lost its RAM");
	return 0;
}

static void check_point(struct world *w, const struct promise *pr,
			const char *when)
{
	struct err e = ERR_INIT;
	AUTO(repo_close_at) struct repo *r = world_open(w, false, &e);
	AUTO(catalog_fini) struct catalog c = { 0 };
	struct catalog_hit hit;
	int fine = -1;

	if (r != NULL && catalog_load(r, &c, &e) == 0) {
		if (!find(&c, pr, &hit))
			err_set(&e, ERR_NOT_FOUND, "it is not there");
		else
			fine = check_images(r, pr, &hit, &e);
	}
	w->reads++;
	/* somebody may have forgotten it while it was read */
	if (fine < 0 && !pr->tombed)
		world_fail(w, "%s: point %zu: %s", when,
			   (size_t)(pr - w->promises), e.msg);
}

static void reader(struct world *w)
{
	const struct promise *pr = any_committed(w);

	if (pr != NULL && !pr->tombed)
		check_point(w, pr, "reader");
}

/* A few steps; sometimes whoever is silent for a moment counts as dead. */
static void collector(struct world *w)
{
	const struct collect_options o = {
		.silent_ns = sim_random(2) == 0 ? 1 : INT64_MAX,
		.host = "sim",
	};
	struct err e = ERR_INIT;
	AUTO(repo_close_at) struct repo *r = world_open(w, true, &e);
	AUTO(collect_free_at)
	struct collect *c = r != NULL ? collect_new(r, &o, &e) : NULL;
	AUTO(collect_result_fini) struct collect_result result = { 0 };
	enum collect_state state = COLLECT_AGAIN;

	for (uint64_t i = sim_random(3);
	     c != NULL && i < 3 && state == COLLECT_AGAIN; i++) {
		w->steps++;
		if (collect_step(c, &result, &state, &e) < 0)
			break;
	}
}

/* ---- a run ----------------------------------------------------------- */

struct actor {
	struct world *world;
	void (*act)(struct world *w);
	unsigned number, times;
};

static void actor_main(void *ctx)
{
	struct actor *a = ctx;

	sim_set_actor(a->number);
	for (unsigned i = 0; i < a->times; i++)
		a->act(a->world);
	a->world->running--;
	sim_wake(a->world);
	free(a);
}

static void start(struct world *w, void (*act)(struct world *), unsigned times)
{
	struct actor *a = mem_zalloc(1, sizeof(*a));

	w->running++;
	*a = (struct actor){ w, act, w->running, times };
	sim_start(actor_main, a);
}

/* With nobody else there, and no mercy. */
static void collect_all(struct world *w)
{
	const struct collect_options o = { .silent_ns = 1, .host = "sim" };
	struct err e = ERR_INIT;
	AUTO(repo_close_at) struct repo *r = world_open(w, false, &e);
	AUTO(collect_result_fini) struct collect_result result = { 0 };

	if (r == NULL || collect_run(r, &o, &result, &e) < 0)
		world_fail(w, "collecting at the end: %s", e.msg);
}

static void check_all(struct world *w, const char *when)
{
	for (size_t i = 0; i < w->promise_count; i++) {
		const struct promise *pr = &w->promises[i];

		if (pr->committed && !pr->tombed)
			check_point(w, pr, when);
	}
}

/* Also those whose writers were told that they failed, and did not. */
static void forget_all(struct world *w)
{
	for (size_t i = 0; i < w->promise_count; i++)
		forget(w, &w->promises[i], TOMB_POINT, false);
}

/* Of the last two collections the records are still there: their segments are
 * listed. */
static void check_empty(struct world *w)
{
	static const struct {
		const char *folder;
		size_t most;
	} left[] = {
		{ "data/", 0 }, { "meta/", 0 }, { "beat/", 2 },
		{ "tomb/", 0 }, { "ring/", 0 }, { "points/", 2 },
		{ "sess/", 2 }, { "gen/", 2 },  { "idx/", 0 },
	};

	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
		size_t n = kit_count(w->store, left[i].folder);

		if (n > left[i].most)
			world_fail(w, "%zu objects are left in %s", n,
				   left[i].folder);
	}
}

static void run_main(void *ctx)
{
	struct world *w = ctx;

	for (unsigned i = 0; i < 3; i++)
		start(w, writer, 1 + (unsigned)sim_random(2));
	for (unsigned i = 0; i < 2; i++)
		start(w, collector, 1 + (unsigned)sim_random(4));
	start(w, forgetter, 1 + (unsigned)sim_random(3));
	start(w, reader, 1 + (unsigned)sim_random(3));
	while (w->running > 0)
		sim_wait(w);
	check_all(w, "at the end");
	collect_all(w);
	check_all(w, "collected");
	forget_all(w);
	collect_all(w);
	check_empty(w);
}

static struct kit kit;
static struct store *empty; /* a repository without points */

static bool run_seed(uint64_t seed, bool verbose)
{
	struct world w = { .seed = seed, .kit = &kit };

	w.store = kit_clone(empty);
	if (!sim_run(seed, run_main, &w))
		world_fail(&w, "a deadlock");
	store_close(w.store);
	if (verbose)
		printf("%llu: %u commits, %u failed, %u reads, %u tombs, %u "
		       "steps, %u faults\n",
		       (unsigned long long)seed, w.commits, w.failed_commits,
		       w.reads, w.tombs, w.steps, w.faults);
	if (w.failure[0] != '\0')
		printf("seed %llu: %s\n", (unsigned long long)seed, w.failure);
	return w.failure[0] == '\0';
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
	uint64_t failed = 0;

	/* buffers come and go: keep their pages */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	kit_init(&kit);
	empty = kit_create_mem(&kit);
	for (uint64_t i = 0; i < count && failed < 10; i++)
		failed += !run_seed(first + i, argc > 3);
	printf("%llu schedules, %llu failed\n", (unsigned long long)count,
	       (unsigned long long)failed);
	store_close(empty);
	kit_fini(&kit);
	return failed > 0;
}
