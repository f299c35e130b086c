/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An index as large as one likes, looked up by the program's own code.
 *
 *   indexbench make DIR GIB [SEGMENTS]   a repository without data, whose
 *                                        index is in the cache only
 *   indexbench ask DIR KIND COUNT THREADS
 *   indexbench seal DIR SEGMENTS ENTRIES the same with segments in the store
 *   indexbench cold DIR                  open that with an empty cache
 *
 * Every line of output is "name value".  GIB is unique data in chunks of 32
 * KiB: SEGMENTS of a merged tier whose ranges do not overlap, and 20 others
 * that have 512 thousand entries each, as sessions leave them.  Packs hold
 * 32 MiB, and as ids are spread evenly every large segment names them all.
 * Footers are not asked: there are no packs.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/team.h"
#include "repo/generation.h"
#include "repo/index_keep.h"
#include "repo/internal.h"
#include "repo/obj.h"

#define CHUNK  (32u << 10)
#define PACK   (32u << 20)
#define SMALL  20u
#define SMALLS (512u << 10) /* entries of a small one, chunks */

DEFINE_AUTO(index_free, struct index *);

__attribute__((noreturn)) static void die(const struct err *e)
{
	fprintf(stderr, "indexbench: %s\n", e->msg);
	exit(1);
}

static double seconds(void)
{
	return (double)clock_steady_ns() / 1e9;
}

/* Of all threads. */
static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

/* ---- what there is --------------------------------------------------- */

/* Everything about a made-up index follows from these. */
struct plan {
	uint64_t chunks; /* in large segments */
	uint64_t nodes;
	uint32_t packs;
	uint32_t large; /* segments */
	uint32_t small;
};

static struct plan plan_of(uint64_t gib, uint32_t large)
{
	uint64_t all = (gib << 30) / CHUNK;
	uint64_t packs = (gib << 30) / PACK;
	struct plan p = { .small = SMALL };

	p.chunks = all > SMALL * SMALLS ? all - SMALL * SMALLS : all;
	p.nodes = (gib << 30) / EXTENT_SIZE * 257 / 256;
	p.packs = (uint32_t)packs;
	p.large = large != 0 ? large : (uint32_t)(p.chunks / 2600000 + 1);
	return p;
}

/* Entry i of n in segment s of those that share the keys, in order: evenly
 * spread, with a jitter. */
static void prefix_of(uint32_t s, uint32_t of, uint64_t i, uint64_t n,
		      uint64_t salt, uint8_t out[16])
{
	uint64_t width = UINT64_MAX / of;
	uint64_t step = width / n;
	uint64_t key = s * width + i * step + mix(i ^ salt << 40) % step;
	uint64_t more = mix(key ^ salt);

	for (size_t k = 0; k < 8; k++) {
		out[k] = (uint8_t)(key >> (56 - 8 * k));
		out[8 + k] = (uint8_t)(more >> 8 * k);
	}
}

/* What is in segment s: large ones first. */
struct shape {
	uint32_t part, of; /* of the keys */
	uint64_t nodes, chunks;
	uint32_t packs;
};

static struct shape shape_of(const struct plan *p, uint32_t s)
{
	if (s < p->large)
		return (struct shape){ s, p->large, p->nodes / p->large,
				       p->chunks / p->large, p->packs };
	return (struct shape){ 0, 1, SMALLS / 128, SMALLS,
			       SMALLS / (PACK / CHUNK) };
}

static void id_of(const struct plan *p, uint32_t s, enum blob_class class,
		  uint64_t i, struct hash *id)
{
	struct shape x = shape_of(p, s);
	bool node = class == BLOB_NODE;

	memset(id, 0, sizeof(*id));
	prefix_of(x.part, x.of, i, node ? x.nodes : x.chunks,
		  2 * (uint64_t)s + node, id->b);
}

static void session_of(uint32_t s, bool large, struct id *id)
{
	memset(id, large ? 0xaa : 0x55, sizeof(*id));
	if (!large)
		memcpy(id->b, &s, sizeof(s));
}

static void name_of(const struct plan *p, uint32_t s, char name[SEGMENT_NAME])
{
	struct id session;

	session_of(s, s < p->large, &session);
	segment_name(&session, s < p->large ? s : 0, name);
}

/* ---- making one ------------------------------------------------------ */

static struct segment_pack *packs_of(const struct shape *x, uint32_t s)
{
	struct segment_pack *packs = mem_zalloc(x->packs + 1, sizeof(*packs));

	for (uint32_t i = 0; i <= x->packs; i++) {
		uint64_t a = mix(i + 1), b = mix(a + (x->of > 1 ? 0 : s));

		memcpy(packs[i].id.b, &a, 8);
		memcpy(packs[i].id.b + 8, &b, 8);
		packs[i].class = i < x->packs ? BLOB_DATA : BLOB_NODE;
		packs[i].blobs = 100;
		packs[i].size = PACK;
	}
	return packs;
}

static void fill(const struct plan *p, uint32_t s, const struct shape *x,
		 struct segment_entry_new *entries)
{
	for (uint64_t i = 0; i < x->nodes + x->chunks; i++) {
		bool node = i < x->nodes;
		struct hash id;

		id_of(p, s, node ? BLOB_NODE : BLOB_DATA,
		      node ? i : i - x->nodes, &id);
		memcpy(entries[i].prefix, id.b, 16);
		entries[i].pack =
			node ? x->packs : (uint32_t)(mix(i) % x->packs);
		entries[i].blob = (uint32_t)(i % 100);
		entries[i].slot = (uint8_t)(i % 10);
	}
}

static void encode(const struct plan *p, uint32_t s, struct buf *out)
{
	struct shape x = shape_of(p, s);
	autofree struct segment_pack *packs = packs_of(&x, s);
	autofree struct segment_entry_new *entries =
		mem_zalloc(x.nodes + x.chunks, sizeof(*entries));
	struct segment_new n = {
		.generation = s < p->large ? SEGMENT_COLLECTED : 1,
		.packs = packs,
		.pack_count = x.packs + 1,
		.entries = entries,
		.entry_count = x.nodes + x.chunks,
	};

	session_of(s, s < p->large, &n.session);
	fill(p, s, &x, entries);
	segment_encode(&n, out);
}

struct make {
	const struct plan *plan;
	struct repo *repo;
	struct index_local *local; /* NULL: into the store */
	atomic_uint next;
};

static int make_some(void *ctx, unsigned number, struct err *e)
{
	struct make *m = ctx;
	uint32_t s;

	(void)number;
	while ((s = atomic_fetch_add(&m->next, 1)) <
	       m->plan->large + m->plan->small) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		char name[SEGMENT_NAME];
		struct segment view;

		encode(m->plan, s, &b);
		name_of(m->plan, s, name);
		if (segment_parse(b.p, b.len, &view, e) < 0)
			return -1;
		int made = m->local != NULL
				   ? index_keep_save(m->local, name, &view, e)
				   : obj_put_new(m->repo->store, m->repo->keys,
						 name, &b, e);

		if (made < 0)
			return -1;
	}
	return 0;
}

static void nothing(void *ctx)
{
	(void)ctx;
}

static void list_large(const struct plan *p, struct repo *r)
{
	AUTO(generation_fini) struct generation g = { .number = 1 };
	char name[SEGMENT_NAME];
	struct err e = ERR_INIT;

	for (uint32_t s = 0; s < p->large; s++) {
		name_of(p, s, name);
		generation_add_segment(&g, name, false);
	}
	if (generation_put(r->store, r->keys, &g, &e) < 0)
		die(&e);
}

static struct repo *open_repo(const char *dir, const char *cache)
{
	autofree char *store = path_join(dir, "store");
	autofree char *key = path_join(dir, "key");
	struct err e = ERR_INIT;
	const struct repo_open o = { .unlock = { .key_file = key },
				     .cache_dir = cache };
	struct store *s = store_dir_open(store, &e);
	struct repo *r = s != NULL ? repo_open(s, &o, &e) : NULL;

	if (r == NULL)
		die(&e);
	return r;
}

static void create_repo(const char *dir)
{
	autofree char *store = path_join(dir, "store");
	autofree char *key = path_join(dir, "key");
	AUTO(store_close_at) struct store *s = NULL;
	const struct repo_create c = { .unlock = { .key_file = key } };
	struct err e = ERR_INIT;

	if (dir_make(dir, 0700, &e) < 0 || store_dir_create(store, &e) < 0 ||
	    (s = store_dir_open(store, &e)) == NULL ||
	    repo_create(s, &c, &e) < 0)
		die(&e);
}

/* The plan, for later runs. */
static void save_plan(const char *dir, const struct plan *p)
{
	autofree char *path = path_join(dir, "plan");
	struct err e = ERR_INIT;

	if (file_save(path, 0600, p, sizeof(*p), &e) < 0)
		die(&e);
}

static struct plan load_plan(const char *dir)
{
	autofree char *path = path_join(dir, "plan");
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct plan p;

	if (file_load(path, sizeof(p), &b, &e) < 0)
		die(&e);
	memcpy(&p, b.p, sizeof(p));
	return p;
}

static struct index_parts parts_of(struct repo *r)
{
	return (struct index_parts){ .store = r->store,
				     .keys = r->keys,
				     .cache_dir = r->cache_dir,
				     .hold_max = 32u << 20 };
}

static void make(const char *dir, const struct plan *p, bool cached)
{
	autofree char *cache = path_join(dir, "cache");
	struct make m = { .plan = p };
	const struct team t = {
		.ctx = &m, .members = 2, .work = make_some, .stop = nothing
	};
	struct index_local local;
	struct err e = ERR_INIT;
	double start = seconds();

	create_repo(dir);
	m.repo = open_repo(dir, cache);
	struct index_parts parts = parts_of(m.repo);

	index_local_init(&local, &parts);
	if (cached)
		m.local = &local;
	if (team_run(&t, &e) < 0)
		die(&e);
	list_large(p, m.repo);
	save_plan(dir, p);
	repo_close(m.repo);
	printf("seconds %.2f\nchunks %" PRIu64 "\nnodes %" PRIu64
	       "\nlarge_segments %u\nsmall_segments %u\npacks %u\n",
	       seconds() - start,
	       p->chunks / p->large * p->large + (uint64_t)p->small * SMALLS,
	       p->nodes, p->large, p->small, p->packs);
}

/* ---- asking ---------------------------------------------------------- */

/* A line of /proc/self/NAME; 0 when there is none. */
static uint64_t proc_value(const char *name, const char *word)
{
	autofree char *path = path_join("/proc/self", name);
	FILE *f = fopen(path, "r");
	char line[256];
	uint64_t v = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, word, strlen(word)) == 0)
			v = strtoull(line + strlen(word), NULL, 10);
	if (f != NULL)
		fclose(f);
	return v;
}

static void print_memory(const char *when)
{
	printf("rss_%s_kib %" PRIu64 "\n", when,
	       proc_value("status", "VmRSS:"));
	printf("rss_file_%s_kib %" PRIu64 "\n", when,
	       proc_value("status", "RssFile:"));
}

struct ask {
	struct plan plan;
	struct index *ix;
	enum blob_class class;
	bool known;
	uint64_t count; /* each thread */
	uint64_t start;
	atomic_uint_fast64_t found;
};

/* Any entry of all, each as likely as another. */
static void any_id(const struct ask *a, uint64_t *seed, struct hash *id)
{
	uint64_t r = mix(++*seed);

	if (!a->known) {
		memset(id, 0, sizeof(*id));
		memcpy(id->b, &r, 8);
		return;
	}
	const struct plan *p = &a->plan;
	struct shape large = shape_of(p, 0), small = shape_of(p, p->large);
	bool node = a->class == BLOB_NODE;
	uint64_t l = node ? large.nodes : large.chunks;
	uint64_t n = node ? small.nodes : small.chunks;

	r %= l * p->large + n * p->small;
	if (r < l * p->large)
		id_of(p, (uint32_t)(r / l), a->class, r % l, id);
	else
		id_of(p, p->large + (uint32_t)((r - l * p->large) / n),
		      a->class, (r - l * p->large) % n, id);
}

static int ask_some(void *ctx, unsigned number, struct err *e)
{
	struct ask *a = ctx;
	const struct index_ask how = { .generation = 1, .most = TIER_SIBLING };
	uint64_t seed = mix(a->start + number) << 20;
	uint64_t found = 0;

	for (uint64_t i = 0; i < a->count; i++) {
		struct index_hit hit;
		struct hash id;

		any_id(a, &seed, &id);
		err_clear(e);
		found += index_find(a->ix, &how, a->class, &id, &hit, e) == 1;
	}
	atomic_fetch_add(&a->found, found);
	return 0;
}

static void run_ask(struct ask *a, uint64_t count, unsigned threads,
		    const char *name)
{
	const struct team t = {
		.ctx = a, .members = threads, .work = ask_some, .stop = nothing
	};
	struct err e = ERR_INIT;
	uint64_t reads = proc_value("io", "syscr:");
	double start = seconds(), cpu = cpu_seconds();

	a->count = count / threads;
	a->start++;
	atomic_store(&a->found, 0);
	if (team_run(&t, &e) < 0)
		die(&e);
	printf("%s_cpu_ns %.0f\n", name,
	       (cpu_seconds() - cpu) * 1e9 / (double)count);
	printf("%s_ns %.0f\n%s_found %" PRIu64 "\n%s_reads %" PRIu64 "\n", name,
	       (seconds() - start) * 1e9 * threads / (double)count, name,
	       (uint64_t)atomic_load(&a->found), name,
	       proc_value("io", "syscr:") - reads);
}

static void ask(const char *dir, const char *kind, uint64_t count,
		unsigned threads)
{
	autofree char *cache = path_join(dir, "cache");
	struct ask a = { .plan = load_plan(dir) };
	struct repo *r = open_repo(dir, cache);
	struct index_parts parts = parts_of(r);
	uint64_t generation;
	struct err e = ERR_INIT;
	double start = seconds(), cpu = cpu_seconds();

	a.class = strcmp(kind, "node") == 0 ? BLOB_NODE : BLOB_DATA;
	a.known = strcmp(kind, "new") != 0;
	a.ix = index_new(&parts);
	if (index_refresh(a.ix, &generation, &e) < 0)
		die(&e);
	for (uint32_t s = 0; s < a.plan.large + a.plan.small; s++) {
		char name[SEGMENT_NAME];

		name_of(&a.plan, s, name);
		if (index_open_segment(a.ix, name, &e) < 0)
			die(&e);
	}
	printf("open_seconds %.3f\nopen_cpu_seconds %.3f\n", seconds() - start,
	       cpu_seconds() - cpu);
	print_memory("open");
	run_ask(&a, 100000, 1, "first");
	run_ask(&a, count, threads, "ask");
	print_memory("asked");
	if (a.known && atomic_load(&a.found) != a.count * threads) {
		err_set(&e, ERR_FAILED, "not all that is known was found");
		die(&e);
	}
	index_free(a.ix);
	repo_close(r);
}

static void cold(const char *dir)
{
	autofree char *cache = path_join(dir, "cache");
	struct repo *r = open_repo(dir, cache);
	struct index_parts parts = parts_of(r);
	uint64_t generation;
	struct err e = ERR_INIT;
	double start = seconds(), cpu = cpu_seconds();
	AUTO(index_free_at) struct index *ix = index_new(&parts);

	if (index_refresh(ix, &generation, &e) < 0 ||
	    index_open_sessions(ix, &e) < 0 || index_trouble(ix, &e))
		die(&e);
	printf("cpu_seconds %.3f\nseconds %.3f\nrss_peak_kib %" PRIu64 "\n",
	       cpu_seconds() - cpu, seconds() - start,
	       proc_value("status", "VmHWM:"));
	repo_close(r);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "make") == 0 && argc >= 4) {
		struct plan p = plan_of(
			strtoull(argv[3], NULL, 10),
			argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0);

		make(argv[2], &p, true);
	} else if (strcmp(what, "seal") == 0 && argc == 5) {
		uint32_t n = (uint32_t)strtoul(argv[3], NULL, 10);
		uint64_t entries = strtoull(argv[4], NULL, 10);
		struct plan p = { .chunks = n * entries,
				  .nodes = n * entries / 128,
				  .packs = (uint32_t)(entries * 100 / 1024),
				  .large = n };

		make(argv[2], &p, false);
	} else if (strcmp(what, "ask") == 0 && argc == 6) {
		ask(argv[2], argv[3], strtoull(argv[4], NULL, 10),
		    (unsigned)strtoul(argv[5], NULL, 10));
	} else if (strcmp(what, "cold") == 0 && argc == 3) {
		cold(argv[2]);
	} else {
		fprintf(stderr, "usage: see bench/README.md\n");
		return 2;
	}
	return 0;
}
