/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "disk/imagelock.h"
#include "disk/socket.h"

/* Opening an image on slow storage may take long; longer is broken. */
#define START_MS 60000
#define RETRY_NS 2000000

/* A socket closes a little before its process can be reaped. */
#define REAP_MS 1000

struct helper {
	/* Guards proc. */
	pthread_mutex_t lock;
	struct proc *proc;

	char *dir;    /* ours alone, mode 0700; NULL once removed */
	char *socket; /* in dir */
	char *image;
};

/* The folder the caller named, or one with a short name where a socket's
 * address (107 bytes) would not hold it. */
static int make_dir(struct helper *h, const char *where, struct err *e)
{
	const char *parents[] = { where, "/tmp" };

	for (size_t i = where == NULL; i < 2; i++) {
		char *dir = path_join(parents[i], "nbd-XXXXXX");
		char *sock = path_join(dir, "s");

		if (socket_name_fits(sock) && mkdtemp(dir) != NULL) {
			h->dir = dir;
			free(sock);
			h->socket = path_join(dir, "s");
			return 0;
		}
		free(dir);
		free(sock);
	}
	return err_sys(e, "cannot make a folder for a socket in '%s'",
		       where != NULL ? where : "/tmp");
}

/* A name that QEMU takes for a file and nothing else ("fat:x", "-x"). */
static char *plain_path(const char *path)
{
	return path[0] == '/' ? mem_strdup(path) : path_join(".", path);
}

/* Is O_DIRECT sure to work?  Then the host's page cache, which somebody may
 * have filled before the disk changed, is left out of it. */
static bool is_block(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/*
 * qemu-nbd allocates a buffer per request.  glibc gives ones of this size
 * back to the kernel at each free(), and has every page cleared again for
 * the next request: that took three quarters of the time.
 */
static const char *const keep_memory[] = {
	"MALLOC_MMAP_THRESHOLD_=33554432",
	"MALLOC_TRIM_THRESHOLD_=134217728",
	NULL,
};

/* "driver=qcow2,force-share=on,...": the same image, without its lock.  A
 * comma in a value is written twice. */
static char *unlocked(const struct disk_image *image, const char *path)
{
	const char *file = is_block(path) ? "host_device" : "file";
	autofree char *escaped = mem_zalloc(2 * strlen(path) + 1, 1);
	char *to = escaped;

	for (const char *p = path; *p != '\0'; p++) {
		if (*p == ',')
			*to++ = ',';
		*to++ = *p;
	}
	return mem_fmt("driver=%s,force-share=on,file.driver=%s,"
		       "file.filename=%s",
		       image->format, file, escaped);
}

static struct proc *spawn(const struct helper *h,
			  const struct disk_image *image, struct err *e)
{
	bool direct = !image->writable && is_block(image->path);
	bool open = image->shared || image->yields;
	autofree char *path = plain_path(image->path);
	autofree char *options = unlocked(image, path);
	autofree char *sock = mem_fmt("--socket=%s", h->socket);
	autofree char *format = mem_fmt("--format=%s", image->format);
	autofree char *shared = mem_fmt("--shared=%u", image->connections);
	const char *argv[] = {
		"qemu-nbd",
		sock,
		open ? "--image-opts" : format,
		shared,
		direct ? "--cache=none" : "--cache=writeback",
		direct ? "--aio=native" : "--aio=threads",
		image->writable ? "--discard=unmap" : "--read-only",
		"--detect-zeroes=off",
		"--",
		open ? options : path,
		NULL,
	};
	struct proc_start start = {
		.argv = argv, .env = keep_memory, .in = -1, .out = -1
	};

	return proc_start(&start, e);
}

DEFINE_AUTO(helper_free, struct helper *);

struct helper *helper_start(const struct disk_image *image, struct err *e)
{
	AUTO(helper_free_at) struct helper *h = mem_zalloc(1, sizeof(*h));

	pthread_mutex_init(&h->lock, NULL);
	h->image = mem_strdup(image->path);
	if (make_dir(h, image->socket_dir, e) < 0)
		return NULL;
	h->proc = spawn(h, image, e);
	if (h->proc == NULL)
		return NULL;
	return mem_take(&h);
}

void helper_hide(struct helper *h)
{
	if (h->dir == NULL)
		return;
	unlink(h->socket);
	rmdir(h->dir);
	free(mem_take(&h->dir));
}

void helper_free(struct helper *h)
{
	if (h == NULL)
		return;
	proc_free(h->proc);
	helper_hide(h);
	pthread_mutex_destroy(&h->lock);
	free(h->socket);
	free(h->image);
	free(h);
}

pid_t helper_pid(const struct helper *h)
{
	return proc_pid(h->proc);
}

/* QEMU's hint after "Failed to get shared "write" lock". */
static bool says_locked(const char *words)
{
	return strstr(words, "another process using the image") != NULL ||
	       (strstr(words, "Failed to get") != NULL &&
		strstr(words, "lock") != NULL);
}

static int ended_err(struct helper *h, struct err *e)
{
	if (says_locked(e->msg))
		return imagelock_busy(h->image, e);
	return err_ctx(e, "cannot serve '%s'", h->image);
}

int helper_check(struct helper *h, struct err *e)
{
	struct err why = ERR_INIT;
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = proc_wait(h->proc, REAP_MS, &why);
	pthread_mutex_unlock(&h->lock);
	if (rc < 0 && why.code == ERR_BUSY)
		return 0;
	if (rc == 0)
		err_set(&why, ERR_FAILED, "qemu-nbd has ended by itself");
	ended_err(h, &why);
	*e = why;
	return -1;
}

static bool is_alive(struct helper *h)
{
	pthread_mutex_lock(&h->lock);
	bool alive = proc_alive(h->proc);
	pthread_mutex_unlock(&h->lock);
	return alive;
}

int helper_connect(struct helper *h, struct err *e)
{
	int64_t until = clock_steady_ns() + (int64_t)START_MS * 1000000;

	for (;;) {
		/* Asked before connecting: one that has just died may have
		 * accepted a moment ago, but has not a moment later. */
		bool alive = is_alive(h);
		int fd = socket_connect(h->socket, e);

		if (fd >= 0)
			err_clear(e);
		if (fd >= 0 || (e->sys != ENOENT && e->sys != ECONNREFUSED))
			return fd;
		if (!alive && helper_check(h, e) < 0)
			return -1;
		if (clock_steady_ns() >= until)
			return err_set(e, ERR_FAILED,
				       "qemu-nbd for '%s' does not answer",
				       h->image);
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
	}
}
