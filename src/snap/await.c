/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/await.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#define NAP_NS      50000000
#define CMDLINE_MAX ((size_t)256 * 1024)

static void dir_close(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

/* Its arguments are parted by NULs. */
static bool says(const char *pid, const char *name)
{
	autofree char *path = mem_fmt("/proc/%s/cmdline", pid);
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err none = ERR_INIT;

	if (file_load(path, CMDLINE_MAX, &text, &none) < 0 || text.len == 0)
		return false;
	return memmem(text.p, text.len, name, strlen(name)) != NULL;
}

/* Somebody's process id, 0 for nobody. */
static long somebody(const char *name)
{
	AUTO(dir_close) DIR *proc = opendir("/proc");

	for (struct dirent *d; proc && (d = readdir(proc)) != NULL;) {
		long pid = isdigit((unsigned char)d->d_name[0])
				   ? strtol(d->d_name, NULL, 10)
				   : 0;

		if (pid > 0 && pid != getpid() && says(d->d_name, name))
			return pid;
	}
	return 0;
}

int await_nobody(const char *name, const struct snap_time *t, struct err *e)
{
	struct timespec nap = { .tv_nsec = NAP_NS };

	for (;;) {
		long pid = somebody(name);

		if (pid == 0)
			return 0;
		if (clock_steady_ns() >= t->until)
			return err_set(e, ERR_BUSY,
				       "the process %ld is still at '%s'", pid,
				       name);
		nanosleep(&nap, NULL);
	}
}
