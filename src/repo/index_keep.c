/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index_keep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/obj.h"

/* Descriptors that are held open; a file of the cache beyond these is opened
 * for every page. */
#define FILES_MAX 400

/* Segments up to this size are held in memory while there is room. */
#define HOLD_SMALL (4u << 20)

/* Less than that is kept in memory where there is no cache. */
#define SPILL_MIN (4u << 20)
#define SPILL_DIR "/var/tmp"

/* A file under a temporary name is garbage after so many seconds: whoever
 * writes one that is taken away does without the cache. */
#define TEMP_AGE (24 * 3600)

void index_local_init(struct index_local *l, const struct index_parts *parts)
{
	struct err ignored = ERR_INIT;

	l->parts = *parts;
	atomic_init(&l->files, 0);
	atomic_init(&l->held, 0);
	l->has_key =
		seal_derive(parts->keys->meta_key, parts->keys->repo.b, ID_SIZE,
			    "vmkeep cache", l->key.b, &ignored) == 0;
}

/* ---- in the cache ---------------------------------------------------- */

/* Every file has its own key, so that none stands for another. */
static struct hash key_of(const struct index_local *l, const char *name)
{
	struct hash key;

	hash_hmac(l->key.b, name, strlen(name), &key);
	return key;
}

static char *path_of(const struct index_local *l, const char *name)
{
	return l->has_key && l->parts.cache_dir != NULL
		       ? path_join(l->parts.cache_dir, name)
		       : NULL;
}

static bool may_hold(struct index_local *l, uint64_t size)
{
	if (size > HOLD_SMALL)
		return false;
	return atomic_fetch_add(&l->held, size) + size <= l->parts.hold_max;
}

static bool hold(int *fd, struct pages *p)
{
	struct err ignored = ERR_INIT;

	p->fd = fd_take(fd);
	if (pages_hold(p, &ignored) == 0)
		return true;
	pages_fini(p);
	return false;
}

/* The file as pages; takes fd. */
static bool to_pages(struct index_local *l, const char *name, int *fd,
		     const char *path, struct pages *p)
{
	struct stat st;

	if (fstat(*fd, &st) < 0 || st.st_size < 0)
		return false;
	*p = (struct pages){ .fd = -1,
			     .key = key_of(l, name),
			     .count = (uint64_t)st.st_size / PAGES_SIZE };
	if (path != NULL && may_hold(l, (uint64_t)st.st_size))
		return hold(fd, p);
	if (path == NULL || atomic_fetch_add(&l->files, 1) < FILES_MAX)
		p->fd = fd_take(fd);
	if (path != NULL)
		p->path = mem_strdup(path);
	return true;
}

int index_keep_open(struct index_local *l, const char *name, struct shelf *sh)
{
	autofree char *path = path_of(l, name);
	autofd int fd = path != NULL
				? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
						     O_NOCTTY | O_NONBLOCK)
				: -1;
	struct err ignored = ERR_INIT;
	struct pages p;

	if (fd < 0 || !to_pages(l, name, &fd, path, &p))
		return -1;
	return shelf_open(&p, sh, &ignored);
}

static int write_file(struct index_local *l, const char *name, int fd,
		      const struct segment *s, struct err *e)
{
	struct pages_writer w;
	struct hash key = key_of(l, name);

	pages_writer_init(&w, fd, &key);
	int written = shelf_write(&w, s, e);

	pages_writer_fini(&w);
	return written;
}

/* Nothing is flushed: what a crash has torn is not taken for a page. */
int index_keep_save(struct index_local *l, const char *name,
		    const struct segment *s, struct err *e)
{
	autofree char *path = path_of(l, name);

	if (path == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no cache");
	autofree char *temp = mem_fmt("%s.XXXXXX", path);
	autofd int fd = mkostemp(temp, O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot create '%s'", temp);
	int saved = write_file(l, name, fd, s, e);

	if (saved == 0 && rename(temp, path) < 0)
		saved = err_sys(e, "cannot rename '%s' to '%s'", temp, path);
	if (saved < 0)
		unlink(temp);
	return saved;
}

/* ---- without a cache ------------------------------------------------- */

static int spill(struct index_local *l, const char *name,
		 const struct segment *s, struct shelf *sh, struct err *e)
{
	autofd int fd =
		l->has_key && s->size >= SPILL_MIN
			? open(SPILL_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
			: -1;
	struct pages p;

	if (fd < 0 || write_file(l, name, fd, s, e) < 0 ||
	    !to_pages(l, name, &fd, NULL, &p))
		return -1;
	return shelf_open(&p, sh, e);
}

static int keep_in_memory(const struct segment *s, struct shelf *sh,
			  struct err *e)
{
	const struct hash none = { { 0 } };
	struct pages_writer w;

	pages_writer_init(&w, -1, &none);
	if (shelf_write(&w, s, e) < 0) {
		pages_writer_fini(&w);
		return -1;
	}
	struct pages p = { .fd = -1, .held = w.out, .count = w.pages };

	return shelf_open(&p, sh, e);
}

/* ---- from the store -------------------------------------------------- */

/* Who may sign a segment: its session's writer, or a collector for what a
 * generation lists. */
static int check_signer(const struct segment *s, const struct signer *by,
			struct err *e)
{
	unsigned use =
		s->generation == SEGMENT_COLLECTED ? SIGN_KEEP : SIGN_WRITE;

	if (by->uses & use)
		return 0;
	return err_set(e, ERR_INTEGRITY, "signed by a key of the wrong role");
}

static int load(const struct index_local *l, const char *name, struct buf *b,
		struct segment *view, struct err *e)
{
	struct signer by;
	const struct sign_want want = {
		.name = name,
		.uses = SIGN_WRITE | SIGN_KEEP,
		.by = &by,
	};

	if (obj_load_want(l->parts.store, l->parts.keys, &want,
			  OBJECT_MAX_SEGMENT, b, e) < 0 ||
	    segment_parse(b->p, b->len, view, e) < 0)
		return -1;
	return check_signer(view, &by, e);
}

int index_keep_load(struct index_local *l, const char *name, struct shelf *sh,
		    struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	struct segment view;

	if (load(l, name, &b, &view, e) < 0)
		return -1;
	if (index_keep_save(l, name, &view, &ignored) == 0 &&
	    index_keep_open(l, name, sh) == 0)
		return 0;
	return spill(l, name, &view, sh, &ignored) == 0
		       ? 0
		       : keep_in_memory(&view, sh, e);
}

/* ---- cleaning -------------------------------------------------------- */

void index_names_add(struct index_names *n, const char *name)
{
	if (n->count == n->room) {
		n->room = n->room > 0 ? 2 * n->room : 64;
		n->names = mem_grow(n->names, n->room, sizeof(*n->names));
	}
	n->names[n->count++] = mem_strdup(name);
}

void index_names_remove(struct index_names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->names[i], name) != 0)
			continue;
		free(n->names[i]);
		n->names[i] = n->names[--n->count];
		return;
	}
}

void index_names_fini(struct index_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->names[i]);
	free(n->names);
	memset(n, 0, sizeof(*n));
}

static void close_dir_at(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

static DIR *open_idx(const struct index_local *l)
{
	autofree char *path = path_of(l, "idx");

	return path != NULL ? opendir(path) : NULL;
}

void index_keep_list(const struct index_local *l, struct index_names *n)
{
	AUTO(close_dir_at) DIR *dir = open_idx(l);
	const struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		autofree char *name = mem_fmt("idx/%s", d->d_name);

		if (d->d_name[0] != '.')
			index_names_add(n, name);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_name(const struct index_names *n, const char *name)
{
	return n->count > 0 && bsearch(&name, n->names, n->count,
				       sizeof(*n->names), by_name) != NULL;
}

/* "idx/<session>-<number>.XXXXXX": somebody may be writing it just now. */
static bool young_temp(const char *path)
{
	struct stat st;

	return strchr(path_base(path), '.') != NULL &&
	       (lstat(path, &st) < 0 || st.st_mtime + TEMP_AGE > time(NULL));
}

void index_keep_clean(const struct index_local *l,
		      const struct index_names *kept,
		      struct index_names *stored)
{
	if (stored->count > 0)
		qsort(stored->names, stored->count, sizeof(*stored->names),
		      by_name);
	for (size_t i = 0; i < kept->count; i++) {
		autofree char *path = path_of(l, kept->names[i]);

		if (path != NULL && !has_name(stored, kept->names[i]) &&
		    !young_temp(path))
			unlink(path);
	}
}
