/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_WATCHDOG_H
#define VMKEEP_VIRT_WATCHDOG_H

/*
 * Our end of the watchdog: a process beside us that sets the guest going
 * again when we are dead or late.  (Its own end: watchdog_main(), recover.h.)
 *
 * An order is given before the step it is about.  When we die, the watchdog
 * undoes what was ordered last; without an order it just ends.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct watchdog;

/* Start it and wait until it has its own connection. */
struct watchdog *watchdog_start(const char *program, const char *uri,
				const char *uuid, struct err *e);

/* All is well, and it may go.  NULL is fine. */
void watchdog_close(struct watchdog *w);
void watchdog_close_at(struct watchdog **w);

/*
 * The guest is about to be frozen, or suspended by us: ms from now it is
 * thawed, or resumed, unless the counter-order comes before.
 */
int watchdog_freeze(struct watchdog *w, unsigned ms, struct err *e);
int watchdog_thawed(struct watchdog *w, struct err *e);
int watchdog_pause(struct watchdog *w, unsigned ms, struct err *e);
int watchdog_resumed(struct watchdog *w, struct err *e);

/*
 * libvirt is about to take RAM of a guest that runs, and will stop it for the
 * last round: when that takes longer than ms, or we die, the job is aborted
 * and the guest resumed.  (Until: watchdog_taken().)
 */
int watchdog_taking(struct watchdog *w, unsigned ms, struct err *e);
int watchdog_taken(struct watchdog *w, struct err *e);

/* Its process id. */
pid_t watchdog_pid(const struct watchdog *w);

/* Has it done something on its own because we were late? */
bool watchdog_fired(struct watchdog *w);

#endif
