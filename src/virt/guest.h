/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_GUEST_H
#define VMKEEP_VIRT_GUEST_H

/*
 * Single steps on one domain, each bounded in time and sure about its result.
 * Used by captures, by recovery and by the watchdog.
 */

#include <stdbool.h>

#include "virt/conn.h"

void nap_ms(unsigned ms);

/* libvirt's state and reason numbers. */
struct guest_state {
	int state;
	int reason;
};

int guest_state(struct conn *c, const char *uuid, struct guest_state *s,
		struct err *e);

/* Is there a QEMU process? */
bool guest_active(const struct guest_state *s);

/* Paused by libvirt for a snapshot, not by its user?  (Also by one whose
 * daemon was killed in the last round, and forgot why.) */
bool guest_held(const struct guest_state *s);

/*
 * Abort the domain's job (a RAM snapshot) and wait until there has been none
 * for a while: libvirtd goes on with a call whose caller has died, and the
 * call may still be on its way to it.  ERR_BUSY after wait_ms.
 */
int guest_abort_job(struct conn *c, const char *uuid, unsigned wait_ms,
		    struct err *e);

/* Resume when it is paused; fine when it runs or is off. */
int guest_resume(struct conn *c, const char *uuid, struct err *e);
int guest_suspend(struct conn *c, const char *uuid, struct err *e);

/*
 * Freeze file systems, each call bounded: returns how many, or -1.  Thaw is
 * tried until it works or tries are used up; how many were thawed.
 */
int guest_freeze(struct conn *c, const char *uuid, int timeout_s,
		 struct err *e);
int guest_thaw(struct conn *c, const char *uuid, unsigned tries, struct err *e);

#endif
