/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <limits.h>
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

/* New ids that are tried. */
#define LOCK_TRIES 4

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

/* Whoever finds that a session is over removes its file before the lock goes:
 * a lock on what has no name any more keeps nobody out. */
static int lock_file(const char *path, struct session *s)
{
	struct err ignored = ERR_INIT;
	autofd int fd = -1;

	if (file_lock(path, &fd, &ignored) < 0 || !fd_is_at(fd, path))
		return -1;
	s->lock = mem_alloc(sizeof(*s->lock));
	*s->lock = (struct session_lock){ .fd = fd_take(&fd),
					  .path = mem_strdup(path) };
	return 0;
}

static bool lock_in(const char *dir, struct session *s)
{
	char hex[ID_TEXT];

	hex_encode(s->id.b, ID_SIZE, hex);
	autofree char *path = path_join(dir, hex);

	return lock_file(path, s) == 0;
}

/* Who looks for sessions to go on in may have had the new file's lock before
 * us, and would have it again: its id is not used. */
void session_lock(struct repo *r, struct session *s)
{
	struct err ignored = ERR_INIT;
	autofree char *dir = locks_dir(r);

	if (dir == NULL || dir_make(dir, 0700, &ignored) < 0)
		return;
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (lock_in(dir, s))
			return;
		keys_random(s->id.b, ID_SIZE);
	}
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

/* Numbers of a session's segments in the store. */
struct numbers {
	char own[SEGMENT_NAME]; /* their names without the number */
	size_t own_len;
	unsigned count, end;
};

static int note_number(void *ctx, const char *name, const struct store_stat *st,
		       struct err *e)
{
	struct numbers *n = ctx;

	(void)st;
	(void)e;
	if (strncmp(name, n->own, n->own_len) != 0)
		return 0;
	unsigned long number = strtoul(name + n->own_len, NULL, 10);

	n->count++;
	if (number < UINT_MAX && number + 1 > n->end)
		n->end = (unsigned)number + 1;
	return 0;
}

/* One of them with all that it leans on. */
static int open_with_leans(struct index *ix, const char *name, struct err *e)
{
	struct index_about about;

	if (index_open_segment(ix, name, e) < 0)
		return -1;
	const struct index_segment *s = index_segment_named(ix, name);
	char *const *leans = index_segment_leans(s);

	index_segment_about(s, &about);
	for (uint32_t i = 0; i < about.leans; i++)
		if (index_open_segment(ix, leans[i], e) < 0)
			return -1;
	return 0;
}

/*
 * A node in one of its segments leads to others, and into the index: it is of
 * no use when one is missing or damaged.  Answers as above.
 */
static int can_be_read(struct repo *r, const struct session *s)
{
	struct numbers n = { .count = 0 };
	struct err why = ERR_INIT;
	char name[SEGMENT_NAME];

	segment_name(&s->id, 0, n.own);
	n.own_len = strlen(n.own) - 1;
	if (!index_whole(r->index) ||
	    store_list(r->store, "idx/", note_number, &n, &why) < 0)
		return -1;
	if (n.end != n.count)
		return 0;
	for (unsigned i = 0; i < n.count; i++) {
		segment_name(&s->id, i, name);
		if (open_with_leans(r->index, name, &why) < 0)
			return why.code == ERR_NOT_FOUND ||
					       why.code == ERR_INTEGRITY
				       ? 0
				       : -1;
	}
	return 1;
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

	if (can == 1)
		can = can_be_read(r, s);
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
