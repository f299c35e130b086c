/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/choose.h"
#include "job/describe.h"
#include "job/open.h"
#include "job/pour.h"

/* Where the bytes go. */
struct sink {
	int fd;
	const char *path; /* of a file that we made; NULL: none */
	bool stream;
	bool fresh;
};

static int open_existing(const char *file, struct sink *s, struct err *e)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return err_sys(e, "cannot open '%s'", file);
	if (S_ISREG(st.st_mode))
		return err_set(e, ERR_EXISTS,
			       "'%s' exists already: name another file, or "
			       "remove it",
			       file);
	s->stream = !S_ISBLK(st.st_mode);
	/* of a device O_EXCL says that nothing is mounted from it */
	s->fd = open(file, O_WRONLY | O_CLOEXEC | O_NOCTTY |
				   (s->stream ? 0 : O_EXCL));
	if (s->fd < 0 && errno == EBUSY && disk_idle(file, e) < 0)
		return -1;
	return s->fd >= 0 ? 0 : err_sys(e, "cannot open '%s'", file);
}

static int open_sink(const char *file, struct sink *s, struct err *e)
{
	*s = (struct sink){ .fd = -1 };
	if (strcmp(file, "-") == 0) {
		s->fd = dup(STDOUT_FILENO);
		s->stream = true;
		return s->fd >= 0 ? 0 : err_sys(e, "cannot use stdout");
	}
	s->fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s->fd >= 0) {
		s->path = file;
		s->fresh = true;
		return 0;
	}
	if (errno == EEXIST)
		return open_existing(file, s, e);
	return err_sys(e, "cannot make '%s'", file);
}

/* A block device must be large enough before anything is written. */
static int check_room(const struct sink *s, const char *file, uint64_t size,
		      struct err *e)
{
	if (s->stream || s->fresh)
		return 0;
	off_t end = lseek(s->fd, 0, SEEK_END);

	if (end >= 0 && (uint64_t)end < size)
		return err_set(e, ERR_FAILED,
			       "'%s' has %lld bytes, the image %llu: nothing "
			       "was written",
			       file, (long long)end, (unsigned long long)size);
	return 0;
}

static int write_sink(const struct job *j, struct repo *r,
		      const struct choice *c, const char *file, struct err *e)
{
	struct sink s;
	struct pour p = {
		.job = j,
		.repo = r,
		.set = c->hit.set,
		.root = &c->image->root,
		.what = c->image->name,
	};

	if (open_sink(file, &s, e) < 0)
		return -1;
	autofd int fd = s.fd;

	if (check_room(&s, file, p.root->size, e) < 0)
		return -1;
	p.fresh = s.fresh;
	int ok = s.stream ? pour_stream(&p, fd, e) : pour_file(&p, fd, e);

	if (ok == 0)
		return 0;
	if (s.path != NULL)
		unlink(s.path); /* half an image is nobody's wish */
	return err_ctx(e, "cannot write '%s'", file);
}

int job_export(const struct job *j, const char *point, const char *file,
	       struct result_export *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	struct choice choice;

	memset(result, 0, sizeof(*result));
	AUTO(repo_close_at) struct repo *r = job_repo(j, e);
	AUTO(catalog_fini) struct catalog c = { 0 };

	if (r == NULL || job_catalog(j, r, &c, e) < 0 ||
	    choose_image(&c, point, &choice, e) < 0 ||
	    write_sink(j, r, &choice, file, e) < 0)
		return -1;
	result->point = describe_id(&choice.hit.point->id);
	result->image = mem_strdup(choice.image->name);
	result->file = mem_strdup(file);
	result->size = choice.image->root.size;
	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return 0;
}
