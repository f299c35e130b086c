/* SPDX-License-Identifier: Apache-2.0 */
#include "job/snapuse.h"

#include <dirent.h>
#include <errno.h>
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

void snap_use_free(struct snap_use *u)
{
	if (u == NULL)
		return;
	journal_free(u->journal);
	/* without the journal there is nothing that it would keep others off */
	if (u->lock >= 0 && !file_exists(u->path))
		unlink(u->lock_path);
	fd_close_at(&u->lock);
	free(u->path);
	free(u->lock_path);
	free(u);
}

DEFINE_AUTO(snap_use_free, struct snap_use *);

static struct snap_use *use_new(const struct job *j, const char *id)
{
	struct snap_use *u = mem_zalloc(1, sizeof(*u));

	u->job = j;
	u->lock = -1;
	u->path = mem_fmt("%s/%s" ENDING, j->state_dir, id);
	u->lock_path = mem_fmt("%s/%s" LOCK_ENDING, j->state_dir, id);
	return u;
}

/* Who looks for the dead may have had a new file's lock before us, and has
 * removed it by now. */
static int take_lock(struct snap_use *u, struct err *e)
{
	do {
		fd_close_at(&u->lock);
		if (file_lock(u->lock_path, &u->lock, e) < 0)
			return -1;
	} while (!fd_is_at(u->lock, u->lock_path));
	return 0;
}

static int begin(struct snap_use *u, struct err *e)
{
	if (dir_make(u->job->state_dir, 0700, e) < 0 || take_lock(u, e) < 0)
		return -1;
	u->journal = journal_new(u->path, e);
	u->how.journal = u->journal;
	return u->journal != NULL ? 0 : -1;
}

struct snap_use *snap_use_begin(const struct job *j, const char *id,
				struct err *e)
{
	struct id random;
	char hex[ID_TEXT];

	keys_random(random.b, ID_SIZE);
	hex_encode(random.b, ID_SIZE, hex);
	AUTO(snap_use_free_at)
	struct snap_use *u = use_new(j, id != NULL ? id : hex);

	return begin(u, e) == 0 ? mem_take(&u) : NULL;
}

const struct snap_how *snap_use_how(const struct snap_use *u)
{
	return &u->how;
}

/* ---- the end ------------------------------------------------------------ */

struct settling {
	const struct job *job;
	const struct snap_use_recover *r; /* NULL: nobody listens */
	const char *id;
	bool told; /* a failure */
};

static int keep(void *ctx, const struct snap *snap, struct err *e)
{
	const struct settling *s = ctx;

	return local_keeps(s->job, snap, e);
}

static void note(void *ctx, const char *text, int failed)
{
	struct settling *s = ctx;

	s->told |= failed != 0;
	if (s->r != NULL)
		s->r->note(s->r->ctx, s->id, text, failed);
}

static int settle(struct snap_use *u, struct settling *s, struct err *e)
{
	struct journal_record *records;
	size_t count;
	const struct snap_recover recover = {
		.how = &u->how,
		.ctx = s,
		.keep = keep,
		.note = note,
	};

	if (journal_read(u->path, &records, &count, e) < 0)
		return -1;
	int ok = snap_recover(records, count, &recover, e);

	journal_records_free(records, count);
	return ok < 0 ? -1 : snap_use_done(u, e);
}

int snap_use_end(struct snap_use *u, struct err *e)
{
	if (u == NULL)
		return 0;
	struct settling s = { .job = u->job };
	int ok = settle(u, &s, e);

	snap_use_free(u);
	return ok;
}

int snap_use_done(struct snap_use *u, struct err *e)
{
	return journal_end(u->journal, e);
}

/* ---- after a death ------------------------------------------------------ */

static int settle_dead(struct snap_use *u, struct settling *s, struct err *e)
{
	if (take_lock(u, e) < 0)
		return e->code == ERR_BUSY ? 0 : -1; /* its maker lives */
	/* somebody else may have been faster */
	if (!file_exists(u->path))
		return 0;
	u->journal = journal_continue(u->path, e);
	u->how.journal = u->journal;
	return u->journal != NULL ? settle(u, s, e) : -1;
}

static void recover_one(const struct snap_use_recover *r, const char *id)
{
	AUTO(snap_use_free_at) struct snap_use *u = use_new(r->job, id);
	struct settling s = { .job = r->job, .r = r, .id = id };
	struct err e = ERR_INIT;

	if (settle_dead(u, &s, &e) < 0 && !s.told)
		note(&s, e.msg, 1);
}

static bool has_end(const char *name, const char *end)
{
	size_t len = strlen(name);

	return len > strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

/* "ID.snaps", and "ID.snaps.lock" of one that died when the journal was gone
 * already, to "ID", to be freed; NULL: it is something else. */
static char *id_of(const char *name)
{
	if (!has_end(name, ENDING) && !has_end(name, LOCK_ENDING))
		return NULL;
	return mem_fmt("%.*s", (int)strcspn(name, "."), name);
}

int snap_use_recover(const struct snap_use_recover *r, struct err *e)
{
	const char *state_dir = r->job->state_dir;
	DIR *dir = opendir(state_dir);
	struct dirent *entry;

	if (dir == NULL)
		return errno == ENOENT
			       ? 0
			       : err_sys(e, "cannot read '%s'", state_dir);
	while ((entry = readdir(dir)) != NULL) {
		autofree char *id = id_of(entry->d_name);

		if (id != NULL)
			recover_one(r, id);
	}
	closedir(dir);
	return 0;
}
