/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_PROGRESS_H
#define VMKEEP_CLI_PROGRESS_H

/*
 * The words of the progress line: what, how much, how fast, how long still.
 * It knows no terminal and no clock.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/talk.h"

/* Steps seen at the same time: disks of a domain that are read together. */
#define PROGRESS_STEPS 8
#define PROGRESS_WHAT  160

struct progress_step {
	char what[PROGRESS_WHAT]; /* "" is free */
	uint64_t done, total;
	int64_t seen_ns;
	uint64_t sample_done;
	int64_t sample_ns;
	double rate; /* bytes a second, smoothed; 0 unknown */
};

struct progress {
	struct progress_step steps[PROGRESS_STEPS];
};

/* Take note; returns the step it belongs to. */
const struct progress_step *progress_note(struct progress *p,
					  const struct talk_progress *t,
					  int64_t now_ns);

/* The line, at most width columns wide.  Free it. */
char *progress_line(const struct progress_step *s, size_t width);

#endif
