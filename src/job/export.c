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
#include "job/places.h"
#include "job/pour.h"
#include "job/target.h"

/* Where the bytes go. */
struct sink {
	int fd;
	const char *path; /* of a file that we made; NULL: none */
	bool stream;
	bool fresh;
};

static int not_in_place(const char *file, struct err *e)
{
	return err_set(e, ERR_USAGE,
		       "'%s' is neither a file nor a block device: leave out "
		       "--in-place",
		       file);
}

static int open_existing(const char *file, bool in_place, struct sink *s,
			 struct err *e)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return err_sys(e, "cannot open '%s'", file);
	if (S_ISREG(st.st_mode) && !in_place)
		return err_set(e, ERR_EXISTS,
			       "'%s' exists already: name another file, remove "
			       "it, or say --in-place",
			       file);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		s->fd = target_open_raw(file, e);
		return s->fd >= 0 ? 0 : -1;
	}
	if (in_place)
		return not_in_place(file, e);
	s->stream = true;
	s->fd = open(file, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return s->fd >= 0 ? 0 : err_sys(e, "cannot open '%s'", file);
}

static int open_sink(const char *file, bool in_place, struct sink *s,
		     struct err *e)
{
	*s = (struct sink){ .fd = -1 };
	if (strcmp(file, "-") == 0 && in_place)
		return not_in_place(file, e);
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
		return open_existing(file, in_place, s, e);
	return err_sys(e, "cannot make '%s'", file);
}

/* What was begun: half a new image is nobody's wish; half of an old one is
 * still there, and only the user can say what it is good for. */
static int undo(const struct sink *s, const char *file, uint64_t written,
		struct err *e)
{
	if (s->path != NULL)
		unlink(s->path);
	else if (!s->stream && written > 0)
		target_spoilt(file, e);
	return err_ctx(e, "cannot write '%s'", file);
}

static int write_sink(const struct places *places, const struct choice *c,
		      const char *file, bool in_place, uint64_t *written,
		      struct err *e)
{
	struct sink s;
	struct pour p = {
		.job = places->job,
		.repo = places->repo,
		.set = c->hit.set,
		.root = &c->image->root,
		.held = places_here(places, c->hit.set) ? c->image : NULL,
		.what = c->image->name,
		.written = written,
	};

	if (open_sink(file, in_place, &s, e) < 0)
		return -1;
	autofd int fd = s.fd;

	p.fresh = s.fresh;
	p.in_place = in_place && !s.fresh;
	int ok = s.stream ? pour_stream(&p, fd, e) : pour_file(&p, fd, e);

	return ok == 0 ? 0 : undo(&s, file, *written, e);
}

int job_export(const struct job *j, const char *point, const char *file,
	       bool in_place, struct result_export *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	struct choice choice;

	memset(result, 0, sizeof(*result));
	AUTO(places_fini) struct places p = { 0 };

	if (places_open(j, &p, e) < 0)
		return -1;
	places_warn(&p);
	if (choose_image(&p.all, point, &choice, e) < 0 ||
	    write_sink(&p, &choice, file, in_place, &result->written, e) < 0)
		return -1;
	result->point = describe_id(&choice.hit.point->id);
	result->image = mem_strdup(choice.image->name);
	result->file = mem_strdup(file);
	result->size = choice.image->root.size;
	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return 0;
}
