/* SPDX-License-Identifier: Apache-2.0 */
#include "job/snapuse.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/mem.h"
#include "codec/keys.h"
#include "job/local.h"

#define ENDING      ".snaps"
#define LOCK_ENDING ".snaps.lock"

struct snap_use {
	const struct job *job;
	char *path;
	char *lock_path;
	int lock;
	struct journal *journal;
	struct snap_how how;
};

static void use_free(struct snap_use *u)
{
	if (u == NULL)
		return;
	journal_free(u->journal);
	/* its id is nobody else's, so it can go while it is held */
	if (u->lock >= 0 && !file_exists(u->path))
		unlink(u->lock_path);
	fd_close_at(&u->lock);
	free(u->path);
	free(u->lock_path);
	free(u);
}

DEFINE_AUTO(use_free, struct snap_use *);

static struct snap_use *use_new(const struct job *j, const char *id)
{
	struct snap_use *u = mem_zalloc(1, sizeof(*u));

	u->job = j;
	u->lock = -1;
	u->path = mem_fmt("%s/%s" ENDING, j->state_dir, id);
	u->lock_path = mem_fmt("%s/%s" LOCK_ENDING, j->state_dir, id);
	return u;
}

struct snap_use *snap_use_begin(const struct job *j, struct err *e)
{
	struct id random;
	char id[ID_TEXT];

	keys_random(random.b, ID_SIZE);
	hex_encode(random.b, ID_SIZE, id);
	AUTO(use_free_at) struct snap_use *u = use_new(j, id);

	if (dir_make(j->state_dir, 0700, e) < 0 ||
	    file_lock(u->lock_path, &u->lock, e) < 0)
		return NULL;
	u->journal = journal_new(u->path, e);
	if (u->journal == NULL)
		return NULL;
	u->how.journal = u->journal;
	return mem_take(&u);
}

const struct snap_how *snap_use_how(const struct snap_use *u)
{
	return &u->how;
}

/* ---- the end ------------------------------------------------------------ */

static int keep(void *ctx, const struct snap *snap, struct err *e)
{
	return local_keeps(ctx, snap, e);
}

static int settle(struct snap_use *u, struct err *e)
{
	struct journal_record *records;
	size_t count;
	const struct snap_recover recover = {
		.how = &u->how,
		.ctx = (void *)(uintptr_t)u->job,
		.keep = keep,
	};

	if (journal_read(u->path, &records, &count, e) < 0)
		return -1;
	int ok = snap_recover(records, count, &recover, e);

	journal_records_free(records, count);
	return ok < 0 ? -1 : journal_end(u->journal, e);
}

int snap_use_end(struct snap_use *u, struct err *e)
{
	AUTO(use_free_at) struct snap_use *ours = u;

	return u != NULL ? settle(ours, e) : 0;
}
