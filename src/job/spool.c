/* SPDX-License-Identifier: Apache-2.0 */
#include "job/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* Of nobody else's file, should the folder be shared. */
static const char prefix[] = "vmkeep-restore-";
static const char ending[] = ".ram";

#define CHANCE "XXXXXX"

static void closedir_at(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

static bool is_ours(const char *name)
{
	size_t stem = strlen(prefix) + strlen(CHANCE);

	return strlen(name) == stem + strlen(ending) &&
	       strncmp(name, prefix, strlen(prefix)) == 0 &&
	       strcmp(name + stem, ending) == 0;
}

/* Remove it unless somebody holds its lock. */
static void remove_dead(const char *dir, const char *name)
{
	autofree char *path = path_join(dir, name);
	autofd int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlink(path);
}

void spool_sweep(const char *dir)
{
	AUTO(closedir_at) DIR *d = opendir(dir);
	const struct dirent *n;

	while (d != NULL && (n = readdir(d)) != NULL)
		if (is_ours(n->d_name))
			remove_dead(dir, n->d_name);
}

int spool_new(const char *dir, struct spool *s, struct err *e)
{
	spool_sweep(dir);
	s->path = mem_fmt("%s/%s" CHANCE "%s", dir, prefix, ending);
	s->fd = mkostemps(s->path, (int)strlen(ending), O_CLOEXEC);
	if (s->fd < 0)
		return err_sys(e, "cannot make a spool file in '%s'", dir);
	if (flock(s->fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(e, "cannot lock '%s'", s->path);
	return 0;
}

void spool_fini(struct spool *s)
{
	if (s->fd >= 0) {
		unlink(s->path);
		close(s->fd);
	}
	free(s->path);
	*s = (struct spool)SPOOL_INIT;
}
