/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_TALK_H
#define VMKEEP_BASE_TALK_H

/*
 * What a library may say while it works.  Libraries never print: they call
 * the talk they were given, and the command decides where it goes (terminal,
 * log, nowhere).  NULL functions are silent.  Called from any thread.
 */

#include <stdint.h>

enum talk_level {
	TALK_DEBUG, /* for --verbose */
	TALK_INFO,  /* what is being done */
	TALK_WARN,  /* went on, but the user should know */
};

/* A step's progress: done of total (0: unknown) in bytes. */
struct talk_progress {
	const char *what; /* "web1: vda" */
	uint64_t done;
	uint64_t total;
};

struct talk {
	void *ctx;
	void (*say)(void *ctx, enum talk_level level, const char *text);
	void (*progress)(void *ctx, const struct talk_progress *p);
};

/* Never NULL for the callers' sake: a talk that says nothing. */
extern const struct talk talk_none;

void talk_say(const struct talk *t, enum talk_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void talk_progress(const struct talk *t, const char *what, uint64_t done,
		   uint64_t total);

#endif
