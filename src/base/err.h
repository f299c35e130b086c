/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_ERR_H
#define VMKEEP_BASE_ERR_H

/*
 * What went wrong, carried by value.
 *
 * Every function that can fail takes a `struct err *` as its last parameter,
 * owned by the caller, never NULL, and returns -1 or NULL on failure.  On
 * failure its other outputs are untouched.  Messages are lower case, name the
 * subject in quotes, have no full stop, and say what to do next where there
 * is something to do.
 */

#include <stdarg.h>
#include <stdbool.h>

enum err_code {
	ERR_NONE = 0,
	ERR_FAILED,    /* no caller branches on it */
	ERR_USAGE,     /* what the user typed cannot be meant */
	ERR_NOT_FOUND, /* the thing named does not exist */
	ERR_EXISTS,    /* the name is taken */
	ERR_BUSY,      /* somebody else is at it; later may work */
	ERR_INTEGRITY, /* bytes from outside are not what was written */
	ERR_NO_SPACE,  /* a disk, quota or reserve is exhausted */
	ERR_REFUSED,   /* not possible this way; another method may do */
	ERR_STOPPED,   /* another stage failed first; its error is the one */
};

struct err {
	enum err_code code;
	int sys;       /* errno where the system said no, else 0 */
	char msg[480]; /* ends with NUL; too long messages end with "..." */
};

#define ERR_INIT                                                               \
	{                                                                      \
		.code = ERR_NONE, .sys = 0, .msg = ""                          \
	}

/* Set code and message.  Always returns -1, so that callers can return it. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Set the message, ": " and the text of errno.  The code follows from errno:
 * ENOENT NOT_FOUND, EEXIST EXISTS, ENOSPC and EDQUOT NO_SPACE, EBUSY and
 * EWOULDBLOCK BUSY, all others FAILED.  Returns -1.
 */
int err_sys(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for an errno value in hand (pthread functions return theirs). */
int err_sysno(struct err *e, int sys, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "context: " before the message.  Code and sys stay.  Returns -1. */
int err_ctx(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Does the failure say nothing about the thing that was to be read?  A line
 * was down, memory short: it may go well the next time.  What is not there, or
 * is not what was written, is a finding; this is none, and nobody may act as if
 * it was.
 */
bool err_passing(const struct err *e);

/* Forget what happened. */
void err_clear(struct err *e);

#endif
