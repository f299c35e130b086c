/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/proc.h"
#include "disk/extents.h"
#include "disk/helper.h"
#include "disk/imagelock.h"
#include "disk/nbd.h"
#include "disk/socket.h"

#define MAX_CONNECTIONS 16
#define CREATE_MS       60000

struct disk {
	char *name;            /* for messages */
	struct helper *helper; /* NULL: somebody else's export */
	int lock;              /* image held against writers, or -1 */
	int yields;            /* image that others may open, or -1 */
	struct stat opened;    /* what it was then */
	struct nbdconn *conns[MAX_CONNECTIONS];
	unsigned conn_count;
	uint64_t size;
	bool writable;
	struct extents extents; /* what the server said; of connection 0 */
};

static struct disk *disk_new(const char *name)
{
	struct disk *d = mem_zalloc(1, sizeof(*d));

	d->name = mem_strdup(name);
	d->lock = -1;
	d->yields = -1;
	return d;
}

void disk_close(struct disk *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; i < d->conn_count; i++)
		nbdconn_close(d->conns[i]);
	helper_free(d->helper);
	fd_close_at(&d->lock);
	fd_close_at(&d->yields);
	extents_fini(&d->extents);
	free(d->name);
	free(d);
}

void disk_close_at(struct disk **d)
{
	disk_close(*d);
}

/* -- opening ---------------------------------------------------------- */

static int add_conn(struct disk *d, int fd, const char *export_name,
		    struct err *e)
{
	struct nbdconn *n = nbdconn_open(fd, export_name, e);

	if (n == NULL)
		return -1;
	d->conns[d->conn_count++] = n;
	return 0;
}

/* Connections that do not see each other's writes are no help: then one. */
static unsigned useful(const struct disk *d, unsigned wanted)
{
	return nbdconn_export(d->conns[0])->multi ? wanted : 1;
}

static void take_export(struct disk *d)
{
	const struct nbdconn_export *x = nbdconn_export(d->conns[0]);

	d->size = x->size;
	d->writable = x->writable;
}

static int connect_helper(struct disk *d, unsigned wanted, struct err *e)
{
	do {
		int fd = helper_connect(d->helper, e);

		if (fd < 0)
			return -1;
		if (add_conn(d, fd, "", e) < 0) {
			/* Why it has gone says more than that it has. */
			(void)helper_check(d->helper, e);
			return err_ctx(e, "disk '%s'", d->name);
		}
	} while (d->conn_count < useful(d, wanted));
	helper_hide(d->helper);
	take_export(d);
	return 0;
}

/* Asked before QEMU is, for a short answer. */
static int look_at(const struct disk_image *image, struct stat *st,
		   struct err *e)
{
	int mode = image->writable ? O_RDWR : O_RDONLY;
	autofd int fd = fd_open(image->path, mode | O_NONBLOCK);

	if (fd < 0 || fstat(fd, st) < 0)
		return err_sys(e, "cannot open image '%s'", image->path);
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return err_set(e, ERR_USAGE,
			       "'%s' is neither a file nor a block device",
			       image->path);
	return fd_take(&fd);
}

static int open_helper(struct disk *d, const struct disk_image *image,
		       struct err *e)
{
	d->helper = helper_start(image, e);
	if (d->helper == NULL)
		return -1;
	return connect_helper(d, image->connections, e);
}

/* Keep the image for as long as its user wants it, and no longer than that. */
static int hold(struct disk *d, const struct disk_image *image, struct stat *st,
		struct err *e)
{
	bool raw = strcmp(image->format, "raw") == 0;
	autofd int fd = look_at(image, st, e);

	if (fd < 0)
		return -1;
	if (image->yields && imagelock_look(fd, image->path, e) < 0)
		return -1;
	if (raw && !image->writable && !image->shared && !image->yields &&
	    imagelock_take(fd, image->path, e) < 0)
		return -1;
	d->opened = *st;
	*(image->yields ? &d->yields : &d->lock) = fd_take(&fd);
	return 0;
}

struct disk *disk_open_image(const struct disk_image *image, struct err *e)
{
	AUTO(disk_close_at) struct disk *d = disk_new(image->path);
	struct stat st = { .st_size = 0 };

	assert(image->connections >= 1 &&
	       image->connections <= MAX_CONNECTIONS);
	assert(image->writable + image->shared + image->yields <= 1);
	if (hold(d, image, &st, e) < 0 || open_helper(d, image, e) < 0)
		return NULL;
	/* QEMU counts in sectors and rounds up. */
	if (strcmp(image->format, "raw") == 0 && S_ISREG(st.st_mode))
		d->size = num_min(d->size, (uint64_t)st.st_size);
	return mem_take(&d);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

int disk_sure(struct disk *d, struct err *e)
{
	struct stat now;

	if (d->yields < 0)
		return 0;
	if (fstat(d->yields, &now) < 0)
		return err_sys(e, "cannot look at '%s'", d->name);
	if (imagelock_look(d->yields, d->name, e) < 0)
		return -1;
	if (S_ISREG(now.st_mode) &&
	    (now.st_size != d->opened.st_size ||
	     !same_time(&now.st_mtim, &d->opened.st_mtim)))
		return err_set(e, ERR_BUSY,
			       "image '%s' was changed while it was read",
			       d->name);
	return 0;
}

struct disk *disk_open_export(const char *socket, const char *export_name,
			      unsigned connections, struct err *e)
{
	AUTO(disk_close_at) struct disk *d = disk_new(socket);

	assert(connections >= 1 && connections <= MAX_CONNECTIONS);
	do {
		int fd = socket_connect(socket, e);

		if (fd < 0)
			return NULL;
		if (add_conn(d, fd, export_name, e) < 0) {
			err_ctx(e, "export '%s' at '%s'", export_name, socket);
			return NULL;
		}
	} while (d->conn_count < useful(d, connections));
	take_export(d);
	return mem_take(&d);
}

int disk_idle(const char *path, struct err *e)
{
	autofd int fd = fd_open(path, O_RDONLY | O_EXCL);

	if (fd < 0 && errno == EBUSY)
		return err_set(e, ERR_BUSY,
			       "'%s' is in use: it is mounted, or belongs to "
			       "a volume group, RAID or pool",
			       path);
	return 0;
}

uint64_t disk_size(const struct disk *d)
{
	return d->size;
}

unsigned disk_connections(const struct disk *d)
{
	return d->conn_count;
}

pid_t disk_helper(const struct disk *d)
{
	return d->helper != NULL ? helper_pid(d->helper) : 0;
}

/* -- bytes ------------------------------------------------------------ */

static const char *const verbs[] = {
	[NBDCONN_READ] = "read",
	[NBDCONN_WRITE] = "write",
	[NBDCONN_ZERO] = "zero",
};

/* A dead helper's last words say more than "the server has gone". */
static void explain(struct disk *d, struct err *e)
{
	struct err why = ERR_INIT;

	if (e->sys == ENOTCONN && d->helper != NULL &&
	    helper_check(d->helper, &why) < 0)
		*e = why;
}

static int disk_work(struct disk *d, unsigned connection,
		     const struct nbdconn_work *work, struct err *e)
{
	const char *verb = verbs[work->verb];

	assert(connection < d->conn_count);
	if (work->offset > d->size || work->size > d->size - work->offset)
		return err_set(e, ERR_FAILED,
			       "cannot %s '%s' at %" PRIu64
			       ": beyond its end at %" PRIu64,
			       verb, d->name, work->offset + work->size,
			       d->size);
	if (work->verb != NBDCONN_READ && !d->writable)
		return err_set(e, ERR_FAILED, "'%s' is open for reading only",
			       d->name);
	if (nbdconn_run(d->conns[connection], work, e) == 0)
		return 0;
	explain(d, e);
	return err_ctx(e, "cannot %s '%s' at %" PRIu64, verb, d->name,
		       work->offset);
}

int disk_read(struct disk *d, unsigned connection, uint64_t offset, size_t size,
	      void *to, struct err *e)
{
	struct nbdconn_work work = {
		.verb = NBDCONN_READ, .offset = offset, .size = size, .to = to
	};

	return disk_work(d, connection, &work, e);
}

int disk_write(struct disk *d, unsigned connection, uint64_t offset,
	       size_t size, const void *from, struct err *e)
{
	struct nbdconn_work work = { .verb = NBDCONN_WRITE,
				     .offset = offset,
				     .size = size,
				     .from = from };

	return disk_work(d, connection, &work, e);
}

int disk_zero(struct disk *d, unsigned connection, uint64_t offset,
	      uint64_t size, struct err *e)
{
	struct nbdconn_work work = { .verb = NBDCONN_ZERO,
				     .offset = offset,
				     .size = size };

	return disk_work(d, connection, &work, e);
}

/* One connection's flush is all connections': see useful(). */
int disk_flush(struct disk *d, struct err *e)
{
	if (nbdconn_flush(d->conns[0], e) == 0)
		return 0;
	explain(d, e);
	return err_ctx(e, "cannot flush '%s'", d->name);
}

/* -- where there is data ---------------------------------------------- */

static void remember(void *ctx, uint64_t size, bool zero)
{
	extents_add(ctx, size, !zero);
}

int disk_extent(struct disk *d, uint64_t offset, uint64_t *size, bool *data,
		struct err *e)
{
	uint64_t end;

	if (offset >= d->size)
		return err_set(e, ERR_FAILED,
			       "'%s' ends at %" PRIu64 ", before %" PRIu64,
			       d->name, d->size, offset);
	if (!nbdconn_export(d->conns[0])->status) {
		*size = d->size - offset;
		*data = true;
		return 0;
	}
	/* What is being written to changes under the answer. */
	if (d->writable || !extents_find(&d->extents, offset, &end, data)) {
		extents_restart(&d->extents, offset);
		if (nbdconn_status(d->conns[0], offset, d->size - offset,
				   remember, &d->extents, e) < 0) {
			explain(d, e);
			return err_ctx(e, "disk '%s'", d->name);
		}
		if (!extents_find(&d->extents, offset, &end, data))
			return err_set(e, ERR_FAILED,
				       "disk '%s': no block status at %" PRIu64,
				       d->name, offset);
	}
	*size = num_min(end, d->size) - offset;
	return 0;
}

/* -- making ----------------------------------------------------------- */

static int fill_qcow2(const char *path, uint64_t size, struct err *e)
{
	autofree char *plain =
		path[0] == '/' ? mem_strdup(path) : path_join(".", path);
	autofree char *bytes = mem_fmt("%" PRIu64, size);
	const char *argv[] = { "qemu-img", "create", "-q",  "-f", "qcow2",
			       "--",       plain,    bytes, NULL };
	struct proc_run run = { .argv = argv, .deadline_ms = CREATE_MS };

	return proc_run(&run, NULL, e);
}

static int fill_raw(const char *path, int fd, uint64_t size, struct err *e)
{
	if (size > INT64_MAX)
		return err_sysno(e, EFBIG, "cannot make '%s'", path);
	if (ftruncate(fd, (off_t)size) < 0)
		return err_sys(e, "cannot make '%s'", path);
	return 0;
}

int disk_create(const char *path, const char *format, uint64_t size,
		struct err *e)
{
	bool raw = strcmp(format, "raw") == 0;

	if (!raw && strcmp(format, "qcow2") != 0)
		return err_set(e, ERR_USAGE,
			       "cannot make images of format '%s', only raw "
			       "and qcow2",
			       format);
	/* Ours from the start: qemu-img would take over what is there. */
	autofd int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "cannot make image '%s'", path);

	int rc = raw ? fill_raw(path, fd, size, e) : fill_qcow2(path, size, e);
	if (rc < 0)
		unlink(path);
	return rc;
}
