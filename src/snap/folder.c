/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

char *folder_path(const char *in, const char *name)
{
	return mem_fmt("%s/" SNAP_FOLDER "/%s", in, name);
}

static int made(const char *path, struct err *e)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return err_sys(e, "cannot make '%s'", path);
}

int folder_open(const char *in, bool make, int *fd, struct err *e)
{
	autofree char *path = path_join(in, SNAP_FOLDER);
	struct stat st;

	if (make && made(path, e) < 0)
		return -1;

	autofd int got =
		open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (got < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, ERR_REFUSED, "'%s' is no folder", path);
	if (got < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (fstat(got, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return err_set(e, ERR_REFUSED,
			       "'%s' can be written to by others: nothing is "
			       "put there",
			       path);
	*fd = fd_take(&got);
	return 0;
}

void folder_tidy(const char *in)
{
	autofree char *path = path_join(in, SNAP_FOLDER);

	rmdir(path);
}

int folder_id(int fd, const char *path, char id[FOLDER_ID], struct err *e)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if ((st.stx_mask & STATX_BTIME) == 0)
		st.stx_btime = (struct statx_timestamp){ .tv_sec = 0 };
	snprintf(id, FOLDER_ID, "%" PRIu64 ":%" PRId64 "%09" PRIu32,
		 (uint64_t)st.stx_ino, (int64_t)st.stx_btime.tv_sec,
		 st.stx_btime.tv_nsec);
	return 0;
}

int folder_take(struct snap_taking *t,
		int (*one)(const struct snap_volume *v, struct snap *s,
			   struct err *e),
		struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct snap_volume *v = t->volumes[i];

		if (!snap_time_left(&t->time, snap_kind_name(v->kind), e) ||
		    one(v, t->snaps[i], e) < 0)
			return -1;
	}
	return 0;
}

/* ---- room --------------------------------------------------------------- */

#define FLOOR_PART 20
#define FLOOR_MAX  ((uint64_t)2 << 30)

static int room(enum snap_kind kind, const char *volume, bool ready,
		struct err *e)
{
	autofree char *in =
		kind == SNAP_BTRFS ? mem_strdup(volume) : path_dir(volume);
	struct file_room r;
	char have[NUM_TEXT];
	char want[NUM_TEXT];

	if (file_room(in, &r, e) < 0)
		return -1;
	uint64_t floor = num_min(r.size / FLOOR_PART, FLOOR_MAX);

	if (ready)
		floor += floor / 2;
	if (r.free >= floor)
		return 0;
	num_size_text(r.free, have);
	num_size_text(floor, want);
	return err_set(e, ERR_NO_SPACE,
		       "only %s are free on the file system of '%s', and less "
		       "than %s is too little beside a snapshot: remove some, "
		       "or make room",
		       have, in, want);
}

int folder_ready(const struct snap_taking *t, struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct snap_volume *v = t->volumes[i];

		if (room(v->kind, v->name, true, e) < 0)
			return -1;
	}
	return 0;
}

int folder_check(const struct snap *const *snaps, size_t count,
		 const struct snap_time *t, struct err *e)
{
	(void)t;
	for (size_t i = 0; i < count; i++) {
		if (room(snaps[i]->kind, snaps[i]->volume, false, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- names -------------------------------------------------------------- */

static void dir_close(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

int folder_each(const char *in, void *ctx,
		int (*fn)(void *ctx, int folder, const char *name,
			  struct err *e),
		struct err *e)
{
	autofd int fd = -1;

	if (folder_open(in, false, &fd, e) < 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}

	AUTO(dir_close) DIR *dir = fdopendir(fd);

	if (dir == NULL)
		return err_sys(e, "cannot read '%s/" SNAP_FOLDER "'", in);
	fd_take(&fd);
	errno = 0;
	for (struct dirent *d; (d = readdir(dir)) != NULL; errno = 0) {
		if (snap_name_valid(d->d_name) &&
		    fn(ctx, dirfd(dir), d->d_name, e) < 0)
			return -1;
	}
	if (errno != 0)
		return err_sys(e, "cannot read '%s/" SNAP_FOLDER "'", in);
	return 0;
}
