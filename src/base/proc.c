/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"

struct proc {
	pthread_t keeper;
	char *name;
	bool outlive;
	pid_t pid;
	int pidfd;
	int from_err;             /* the keeper's alone */
	char said[PROGRAM_WORDS]; /* for proc_last_words() */
	pthread_mutex_t lock;     /* all below */
	pthread_cond_t changed;
	bool launched;  /* pid is there, or sys */
	int sys;        /* why there is no program, or 0 */
	bool ended;     /* reaped: pid is nobody's now */
	bool abandoned; /* the keeper frees it */
	siginfo_t how;
	struct words words;
};

/* What the child needs between fork and exec; proc_start()'s. */
struct launch {
	struct proc *proc;
	const struct proc_start *order;
	const char *path;
	char **argv;
	char **env;
	pid_t parent;
	int null;
	int to_err;
	int to_status; /* errno of a failed exec goes here */
	int from_status;
};

static void proc_dispose(struct proc *p)
{
	fd_close_at(&p->pidfd);
	fd_close_at(&p->from_err);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->name);
	free(p);
}

/*
 * From here to child() only what signal-safety(7) allows: other threads may
 * hold any lock.
 */

static void child_signals(bool outlive)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		sigaction(sig, &usual, NULL);
	if (outlive) {
		sigaction(SIGPIPE, &ignore, NULL);
	} else {
		sigaction(SIGINT, &ignore, NULL);
		sigaction(SIGQUIT, &ignore, NULL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Move all three out of the way first: each may be another's place. */
static bool child_files(const struct launch *l)
{
	int in = l->order->in >= 0 ? l->order->in : l->null;
	int out = l->order->out >= 0 ? l->order->out : l->null;
	int from[3] = { fcntl(in, F_DUPFD_CLOEXEC, 3),
			fcntl(out, F_DUPFD_CLOEXEC, 3), l->to_err };

	for (int i = 0; i < 3; i++)
		if (from[i] < 0 || dup2(from[i], i) < 0)
			return false;
	/* for libraries that forget O_CLOEXEC; an old kernel says no */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	return true;
}

_Noreturn static void child(const struct launch *l)
{
	if (l->order->outlive)
		setsid();
	else if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != l->parent)
		_exit(127);
	child_signals(l->order->outlive);
	if (child_files(l))
		execve(l->path, l->argv, l->env);

	int sys = errno;
	ssize_t n = write(l->to_status, &sys, sizeof(sys));

	_exit(n < 0 ? 126 : 127);
}

/* errno of the child's exec, or 0 when that went well. */
static int exec_result(int from_status)
{
	int sys;
	ssize_t n;

	do
		n = read(from_status, &sys, sizeof(sys));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(sys) ? sys : 0;
}

/* Fork and see it start: 0 or errno. */
static int launch(struct launch *l)
{
	struct proc *p = l->proc;

	p->pid = fork();
	if (p->pid == 0)
		child(l);

	int sys = p->pid < 0 ? errno : 0;

	fd_close_at(&l->to_status);
	fd_close_at(&l->to_err);
	if (sys != 0)
		return sys;
	sys = exec_result(l->from_status);
	if (sys == 0) {
		p->pidfd = pidfd_open(p->pid, 0);
		sys = p->pidfd < 0 ? errno : 0;
	}
	if (sys != 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	return sys;
}

static void keep_words(struct proc *p)
{
	pthread_mutex_lock(&p->lock);
	words_suck(&p->words, &p->from_err);
	pthread_mutex_unlock(&p->lock);
}

/* Keep its stderr from filling up until it ends; then reap. */
static void keep_watch(struct proc *p)
{
	struct pollfd fds[2];

	do {
		fds[0] = (struct pollfd){ .fd = p->pidfd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = p->from_err, .events = POLLIN };
		program_poll(fds, 2, -1);
		keep_words(p);
	} while (fds[0].revents == 0);
}

static void *keep(void *arg)
{
	struct launch *l = arg;
	struct proc *p = l->proc;
	int sys = launch(l);

	pthread_mutex_lock(&p->lock);
	p->launched = true;
	p->sys = sys;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	/* from here on *l may be gone */
	if (sys != 0)
		return NULL;
	keep_watch(p);
	pthread_mutex_lock(&p->lock);
	program_reap(p->pidfd, &p->how);
	p->ended = true;

	bool abandoned = p->abandoned;

	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (abandoned)
		proc_dispose(p);
	return NULL;
}

/* The keeper takes no signals: those are for the thread in sigwait. */
static int keeper_start(struct launch *l, struct err *e)
{
	struct proc *p = l->proc;
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);

	int sys = pthread_create(&p->keeper, NULL, keep, l);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (sys != 0)
		return err_sysno(e, sys, "cannot start a thread");
	pthread_mutex_lock(&p->lock);
	while (!p->launched)
		pthread_cond_wait(&p->changed, &p->lock);
	sys = p->sys;
	pthread_mutex_unlock(&p->lock);
	if (sys == 0)
		return 0;
	pthread_join(p->keeper, NULL);
	return err_sysno(e, sys, "cannot start '%s'", l->path);
}

static struct proc *proc_new(const struct proc_start *start)
{
	struct proc *p = mem_zalloc(1, sizeof(*p));
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&p->lock, NULL);
	p->name = mem_strdup(path_base(start->argv[0]));
	p->outlive = start->outlive;
	p->pidfd = -1;
	p->from_err = -1;
	return p;
}

static void launch_fini(struct launch *l)
{
	free(l->argv);
	free(l->env);
	fd_close_at(&l->null);
	fd_close_at(&l->to_err);
	fd_close_at(&l->to_status);
	fd_close_at(&l->from_status);
}

static int start_it(struct proc *p, const struct proc_start *start,
		    struct err *e)
{
	autofree char *path = program_find(start->argv[0], e);
	AUTO(launch_fini)
	struct launch l = {
		.proc = p,
		.order = start,
		.path = path,
		.argv = program_argv(start->argv),
		.env = program_env(start->env),
		.parent = getpid(),
		.null = open("/dev/null", O_RDWR | O_CLOEXEC),
		.to_err = -1,
		.to_status = -1,
		.from_status = -1,
	};

	if (path == NULL)
		return -1;
	if (l.null < 0)
		return err_sys(e, "cannot open '/dev/null'");
	if (program_pipe(&p->from_err, &l.to_err, e) < 0 ||
	    program_pipe(&l.from_status, &l.to_status, e) < 0)
		return -1;
	fcntl(p->from_err, F_SETFL, O_NONBLOCK);
	return keeper_start(&l, e);
}

struct proc *proc_start(const struct proc_start *start, struct err *e)
{
	struct proc *p = proc_new(start);

	if (start_it(p, start, e) < 0) {
		proc_dispose(p);
		return NULL;
	}
	return p;
}

pid_t proc_pid(const struct proc *p)
{
	return p->pid;
}

/* With the lock held: until it has ended or the time is over. */
static bool await(struct proc *p, int64_t until_ns)
{
	struct timespec ts = { .tv_sec = until_ns / 1000000000,
			       .tv_nsec = until_ns % 1000000000 };
	int r = 0;

	while (!p->ended && r == 0)
		r = until_ns < 0 ? pthread_cond_wait(&p->changed, &p->lock)
				 : pthread_cond_timedwait(&p->changed, &p->lock,
							  &ts);
	return p->ended;
}

bool proc_alive(struct proc *p)
{
	struct pollfd end = { .fd = p->pidfd, .events = POLLIN };

	if (poll(&end, 1, 0) == 0)
		return true;
	/* the keeper is about to notice the same */
	pthread_mutex_lock(&p->lock);
	await(p, -1);
	pthread_mutex_unlock(&p->lock);
	return false;
}

int proc_wait(struct proc *p, unsigned ms, struct err *e)
{
	int r;

	pthread_mutex_lock(&p->lock);
	if (await(p, ms > 0 ? program_until(ms) : -1))
		r = program_judge(&p->how, p->name, &p->words, e);
	else
		r = err_set(e, ERR_BUSY, "'%s' still runs", p->name);
	pthread_mutex_unlock(&p->lock);
	return r;
}

const char *proc_last_words(struct proc *p)
{
	pthread_mutex_lock(&p->lock);
	words_last(&p->words, p->said);
	pthread_mutex_unlock(&p->lock);
	return p->said;
}

/* With the lock held: ask it to end, then make it. */
static bool finish(struct proc *p)
{
	if (!p->ended)
		kill(p->pid, SIGTERM);
	if (await(p, program_until(PROGRAM_GRACE_MS)))
		return true;
	kill(p->pid, SIGKILL);
	return await(p, program_until(PROGRAM_GRACE_MS));
}

void proc_free(struct proc *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);

	pthread_t keeper = p->keeper;
	bool ended = p->outlive ? p->ended : finish(p);

	/* left alone, or stuck in the kernel: its keeper stays with it */
	if (!ended) {
		p->abandoned = true;
		pthread_detach(keeper);
	}
	pthread_mutex_unlock(&p->lock);
	if (ended) {
		pthread_join(keeper, NULL);
		proc_dispose(p);
	}
}

int proc_start_time(pid_t pid, unsigned long long *ticks)
{
	char path[40];
	char text[1024];
	struct err none = ERR_INIT;
	size_t got;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);

	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fd_read_some(fd, text, sizeof(text) - 1, &got, &none) < 0)
		return -1;
	text[got] = '\0';

	/* field 2, the name, may have anything in it, also blanks and ')' */
	const char *p = strrchr(text, ')');

	for (int field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p != NULL && sscanf(p, " %llu", ticks) == 1 ? 0 : -1;
}
