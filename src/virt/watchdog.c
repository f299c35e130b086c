/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/watchdog.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"

/* Its connection, also when the daemon must probe its emulators first. */
#define READY_MS 30000
#define LEAVE_MS 5000

struct watchdog {
	struct proc *proc;
	int to;   /* its orders */
	int from; /* what it says: "ready", then "fired" */
	bool fired;
};

static int pipes(int to[2], int from[2], struct err *e)
{
	if (pipe2(to, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	if (pipe2(from, O_CLOEXEC) == 0)
		return 0;
	err_sys(e, "cannot make a pipe");
	close(to[0]);
	close(to[1]);
	return -1;
}

/* One thing it says within ms: its first letter, or 0. */
static char hear(struct watchdog *w, int ms)
{
	struct pollfd p = { .fd = w->from, .events = POLLIN };
	char word[16];
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	n = read(w->from, word, sizeof(word));
	return n > 0 ? word[0] : 0;
}

static struct proc *launch(const char *program, const char *uri,
			   const char *uuid, struct watchdog *w, struct err *e)
{
	const char *argv[] = { program, "__watchdog", uri, uuid, NULL };
	struct proc_start start = { .argv = argv, .outlive = true };
	int to[2];
	int from[2];

	if (pipes(to, from, e) < 0)
		return NULL;
	start.in = to[0];
	start.out = from[1];
	w->to = to[1];
	w->from = from[0];

	struct proc *p = proc_start(&start, e);

	close(to[0]);
	close(from[1]);
	return p;
}

struct watchdog *watchdog_start(const char *program, const char *uri,
				const char *uuid, struct err *e)
{
	AUTO(watchdog_close_at) struct watchdog *w = mem_zalloc(1, sizeof(*w));

	w->to = -1;
	w->from = -1;
	w->proc = launch(program ? program : "/proc/self/exe", uri, uuid, w, e);
	if (!w->proc) {
		err_ctx(e, "watchdog");
		return NULL;
	}
	if (hear(w, READY_MS) != 'r') {
		err_set(e, ERR_FAILED, "the watchdog does not start: %s",
			proc_last_words(w->proc));
		return NULL;
	}
	return mem_take(&w);
}

void watchdog_close(struct watchdog *w)
{
	struct err e = ERR_INIT;

	if (!w)
		return;
	fd_close_at(&w->to);
	if (w->proc)
		(void)!proc_wait(w->proc, LEAVE_MS, &e);
	proc_free(w->proc);
	fd_close_at(&w->from);
	free(w);
}

void watchdog_close_at(struct watchdog **w)
{
	watchdog_close(*w);
}

static int order(struct watchdog *w, const char *word, unsigned ms,
		 struct err *e)
{
	autofree char *line = mem_fmt("%s %u\n", word, ms);

	if (!w)
		return err_set(e, ERR_FAILED, "there is no watchdog");
	if (fd_write_full(w->to, line, strlen(line), e) < 0)
		return err_ctx(e, "the watchdog has died: %s",
			       proc_last_words(w->proc));
	return 0;
}

int watchdog_freeze(struct watchdog *w, unsigned ms, struct err *e)
{
	return order(w, "freeze", ms, e);
}

int watchdog_thawed(struct watchdog *w, struct err *e)
{
	return order(w, "thawed", 0, e);
}

int watchdog_pause(struct watchdog *w, unsigned ms, struct err *e)
{
	return order(w, "pause", ms, e);
}

int watchdog_resumed(struct watchdog *w, struct err *e)
{
	return order(w, "resumed", 0, e);
}

int watchdog_taking(struct watchdog *w, unsigned ms, struct err *e)
{
	return order(w, "taking", ms, e);
}

int watchdog_taken(struct watchdog *w, struct err *e)
{
	return order(w, "taken", 0, e);
}

bool watchdog_fired(struct watchdog *w)
{
	if (w && !w->fired)
		w->fired = hear(w, 0) == 'f';
	return w && w->fired;
}

pid_t watchdog_pid(const struct watchdog *w)
{
	return proc_pid(w->proc);
}
