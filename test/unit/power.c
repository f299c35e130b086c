/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

#define SECTOR 512
#define FDS    4096

enum { NONE = -1, ROOT = 0 };

/* A file or a folder; files only ever grow. */
struct node {
	bool folder;
	ino_t ino; /* of a folder, for nobody removes folders */
	struct buf data;
};

/* A name in a folder. */
struct entry {
	int folder; /* a node */
	char *name;
	int now; /* the node it names, or NONE */
};

enum call {
	CALL_WRITE,  /* node is `size` long now */
	CALL_FLUSH,  /* of a file */
	CALL_NAME,   /* entry names node, or nothing */
	CALL_FOLDER, /* flush of a folder */
};

struct event {
	enum call call;
	int node;
	int entry;
	size_t size;
};

static struct {
	pthread_mutex_t lock;
	bool on;
	dev_t dev;
	int writing[FDS]; /* the file that a descriptor made, or ROOT */
	struct node *nodes;
	size_t node_count;
	struct entry *entries;
	size_t entry_count;
	struct event *events;
	size_t event_count;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* splitmix64's mixer */
uint64_t power_dice(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* ---- noting, all with the lock held ---------------------------------- */

static void note(enum call call, int node, int entry, size_t size)
{
	disk.events = mem_grow(disk.events, disk.event_count + 1,
			       sizeof(*disk.events));
	disk.events[disk.event_count++] = (struct event){
		.call = call, .node = node, .entry = entry, .size = size
	};
}

static int node_new(ino_t ino, bool folder)
{
	disk.nodes =
		mem_grow(disk.nodes, disk.node_count + 1, sizeof(*disk.nodes));
	disk.nodes[disk.node_count] =
		(struct node){ .ino = ino, .folder = folder };
	return (int)disk.node_count++;
}

static int folder_of(const struct stat *st)
{
	for (size_t i = 0; i < disk.node_count && st->st_dev == disk.dev; i++)
		if (disk.nodes[i].folder && disk.nodes[i].ino == st->st_ino)
			return (int)i;
	return NONE;
}

/* The file or folder of a descriptor, where it is one of ours. */
static int node_of(int fd)
{
	struct stat st;

	if (!disk.on || fd < 0 || fd >= FDS)
		return NONE;
	if (disk.writing[fd] != ROOT)
		return disk.writing[fd];
	return fstat(fd, &st) == 0 ? folder_of(&st) : NONE;
}

static int entry_of(int folder, const char *name)
{
	for (size_t i = disk.entry_count; i > 0; i--)
		if (disk.entries[i - 1].folder == folder &&
		    strcmp(disk.entries[i - 1].name, name) == 0)
			return (int)(i - 1);
	disk.entries = mem_grow(disk.entries, disk.entry_count + 1,
				sizeof(*disk.entries));
	disk.entries[disk.entry_count] = (struct entry){
		.folder = folder, .name = mem_strdup(name), .now = NONE
	};
	return (int)disk.entry_count++;
}

/* The entry of a path below an open folder; NONE where it is none of ours. */
static int entry_at(int fd, const char *path)
{
	autofree char *folder = path_dir(path);
	struct stat st;
	int node;

	if (!disk.on || fstatat(fd, folder, &st, 0) < 0)
		return NONE;
	node = folder_of(&st);
	return node != NONE ? entry_of(node, path_base(path)) : NONE;
}

static void name(int entry, int node)
{
	disk.entries[entry].now = node;
	note(CALL_NAME, node, entry, 0);
}

/* After a name is there and before its folder is flushed others have time to
 * see it, and to build upon it. */
static void dawdle(unsigned most_us)
{
	static _Atomic uint64_t turn;
	uint64_t dice = power_dice(turn++);

	if (disk.on && most_us > 0 && dice % 3 == 0)
		usleep((useconds_t)(dice / 3 % most_us));
}

/* ---- the calls ------------------------------------------------------- */

int __real_close(int fd);
int __wrap_close(int fd);
int __real_openat64(int fd, const char *path, int flags, ...);
int __wrap_openat64(int fd, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_linkat(int from, const char *a, int to, const char *b, int flags);
int __wrap_linkat(int from, const char *a, int to, const char *b, int flags);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __real_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags);
int __real_mkdirat(int fd, const char *path, mode_t mode);
int __wrap_mkdirat(int fd, const char *path, mode_t mode);

static void lock(void)
{
	pthread_mutex_lock(&disk.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&disk.lock);
}

int __wrap_openat64(int fd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (flags & O_CREAT) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	lock();

	int entry = flags & O_CREAT ? entry_at(fd, path) : NONE;
	int r = __real_openat64(fd, path, flags, mode);

	/* all that is made is made with O_EXCL */
	if (r >= 0 && r < FDS && entry != NONE) {
		disk.writing[r] = node_new(0, false);
		name(entry, disk.writing[r]);
	}
	unlock();
	return r;
}

int __wrap_close(int fd)
{
	lock();
	if (fd >= 0 && fd < FDS)
		disk.writing[fd] = ROOT;

	int r = __real_close(fd);

	unlock();
	return r;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	lock();

	int node = node_of(fd);
	ssize_t r = __real_write(fd, p, n);

	if (r > 0 && node != NONE) {
		struct buf *data = &disk.nodes[node].data;

		wr_bytes(data, p, (size_t)r);
		note(CALL_WRITE, node, NONE, data->len);
	}
	unlock();
	return r;
}

static int flushed(int fd, int r)
{
	int node = r == 0 ? node_of(fd) : NONE;

	if (node != NONE)
		note(disk.nodes[node].folder ? CALL_FOLDER : CALL_FLUSH, node,
		     NONE, 0);
	return r;
}

int __wrap_fdatasync(int fd)
{
	lock();

	int r = flushed(fd, __real_fdatasync(fd));

	unlock();
	return r;
}

int __wrap_fsync(int fd)
{
	lock();

	int r = flushed(fd, __real_fsync(fd));

	unlock();
	return r;
}

int __wrap_linkat(int from, const char *a, int to, const char *b, int flags)
{
	lock();

	int old = entry_at(from, a);
	int new = entry_at(to, b);
	int r = __real_linkat(from, a, to, b, flags);

	if (r == 0 && old != NONE && new != NONE)
		name(new, disk.entries[old].now);
	unlock();
	dawdle(r == 0 ? 15000 : 0);
	return r;
}

int __wrap_renameat(int from, const char *a, int to, const char *b)
{
	lock();

	int old = entry_at(from, a);
	int new = entry_at(to, b);
	int r = __real_renameat(from, a, to, b);

	if (r == 0 && old != NONE && new != NONE) {
		name(new, disk.entries[old].now);
		name(old, NONE);
	}
	unlock();
	dawdle(r == 0 ? 15000 : 0);
	return r;
}

int __wrap_unlinkat(int fd, const char *path, int flags)
{
	lock();

	int entry = entry_at(fd, path);
	int r = __real_unlinkat(fd, path, flags);

	if (r == 0 && entry != NONE)
		name(entry, NONE);
	unlock();
	return r;
}

int __wrap_mkdirat(int fd, const char *path, mode_t mode)
{
	struct stat st;

	lock();

	int entry = entry_at(fd, path);
	int r = __real_mkdirat(fd, path, mode);

	if (r == 0 && entry != NONE && fstatat(fd, path, &st, 0) == 0)
		name(entry, node_new(st.st_ino, true));
	unlock();
	dawdle(r == 0 ? 40000 : 0);
	return r;
}

/* ---- beginning and end ----------------------------------------------- */

void power_record(const char *root)
{
	struct stat st;

	assert_int_equal(stat(root, &st), 0);
	power_free();
	lock();
	node_new(st.st_ino, true);
	disk.dev = st.st_dev;
	disk.on = true;
	unlock();
}

void power_stop(void)
{
	lock();
	disk.on = false;
	unlock();
}

void power_free(void)
{
	for (size_t i = 0; i < disk.node_count; i++)
		buf_fini(&disk.nodes[i].data);
	for (size_t i = 0; i < disk.entry_count; i++)
		free(disk.entries[i].name);
	free(mem_take(&disk.nodes));
	free(mem_take(&disk.entries));
	free(mem_take(&disk.events));
	disk.node_count = disk.entry_count = disk.event_count = 0;
}

size_t power_now(void)
{
	lock();

	size_t now = disk.event_count;

	unlock();
	return now;
}

/* ---- a cut ----------------------------------------------------------- */

/* What is known of a name, and what it will be. */
struct fate {
	int durable;
	int newest;
	int chosen;
	unsigned changes; /* since it was durable */
};

/* And of a file. */
struct bytes {
	size_t durable;
	size_t written;
};

struct cut {
	uint64_t seed;
	const struct power_lie *lie;
	struct fate *fates;
	struct bytes *bytes;
	uint64_t dice;
};

static uint64_t roll(struct cut *c, uint64_t sides)
{
	c->dice = power_dice(c->dice);
	return c->dice % sides;
}

/* One of all states since the last flush, each as likely. */
static void change(struct cut *c, struct fate *f, int node)
{
	f->newest = node;
	f->changes++;
	if (c->seed == 1 ||
	    (c->seed != 0 && roll(c, f->changes + (uint64_t)1) == 0))
		f->chosen = node;
}

static void settle_folder(struct cut *c, int folder)
{
	for (size_t i = 0; i < disk.entry_count; i++)
		if (disk.entries[i].folder == folder) {
			struct fate *f = &c->fates[i];

			f->durable = f->newest;
			f->chosen = f->newest;
			f->changes = 0;
		}
}

static void replay_one(struct cut *c, size_t at)
{
	const struct event *ev = &disk.events[at];
	bool lies = at >= c->lie->from;

	switch (ev->call) {
	case CALL_WRITE:
		c->bytes[ev->node].written = ev->size;
		break;
	case CALL_FLUSH:
		if (!lies || !c->lie->no_data)
			c->bytes[ev->node].durable = c->bytes[ev->node].written;
		break;
	case CALL_NAME:
		change(c, &c->fates[ev->entry], ev->node);
		break;
	case CALL_FOLDER:
	default:
		if (!lies || !c->lie->no_folders)
			settle_folder(c, ev->node);
	}
}

/* The bytes that a file has left, where some were never flushed. */
static void tear(struct cut *c, int node, struct buf *b)
{
	const struct bytes *at = &c->bytes[node];
	size_t loose = at->written - at->durable;
	size_t kept = c->seed == 0   ? 0
		      : c->seed == 1 ? loose
				     : (size_t)roll(c, (uint64_t)loose + 1);

	wr_bytes(b, disk.nodes[node].data.p, at->durable + kept);
	if (c->seed < 2)
		return;
	for (size_t i = at->durable; i < b->len; i += SECTOR)
		if (roll(c, 4) == 0)
			memset(b->p + i, 0,
			       (size_t)num_min(SECTOR, b->len - i));
}

static void save(const char *path, const struct buf *b)
{
	autofd int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct err e = ERR_INIT;

	if (fd < 0 || fd_write_full(fd, b->p, b->len, &e) < 0)
		fail_msg("cannot write '%s'", path);
}

static void make_file(struct cut *c, int node, const char *pool,
		      const char *path)
{
	const struct bytes *at = &c->bytes[node];
	AUTO(buf_fini) struct buf b = BUF_INIT;

	if (at->durable != disk.nodes[node].data.len) {
		tear(c, node, &b);
		save(path, &b);
		return;
	}
	/* whole: it will not change any more */
	autofree char *whole = mem_fmt("%s/%d", pool, node);

	if (!file_exists(whole))
		save(whole, &disk.nodes[node].data);
	if (__real_linkat(AT_FDCWD, whole, AT_FDCWD, path, 0) < 0)
		fail_msg("cannot link '%s'", path);
}

/* Folders were named before what is in them, so one round is enough. */
static void make_all(struct cut *c, const char *pool, const char *to)
{
	char **paths = mem_zalloc(disk.node_count, sizeof(*paths));

	paths[ROOT] = mem_strdup(to);
	assert_int_equal(mkdir(to, 0700), 0);
	for (size_t i = 0; i < disk.entry_count; i++) {
		const struct entry *s = &disk.entries[i];
		int node = c->fates[i].chosen;

		if (node == NONE || paths[s->folder] == NULL)
			continue;
		char *path = path_join(paths[s->folder], s->name);

		if (disk.nodes[node].folder) {
			assert_int_equal(mkdir(path, 0700), 0);
			paths[node] = path;
			continue;
		}
		make_file(c, node, pool, path);
		free(path);
	}
	for (size_t i = 0; i < disk.node_count; i++)
		free(paths[i]);
	free(paths);
}

void power_cut(size_t at, uint64_t seed, const struct power_lie *lie,
	       const char *pool, const char *to)
{
	struct cut c = {
		.seed = seed,
		.lie = lie,
		.fates = mem_zalloc(disk.entry_count, sizeof(*c.fates)),
		.bytes = mem_zalloc(disk.node_count, sizeof(*c.bytes)),
		.dice = power_dice(seed) ^ at,
	};

	for (size_t i = 0; i < disk.entry_count; i++)
		c.fates[i] = (struct fate){ NONE, NONE, NONE, 0 };
	for (size_t i = 0; i < at; i++)
		replay_one(&c, i);
	make_all(&c, pool, to);
	free(c.fates);
	free(c.bytes);
}

/* ---- folders --------------------------------------------------------- */

void power_quick_tmp(void)
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void power_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
