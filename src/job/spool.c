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

static const char prefix[] = "restore-";

static void closedir_at(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
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
		if (strncmp(n->d_name, prefix, strlen(prefix)) == 0)
			remove_dead(dir, n->d_name);
}

int spool_new(const char *dir, struct spool *s, struct err *e)
{
	spool_sweep(dir);
	s->path = mem_fmt("%s/%sXXXXXX.ram", dir, prefix);
	s->fd = mkostemps(s->path, (int)strlen(".ram"), O_CLOEXEC);
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
