/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"

/* What of stdout is kept where the caller names no limit. */
#define MAX_OUT ((size_t)1024 * 1024)

struct run {
	const struct proc_run *order;
	pid_t pid;
	int pidfd;
	int from_out; /* our end of its stdout, -1 when there is no more */
	int from_err;
	struct buf *out;
	size_t before; /* out's length at the start */
	struct words words;
};

static void run_fini(struct run *r)
{
	fd_close_at(&r->pidfd);
	fd_close_at(&r->from_out);
	fd_close_at(&r->from_err);
}

static void spawn_prepare(posix_spawn_file_actions_t *fa,
			  posix_spawnattr_t *attr, int to_out, int to_err)
{
	sigset_t none;
	sigset_t all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK |
					       POSIX_SPAWN_SETSIGDEF |
					       POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_init(fa);
	posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);
	if (to_out >= 0)
		posix_spawn_file_actions_adddup2(fa, to_out, 1);
	else
		posix_spawn_file_actions_addopen(fa, 1, "/dev/null", O_WRONLY,
						 0);
	posix_spawn_file_actions_adddup2(fa, to_err, 2);
	posix_spawn_file_actions_addclosefrom_np(fa, 3);
}

static int spawn(struct run *r, int to_out, int to_err, struct err *e)
{
	autofree char *path = program_find(r->order->argv[0], e);
	autofree char **argv = program_argv(r->order->argv);
	autofree char **env = program_env(r->order->env);
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;

	if (path == NULL)
		return -1;
	spawn_prepare(&fa, &attr, to_out, to_err);

	int sys = posix_spawn(&r->pid, path, &fa, &attr, argv, env);

	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	if (sys != 0)
		return err_sysno(e, sys, "cannot start '%s'", path);
	r->pidfd = pidfd_open(r->pid, 0);
	if (r->pidfd < 0) {
		err_sys(e, "cannot watch '%s'", path);
		kill(-r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
		return -1;
	}
	return 0;
}

/* The pipes, and the program at the other end. */
static int run_begin(struct run *r, struct err *e)
{
	autofd int to_out = -1;
	autofd int to_err = -1;

	if (program_pipe(&r->from_err, &to_err, e) < 0)
		return -1;
	if (r->out != NULL && program_pipe(&r->from_out, &to_out, e) < 0)
		return -1;
	fcntl(r->from_err, F_SETFL, O_NONBLOCK);
	if (r->out != NULL)
		fcntl(r->from_out, F_SETFL, O_NONBLOCK);
	return spawn(r, to_out, to_err, e);
}

/* What is in a pipe now; closes it at its end. */
static size_t suck(int *fd, void *to)
{
	ssize_t n = *fd >= 0 ? read(*fd, to, PROGRAM_PIPE) : -1;

	if (n == 0)
		fd_close_at(fd);
	return n > 0 ? (size_t)n : 0;
}

/* Both pipes; -1 when it was more than allowed. */
static int run_suck(struct run *r, struct err *e)
{
	size_t max = r->order->max_out > 0 ? r->order->max_out : MAX_OUT;

	words_suck(&r->words, &r->from_err);
	if (r->out == NULL)
		return 0;
	r->out->len += suck(&r->from_out, buf_room(r->out, PROGRAM_PIPE));
	if (r->out->len - r->before > max)
		return err_set(e, ERR_FAILED, "'%s' wrote more than %zu bytes",
			       path_base(r->order->argv[0]), max);
	return 0;
}

/* It and its children.  A program that hangs in the kernel does not even die
 * of that; then it is left behind. */
static void run_kill(struct run *r)
{
	struct pollfd end = { .fd = r->pidfd, .events = POLLIN };
	siginfo_t how;

	kill(-r->pid, SIGKILL);
	if (program_poll(&end, 1, program_until(PROGRAM_GRACE_MS)) > 0)
		program_reap(r->pidfd, &how);
}

static int run_late(struct run *r, struct err *e)
{
	char last[PROGRAM_WORDS];

	words_last(&r->words, last);
	return err_set(e, ERR_FAILED, "'%s' took longer than %u ms%s%s",
		       path_base(r->order->argv[0]), r->order->deadline_ms,
		       last[0] != '\0' ? ": " : "", last);
}

/* Until it has ended: then its pipes hold at most what one read gets, and
 * whoever else has them open is not waited for. */
static int run_watch(struct run *r, struct err *e)
{
	int64_t until = -1;

	if (r->order->deadline_ms > 0)
		until = program_until(r->order->deadline_ms);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = r->pidfd, .events = POLLIN },
			{ .fd = r->from_err, .events = POLLIN },
			{ .fd = r->from_out, .events = POLLIN },
		};

		if (program_poll(fds, 3, until) == 0)
			return run_late(r, e);
		if (run_suck(r, e) < 0)
			return -1;
		if (fds[0].revents != 0)
			return 0;
	}
}

static int run_all(struct run *r, struct err *e)
{
	siginfo_t how;

	if (run_begin(r, e) < 0)
		return -1;
	if (run_watch(r, e) < 0) {
		run_kill(r);
		return -1;
	}
	program_reap(r->pidfd, &how);
	return program_judge(&how, r->order->argv[0], &r->words, e);
}

int proc_run(const struct proc_run *run, struct buf *out, struct err *e)
{
	AUTO(run_fini)
	struct run r = {
		.order = run,
		.pidfd = -1,
		.from_out = -1,
		.from_err = -1,
		.out = out,
		.before = out != NULL ? out->len : 0,
	};

	if (run_all(&r, e) == 0)
		return 0;
	if (out != NULL)
		out->len = r.before;
	return -1;
}
