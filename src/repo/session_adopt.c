/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/generation.h"
#include "repo/internal.h"
#include "repo/session.h"
#include "repo/session_adopt.h"

/*
 * CACHE/sessions/<id> is locked by the process that writes in the session, and
 * stays where it was killed.  It says nothing else: what there is to go on
 * with is asked of the store.  Without a cache there is no going on, and
 * nothing is lost but time.
 */

static void closedir_at(DIR **at)
{
	if (*at != NULL)
		closedir(*at);
}

static char *locks_dir(struct repo *r)
{
	return r->cache_dir != NULL ? path_join(r->cache_dir, "sessions")
				    : NULL;
}

static int lock_file(const char *path, struct session *s)
{
	struct err ignored = ERR_INIT;
	int fd;

	if (file_lock(path, &fd, &ignored) < 0)
		return -1;
	s->lock = mem_alloc(sizeof(*s->lock));
	*s->lock = (struct session_lock){ .fd = fd, .path = mem_strdup(path) };
	return 0;
}

void session_lock(struct repo *r, struct session *s)
{
	struct err ignored = ERR_INIT;
	autofree char *dir = locks_dir(r);
	char hex[ID_TEXT];

	if (dir == NULL || dir_make(dir, 0700, &ignored) < 0)
		return;
	hex_encode(s->id.b, ID_SIZE, hex);
	autofree char *path = path_join(dir, hex);

	lock_file(path, s);
}

void session_close(struct session *s, bool over)
{
	struct session_lock *lock = s->lock;

	if (lock == NULL)
		return;
	s->lock = NULL;
	if (over)
		unlink(lock->path);
	close(lock->fd);
	free(lock->path);
	free(lock);
}

/* ---- going on -------------------------------------------------------------
 */

/* Has it no outcome yet?  1, 0, or -1: nobody knows. */
static int is_undecided(struct repo *r, const struct id *id)
{
	struct err why = ERR_INIT;
	char name[OUTCOME_NAME];
	struct store_stat st;

	outcome_name(id, name);
	if (store_stat(r->store, name, &st, &why) == 0)
		return 0;
	return why.code == ERR_NOT_FOUND ? 1 : -1;
}

/* 1 it can be gone on with, 0 never again, -1 nobody knows. */
static int can_go_on(struct repo *r, const struct session *s, const char *host)
{
	struct session_record record;
	struct err why = ERR_INIT;
	char name[OUTCOME_NAME];

	session_name(&s->id, name);
	if (session_load(r, name, &record, &why) < 0)
		return why.code == ERR_NOT_FOUND ? 0 : -1;
	bool same = record.kind == SESSION_WRITER &&
		    record.generation == s->generation &&
		    strcmp(record.host, host) == 0;

	session_record_fini(&record);
	return same ? is_undecided(r, &s->id) : 0;
}

/* Locked and undecided: said to live, and then the generation must still be
 * the one that it was opened in. */
static int take_over(struct repo *r, struct session *s)
{
	struct err why = ERR_INIT;
	uint64_t newest;

	s->beat_ns = 0;
	s->adopted = true;
	return session_beat(r, s, &why) == 0 &&
	       generation_newest(r->store, &newest, &why) == 0 &&
	       newest == s->generation;
}

static bool try_one(struct repo *r, const char *host, const char *dir,
		    const char *hex, struct session *s)
{
	autofree char *path = path_join(dir, hex);

	if (strlen(hex) != ID_TEXT - 1 || !hex_decode(hex, s->id.b, ID_SIZE) ||
	    lock_file(path, s) < 0)
		return false;
	int can = can_go_on(r, s, host);

	if (can == 1 && take_over(r, s))
		return true;
	session_close(s, can == 0);
	s->adopted = false;
	return false;
}

bool session_adopt(struct repo *r, const char *host, uint64_t generation,
		   struct session *s)
{
	autofree char *path = locks_dir(r);
	AUTO(closedir_at) DIR *dir = path != NULL ? opendir(path) : NULL;
	struct session got = { .generation = generation };
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (!try_one(r, host, path, d->d_name, &got))
			continue;
		*s = got;
		return true;
	}
	return false;
}
