/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/where.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define MOUNTINFO     "/proc/self/mountinfo"
#define MOUNTINFO_MAX ((size_t)64 << 20)

void where_fini(struct where *w)
{
	free(w->path);
	free(w->fs);
	free(w->source);
	free(w->mount);
	free(w->options);
	free(w->inside);
	*w = (struct where){ .path = NULL };
}

static bool octal(const char *p)
{
	for (int i = 0; i < 3; i++) {
		if (p[i] < '0' || p[i] > '7')
			return false;
	}
	return true;
}

/* A field of mountinfo: blanks and their like are \ooo there. */
static char *unescape(const char *p, size_t n)
{
	char *out = mem_alloc(n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\\' && n - i > 3 && octal(p + i + 1)) {
			out[len++] =
				(char)((p[i + 1] - '0') * 64 +
				       (p[i + 2] - '0') * 8 + (p[i + 3] - '0'));
			i += 3;
		} else {
			out[len++] = p[i];
		}
	}
	out[len] = '\0';
	return out;
}

/* The next field of a line; NULL at its end. */
static const char *field(const char **at, size_t *len)
{
	const char *p = *at;

	while (*p == ' ')
		p++;
	if (*p == '\0' || *p == '\n')
		return NULL;
	*len = strcspn(p, " \n");
	*at = p + *len;
	return p;
}

/* id parent maj:min root mount options [tags...] - fs source options */
static bool line_parse(const char *line, struct where *w)
{
	const char *at = line;
	const char *f[5];
	size_t len[5];
	const char *p;
	size_t n;

	for (size_t i = 0; i < 5; i++) {
		f[i] = field(&at, &len[i]);
		if (f[i] == NULL)
			return false;
	}
	if (strtoull(f[0], NULL, 10) != w->mount_id)
		return false;
	do {
		p = field(&at, &n);
		if (p == NULL)
			return false;
	} while (n != 1 || *p != '-');

	size_t fs_len = 0;
	size_t source_len = 0;
	const char *fs = field(&at, &fs_len);
	const char *source = field(&at, &source_len);

	if (fs == NULL || source == NULL || *f[3] != '/' || *f[4] != '/')
		return false;
	w->inside = unescape(f[3], len[3]);
	w->mount = unescape(f[4], len[4]);
	w->fs = unescape(fs, fs_len);
	w->source = unescape(source, source_len);
	p = field(&at, &n);
	w->options = p != NULL ? unescape(p, n) : NULL;
	return true;
}

bool where_parse(const char *mountinfo, struct where *w)
{
	for (const char *line = mountinfo; line && *line;) {
		if (line_parse(line, w))
			return true;
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return false;
}

/* The part of path behind its mount point, or NULL. */
static const char *behind(const char *path, const char *mount)
{
	size_t n = strlen(mount);

	if (strcmp(mount, "/") == 0)
		return path;
	if (strncmp(path, mount, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path + n;
}

static int mount_find(struct where *w, struct err *e)
{
	AUTO(buf_fini) struct buf info = BUF_INIT;
	const char *rest;

	if (file_load(MOUNTINFO, MOUNTINFO_MAX, &info, e) < 0)
		return -1;
	wr_u8(&info, 0);
	if (!where_parse((const char *)info.p, w))
		return err_set(e, ERR_REFUSED,
			       "'%s': its mount is not in " MOUNTINFO, w->path);
	rest = behind(w->path, w->mount);
	if (rest == NULL || strstr(w->inside, "//deleted") != NULL)
		return err_set(e, ERR_REFUSED,
			       "'%s' is not below its mount '%s'", w->path,
			       w->mount);

	autofree char *root = w->inside;
	const char *whole = strcmp(root, "/") == 0 ? "" : root + 1;

	while (*rest == '/')
		rest++;
	w->inside = mem_fmt("%s%s%s", whole, *whole && *rest ? "/" : "", rest);
	return 0;
}

static int look(int fd, const char *path, struct where *w, struct err *e)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID,
		  &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if (!S_ISREG(st.stx_mode) && !S_ISBLK(st.stx_mode))
		return err_set(e, ERR_REFUSED,
			       "'%s' is neither a file nor a block device",
			       path);
	w->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	w->ino = st.stx_ino;
	w->block = S_ISBLK(st.stx_mode);
	w->dev_maj = w->block ? st.stx_rdev_major : st.stx_dev_major;
	w->dev_min = w->block ? st.stx_rdev_minor : st.stx_dev_minor;
	w->mount_id = st.stx_mnt_id;
	return 0;
}

/* Where the kernel says that an open file is; it must be there. */
static int true_path(int fd, const char *path, struct where *w, struct err *e)
{
	char link[64];
	char to[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, to, sizeof(to));
	if (n < 0)
		return err_sys(e, "cannot find out where '%s' is", path);
	if ((size_t)n >= sizeof(to))
		return err_set(e, ERR_REFUSED, "the path of '%s' is too long",
			       path);
	to[n] = '\0';
	if (strchr(to, '\n') != NULL)
		return err_set(e, ERR_REFUSED,
			       "'%s': a line feed in a path is not taken",
			       path);
	if (lstat(to, &st) < 0 || st.st_dev != w->dev || st.st_ino != w->ino)
		return err_set(e, ERR_REFUSED,
			       "'%s' cannot be found under the path it has",
			       path);
	w->path = mem_strdup(to);
	return 0;
}

static int find(const char *path, struct where *w, struct err *e)
{
	autofd int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot find '%s'", path);
	if (look(fd, path, w, e) < 0 || true_path(fd, path, w, e) < 0)
		return -1;
	return w->block ? 0 : mount_find(w, e);
}

int where_find(const char *path, struct where *w, struct err *e)
{
	AUTO(where_fini) struct where found = { .path = NULL };

	if (find(path, &found, e) < 0)
		return -1;
	*w = found;
	found = (struct where){ .path = NULL };
	return 0;
}
