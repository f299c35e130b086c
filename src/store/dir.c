/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/temp.h"

struct dir_store {
	struct store store;
	char *path;
	int root;
	/* Folders whose own names are known to be durable.  Another process may
	 * have made one and not yet flushed it, so that to find it is not
	 * enough; once flushed it stays, for nobody removes folders. */
	pthread_mutex_t lock;
	char **known;
	size_t known_count;
};

static struct dir_store *dir_of(struct store *s)
{
	return (struct dir_store *)s;
}

static int says(const struct dir_store *d, const char *name, struct err *e)
{
	return err_ctx(e, "'%s/%s'", d->path, name);
}

/* A folder below the root, "" being the root itself. */
static int open_folder(const struct dir_store *d, const char *folder)
{
	return openat(d->root, *folder != '\0' ? folder : ".",
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Some file systems have nothing to flush for folders, or take no changes. */
static int flush(int fd, struct err *e)
{
	if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		return err_sys(e, "cannot flush the folder");
	return 0;
}

static int sync_folder(const struct dir_store *d, const char *folder,
		       struct err *e)
{
	autofd int fd = open_folder(d, folder);

	if (fd < 0)
		return err_sys(e, "cannot open the folder");
	return flush(fd, e);
}

/* The folder of a name: "" for "config".  Free it. */
static char *folder_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return mem_fmt("%.*s", slash != NULL ? (int)(slash - name) : 0, name);
}

static bool is_known(struct dir_store *d, const char *folder)
{
	bool found = false;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->known_count && !found; i++)
		found = strcmp(d->known[i], folder) == 0;
	pthread_mutex_unlock(&d->lock);
	return found;
}

/* Threads may both add one: that only costs a few bytes. */
static void set_known(struct dir_store *d, const char *folder)
{
	pthread_mutex_lock(&d->lock);
	d->known = mem_grow(d->known, d->known_count + 1, sizeof(*d->known));
	d->known[d->known_count++] = mem_strdup(folder);
	pthread_mutex_unlock(&d->lock);
}

/* The folder is there, and its name is durable, and so on up. */
static int make_folder(struct dir_store *d, const char *folder, struct err *e)
{
	if (*folder == '\0' || is_known(d, folder))
		return 0;

	autofree char *above = folder_of(folder);

	if (make_folder(d, above, e) < 0)
		return -1;
	if (mkdirat(d->root, folder, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the folder");
	if (sync_folder(d, above, e) < 0)
		return -1;
	set_known(d, folder);
	return 0;
}

static int put(struct dir_store *d, const char *name, const struct iovec *iov,
	       size_t count, bool only_if_absent, struct err *e)
{
	AUTO(temp_fini) struct temp t = temp_in(d->root);
	autofree char *folder = folder_of(name);

	if (make_folder(d, TEMP_FOLDER, e) < 0 ||
	    make_folder(d, folder, e) < 0 || temp_make(&t, iov, count, e) < 0)
		return -1;

	int r = temp_name(&t, name, only_if_absent, e);

	/* also of one who was faster the name must be durable */
	if (r < 0 && e->code != ERR_EXISTS)
		return -1;
	if (sync_folder(d, folder, e) < 0)
		return -1;
	return r;
}

static int dir_put(struct store *s, const char *name, const struct iovec *iov,
		   size_t count, bool only_if_absent, struct err *e)
{
	struct dir_store *d = dir_of(s);

	if (put(d, name, iov, count, only_if_absent, e) < 0)
		return says(d, name, e);
	return 0;
}

/* Is this file an object?  Sets e when not. */
static bool is_object(const struct stat *st, struct err *e)
{
	if (!S_ISREG(st->st_mode))
		err_set(e, ERR_NOT_FOUND, "is no file");
	return S_ISREG(st->st_mode);
}

/* "a/b" is not there either where "a" is an object. */
static int missing(const char *what, struct err *e)
{
	return err_sysno(e, errno == ENOTDIR ? ENOENT : errno, "%s", what);
}

static int open_object(const struct dir_store *d, const char *name,
		       struct stat *st, struct err *e)
{
	autofd int fd = openat(d->root, name,
			       O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return missing("cannot open", e);
	if (fstat(fd, st) < 0)
		return err_sys(e, "cannot examine");
	return is_object(st, e) ? fd_take(&fd) : -1;
}

static int dir_get(struct store *s, const char *name, uint64_t offset,
		   size_t size, void *to, struct err *e)
{
	const struct dir_store *d = dir_of(s);
	struct stat st = { .st_size = 0 };
	autofd int fd = open_object(d, name, &st, e);

	if (fd < 0 || fd_pread_full(fd, to, size, offset, e) < 0)
		return says(d, name, e);
	return 0;
}

static int load(const struct dir_store *d, const char *name, size_t max,
		struct buf *b, struct err *e)
{
	struct stat st = { .st_size = 0 };
	autofd int fd = open_object(d, name, &st, e);

	if (fd < 0)
		return -1;
	if ((uint64_t)st.st_size > max)
		return err_set(e, ERR_INTEGRITY, "larger than %zu bytes", max);

	size_t size = (size_t)st.st_size;

	if (fd_pread_full(fd, buf_room(b, size), size, 0, e) < 0)
		return -1;
	b->len += size;
	return 0;
}

static int dir_load(struct store *s, const char *name, size_t max,
		    struct buf *b, struct err *e)
{
	const struct dir_store *d = dir_of(s);

	return load(d, name, max, b, e) < 0 ? says(d, name, e) : 0;
}

static int dir_stat(struct store *s, const char *name, struct store_stat *st,
		    struct err *e)
{
	const struct dir_store *d = dir_of(s);
	struct stat file;

	if (fstatat(d->root, name, &file, AT_SYMLINK_NOFOLLOW) < 0) {
		missing("cannot examine", e);
		return says(d, name, e);
	}
	if (!is_object(&file, e))
		return says(d, name, e);
	st->size = (uint64_t)file.st_size;
	return 0;
}

static int del(const struct dir_store *d, const char *name, struct err *e)
{
	autofree char *folder = folder_of(name);

	if (unlinkat(d->root, name, 0) < 0) {
		if (errno == EISDIR)
			errno = ENOENT;
		return missing("cannot delete", e);
	}
	return sync_folder(d, folder, e);
}

static int dir_del(struct store *s, const char *name, struct err *e)
{
	const struct dir_store *d = dir_of(s);

	return del(d, name, e) < 0 ? says(d, name, e) : 0;
}

/* The names in a folder, for a visitor may change it. */
struct names {
	char **names;
	size_t count;
};

static void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->names[i]);
	free(n->names);
}

static void names_add(struct names *n, char *name)
{
	/* room for a power of two at a time */
	if ((n->count & (n->count - 1)) == 0)
		n->names = mem_grow(n->names, n->count > 0 ? n->count * 2 : 1,
				    sizeof(*n->names));
	n->names[n->count++] = name;
}

static void close_folder_at(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

/* Names that can be an object's or its folder's; others are not ours. */
static int read_folder(DIR *dir, const char *prefix, struct names *n,
		       struct err *e)
{
	for (;;) {
		errno = 0;

		const struct dirent *entry = readdir(dir);

		if (entry == NULL && errno != 0)
			return err_sys(e, "cannot read the folder");
		if (entry == NULL)
			return 0;

		char *name = mem_fmt("%s%s", prefix, entry->d_name);

		if (store_name_ok(name))
			names_add(n, name);
		else
			free(name);
	}
}

/* No names where there is no folder.  Each name is durable. */
static int names_load(const struct dir_store *d, const char *prefix,
		      struct names *n, struct err *e)
{
	autofd int fd = open_folder(d, prefix);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;

	AUTO(close_folder_at) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL)
		return err_sys(e, "cannot open the folder");
	fd_take(&fd);
	if (read_folder(dir, prefix, n, e) < 0)
		return -1;
	return n->count > 0 ? flush(dirfd(dir), e) : 0;
}

static int dir_list(struct store *s, const char *prefix, store_visit *visit,
		    void *ctx, struct err *e);

/* One name in a folder: an object, or a folder with more of them. */
static int list_one(struct store *s, const char *name, store_visit *visit,
		    void *ctx, struct err *e)
{
	struct stat file;

	if (fstatat(dir_of(s)->root, name, &file, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 0; /* deleted meanwhile */
		err_sys(e, "cannot examine");
		return says(dir_of(s), name, e);
	}
	if (S_ISDIR(file.st_mode)) {
		autofree char *prefix = mem_fmt("%s/", name);

		return dir_list(s, prefix, visit, ctx, e);
	}
	if (!S_ISREG(file.st_mode))
		return 0;

	struct store_stat st = { .size = (uint64_t)file.st_size };

	return visit(ctx, name, &st, e);
}

static int dir_list(struct store *s, const char *prefix, store_visit *visit,
		    void *ctx, struct err *e)
{
	AUTO(names_fini) struct names n = { .names = NULL, .count = 0 };

	if (names_load(dir_of(s), prefix, &n, e) < 0)
		return says(dir_of(s), prefix, e);
	for (size_t i = 0; i < n.count; i++) {
		int r = list_one(s, n.names[i], visit, ctx, e);

		if (r != 0)
			return r;
	}
	return 0;
}

static void dir_close(struct store *s)
{
	struct dir_store *d = dir_of(s);

	for (size_t i = 0; i < d->known_count; i++)
		free(d->known[i]);
	free(d->known);
	pthread_mutex_destroy(&d->lock);
	fd_close_at(&d->root);
	free(d->path);
	free(d);
}

static const struct store_ops dir_ops = {
	.close = dir_close,
	.get = dir_get,
	.load = dir_load,
	.put = dir_put,
	.stat = dir_stat,
	.list = dir_list,
	.del = dir_del,
};

static struct dir_store *open_root(const char *path, struct err *e)
{
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0) {
		err_sys(e, "cannot open folder '%s'", path);
		return NULL;
	}
	struct dir_store *d = mem_zalloc(1, sizeof(*d));

	d->store.ops = &dir_ops;
	d->path = mem_strdup(path);
	d->root = root;
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

struct store *store_dir_open(const char *path, struct err *e)
{
	struct dir_store *d = open_root(path, e);

	if (d == NULL)
		return NULL;
	temp_sweep(d->root);
	return &d->store;
}

/* mkdir -p, durably. */
static int make_root(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;

	autofree char *above = path_dir(path);

	if (strcmp(above, path) != 0 && make_root(above, e) < 0)
		return -1;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make folder '%s'", path);
	return dir_sync(above, e);
}

/* An init that failed later on, or was killed, has left this. */
static bool left_over(DIR *dir, const char *name)
{
	return strcmp(name, TEMP_FOLDER) == 0 &&
	       unlinkat(dirfd(dir), name, AT_REMOVEDIR) == 0;
}

static int check_empty(const char *path, struct err *e)
{
	AUTO(close_folder_at) DIR *dir = opendir(path);
	const struct dirent *entry;

	if (dir == NULL)
		return err_sys(e, "cannot open folder '%s'", path);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, "lost+found") != 0 &&
		    !left_over(dir, entry->d_name))
			return err_set(e, ERR_EXISTS,
				       "folder '%s' is not empty: there is "
				       "'%s' in it",
				       path, entry->d_name);
	return 0;
}

/* Is a put refused that must be, and nothing else? */
static int probe_puts(struct dir_store *d, struct err *e)
{
	char byte[] = "?";
	struct iovec iov = { .iov_base = byte, .iov_len = 1 };
	struct err none = ERR_INIT;

	if (put(d, "probe", &iov, 1, true, e) < 0)
		return -1;
	if (put(d, "probe", &iov, 1, true, &none) == 0)
		return err_set(e, ERR_REFUSED, "link(2) replaces files");
	if (none.code != ERR_EXISTS)
		return err_set(e, ERR_REFUSED, "link(2): %s", none.msg);
	return put(d, "probe", &iov, 1, false, e);
}

static int probe(struct dir_store *d, struct err *e)
{
	struct err none = ERR_INIT;
	int r = probe_puts(d, e);

	if (del(d, "probe", r < 0 ? &none : e) < 0)
		r = -1;
	if (r < 0 && e->code == ERR_FAILED)
		e->code = ERR_REFUSED;
	return r;
}

int store_dir_create(const char *path, struct err *e)
{
	if (make_root(path, e) < 0 || check_empty(path, e) < 0)
		return -1;

	struct dir_store *d = open_root(path, e);

	if (d == NULL)
		return -1;

	int r = probe(d, e);

	dir_close(&d->store);
	return r < 0 ? err_ctx(e, "folder '%s' cannot hold a repository", path)
		     : 0;
}
