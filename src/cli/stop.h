/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_STOP_H
#define VMKEEP_CLI_STOP_H

/*
 * Being told to stop.  One thread waits for SIGINT, SIGTERM and SIGHUP: at
 * the first it raises a flag that the job looks at, at the second the process
 * ends at once, as the signal has it.
 */

#include <stdbool.h>

#include "base/err.h"
#include "cli/speech.h"

struct stop;

/* Called before any other thread is made: signals stay blocked in all.
 * NULL with an error. */
struct stop *stop_new(struct speech *speech, struct err *e);

/* NULL is fine. */
void stop_free(struct stop *s);

/* NULL where s is. */
const _Atomic bool *stop_flag(const struct stop *s);

#endif
