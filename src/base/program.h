/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_PROGRAM_H
#define VMKEEP_BASE_PROGRAM_H

/*
 * What proc.c and proc_run.c share: what a program needs to start, and what
 * is left of it when it has ended.  All others want base/proc.h.
 */

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	PROGRAM_PIPE = 64 * 1024, /* what a pipe holds: pipe(7) */
	PROGRAM_GRACE_MS = 5000,  /* between asking and killing */
	PROGRAM_WORDS = 256,      /* of a last line, with NUL */
};

/* Where the program is; free it.  ERR_NOT_FOUND names it. */
char *program_find(const char *name, struct err *e);

/* Arguments as exec wants them: a new array of the same strings. */
char **program_argv(const char *const *argv);

/* Our environment without secrets, with LC_ALL=C and more (or NULL): a new
 * array of others' strings. */
char **program_env(const char *const *more);

/* A pipe, O_CLOEXEC, neither end of it 0, 1 or 2, also where ours are
 * closed. */
int program_pipe(int *from, int *to, struct err *e);

/* The end of what it wrote to stderr. */
struct words {
	char tail[PROGRAM_WORDS - 1];
	size_t len;
};

void words_add(struct words *w, const char *p, size_t n);

/* The last line with something in it, without blanks around it, control
 * characters as blanks. */
void words_last(const struct words *w, char out[PROGRAM_WORDS]);

/* What is in a pipe that does not block; *fd is closed at its end. */
void words_suck(struct words *w, int *fd);

/* Reap it, waiting for its end, and say how it was. */
void program_reap(int pidfd, siginfo_t *how);

/* 0 when it exited with 0, else -1, how it ended and its last words. */
int program_judge(const siginfo_t *how, const char *program,
		  const struct words *w, struct err *e);

/* poll() that knows EINTR and a steady clock's end (-1: none); 0 at it. */
int program_poll(struct pollfd *fds, size_t n, int64_t until_ns);

/* The steady clock in ms from now. */
int64_t program_until(unsigned ms);

#endif
