/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/pace.h"

#include "base/num.h"
#include "repo/format.h"

#define MIB (1024u * 1024)

#define AUTO_MAX      6
#define BLOB_USUAL    (512u << 10)
#define ARCHIVE_LEVEL 19

/* Extents that are being read, or wait for a worker. */
#define BUFFERS_AHEAD 6

bool level_ok(int level)
{
	return level == LEVEL_AUTO || level == LEVEL_ARCHIVE ||
	       (level >= 1 && level <= LEVEL_MAX);
}

static void levels_of(int level, struct pace_plan *p)
{
	p->blob_raw = BLOB_USUAL;
	p->first = p->min = p->max = level;
	if (level == LEVEL_AUTO) {
		p->first = p->min = LEVEL_FAST;
		p->max = AUTO_MAX;
	} else if (level == LEVEL_ARCHIVE) {
		p->first = p->min = p->max = ARCHIVE_LEVEL;
		p->blob_raw = BLOB_MAX_RAW;
	}
}

/* zstd's tables for a blob, rounded up; a test asks zstd. */
static size_t zip_memory(int level, uint32_t blob_raw)
{
	size_t bytes = 10 * MIB;

	if (level <= 3)
		bytes = 3 * MIB / 2;
	else if (level <= AUTO_MAX)
		bytes = 4 * MIB;
	return blob_raw > BLOB_USUAL && level > AUTO_MAX ? 18 * MIB : bytes;
}

/* The extent in its hands, a blob being gathered, three being compressed,
 * opened and compared, and small things. */
static size_t worker_memory(const struct pace_plan *p)
{
	return EXTENT_SIZE + (size_t)4 * p->blob_raw +
	       zip_memory(p->max, p->blob_raw) + MIB / 2;
}

struct pace_plan pace_plan(int level, unsigned cores)
{
	struct pace_plan p;
	const size_t ahead = (size_t)BUFFERS_AHEAD * EXTENT_SIZE;

	levels_of(level, &p);
	size_t each = worker_memory(&p);
	size_t all = p.max > AUTO_MAX ? PACE_MEMORY_HARD : PACE_MEMORY;
	uint64_t most = num_max((all - ahead + EXTENT_SIZE) / each, 2) - 1;

	p.workers = (unsigned)num_min(num_max(cores, 1), most);
	p.buffers = p.workers + BUFFERS_AHEAD;
	/* one more for callers, without an extent */
	p.memory = ahead + (p.workers + 1) * each - EXTENT_SIZE;
	return p;
}

int pace_next(const struct pace_plan *p, int level, int64_t busy_ns,
	      int64_t waited_ns)
{
	int64_t whole = busy_ns + waited_ns;

	if (whole <= 0)
		return level;
	if (4 * waited_ns >= whole && level < p->max)
		return level + 1;
	if (10 * waited_ns <= whole && level > p->min)
		return level - 1;
	return level;
}

void pace_init(struct pace *p, const struct pace_plan *plan)
{
	p->plan = *plan;
	atomic_init(&p->level, plan->first);
	atomic_init(&p->busy_ns, 0);
	atomic_init(&p->waited_ns, 0);
	atomic_init(&p->left, PACE_WINDOW);
}

int pace_level(struct pace *p)
{
	return atomic_load(&p->level);
}

void pace_busy(struct pace *p, int64_t ns)
{
	atomic_fetch_add(&p->busy_ns, ns);
}

void pace_source(struct pace *p, int64_t ns)
{
	if (ns < PACE_PAUSE_NS)
		atomic_fetch_add(&p->waited_ns, ns);
}

void pace_store(struct pace *p, int64_t ns)
{
	atomic_fetch_add(&p->waited_ns, ns);
	atomic_fetch_sub(&p->busy_ns, ns);
}

/* Only whoever crosses the end of the window closes it. */
void pace_compressed(struct pace *p, uint32_t bytes)
{
	int64_t left = atomic_fetch_sub(&p->left, bytes);

	if (left <= 0 || left > bytes)
		return;
	int64_t busy = atomic_exchange(&p->busy_ns, 0);
	int64_t waited = atomic_exchange(&p->waited_ns, 0);

	atomic_store(&p->level,
		     pace_next(&p->plan, pace_level(p), busy, waited));
	atomic_store(&p->left, PACE_WINDOW);
}
