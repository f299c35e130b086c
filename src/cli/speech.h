/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_SPEECH_H
#define VMKEEP_CLI_SPEECH_H

/*
 * What is said on stderr while a command works: messages, each a line, and on
 * a terminal one line of progress below them.  Any thread may speak.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/talk.h"

struct speech;

struct speech_options {
	bool quiet;    /* warnings and errors only */
	bool verbose;  /* debug, too */
	bool progress; /* the line, where stderr is a terminal */
};

struct speech *speech_new(const struct speech_options *o);

/* NULL is fine.  Takes the line away. */
void speech_free(struct speech *s);

void speech_say(struct speech *s, enum talk_level level, const char *text);

/* "vmkeep: " and what went wrong. */
void speech_error(struct speech *s, const struct err *e);

/* The progress line goes away; it comes back with the next progress. */
void speech_clear(struct speech *s);

/* For jobs; lives as long as s. */
const struct talk *speech_talk(const struct speech *s);

#endif
