/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_PROC_H
#define VMKEEP_BASE_PROC_H

/*
 * Other programs: an argument vector, never a shell.  The absolute folders of
 * PATH are searched, and the sbin folders after them (cron and su leave them
 * out).  The environment is ours with LC_ALL=C and without
 * VMKEEP_PASSPHRASE*; signals are as at login, none blocked; stdin is
 * /dev/null unless said; no descriptor is inherited but those named.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * Run to the end and collect stdout in out (appended), which may be NULL.
 * deadline_ms 0 means none; past it the program and its children are killed
 * and the call fails.  A program that cannot be started, dies by a signal or
 * exits with anything but 0 fails with the last line of its stderr in the
 * message; a program that is not installed is ERR_NOT_FOUND and named.  One
 * that writes more than max_out is killed and fails: half a list must not be
 * taken for the list.
 *
 * It has a session of its own: it can ask nothing on the terminal, and a
 * Ctrl-C meant for us does not cut it in the middle.  When we die it goes on.
 */
struct proc_run {
	const char *const *argv; /* ends with NULL */
	const char *const *env;  /* more "NAME=value"s, or NULL */
	unsigned deadline_ms;
	size_t max_out; /* 0: 1 MiB */
};

int proc_run(const struct proc_run *run, struct buf *out, struct err *e);

/*
 * A helper that runs beside us: it is killed when we die, and by proc_free().
 * A Ctrl-C on the terminal passes it by; it may ask for a password there.
 *
 * How it dies with us: PR_SET_PDEATHSIG, set between fork and exec (prctl(2):
 * the "parent" that counts is the thread that forked).  So every helper has a
 * thread of its own here that forks it, reads its stderr, waits for its end
 * and lives exactly as long: any thread may call proc_start() and end.  The
 * kernel drops the signal when the program is set-user-id or has file
 * capabilities.  What the program has started itself is its own affair.
 */
struct proc;

struct proc_start {
	const char *const *argv;
	const char *const *env; /* as above */
	int in;                 /* becomes its stdin; -1: /dev/null */
	int out;                /* becomes its stdout; -1: /dev/null */
	bool outlive;           /* own session, not killed when we die; its
				 * stderr fails with EPIPE then */
};

/* in and out stay the caller's, to be closed when this has returned. */
struct proc *proc_start(const struct proc_start *start, struct err *e);

pid_t proc_pid(const struct proc *p);

/* Is it still running?  Reaps it when not. */
bool proc_alive(struct proc *p);

/* Wait at most ms (0: for ever) for its end.  0 when it exited with 0; -1
 * with its status and the last line of its stderr, or ERR_BUSY when it still
 * runs. */
int proc_wait(struct proc *p, unsigned ms, struct err *e);

/* The last line it wrote to stderr so far ("" when none), owned by p, good
 * until the next call.  For one thread at a time. */
const char *proc_last_words(struct proc *p);

/* SIGTERM, then SIGKILL after 5 s, and reap.  NULL is fine.  With `outlive`
 * it is left alone. */
void proc_free(struct proc *p);

/* When the process with this id started (clock ticks since boot, field 22 of
 * /proc/PID/stat); id and start together name a process for ever.  -1 when
 * there is none. */
int proc_start_time(pid_t pid, unsigned long long *ticks);

#endif
