/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_PAUSE_H
#define VMKEEP_VIRT_PAUSE_H

/* A guest stands still because of us: journal and watchdog know it before. */

#include "base/journal.h"
#include "virt/conn.h"
#include "virt/watchdog.h"

struct pause {
	struct conn *conn;
	const char *uuid;
	struct journal *journal;
	struct watchdog *watchdog;
};

/* It will be stopped, by us or libvirt: the watchdog sets it going after
 * ms, counted from now. */
int pause_announce(const struct pause *p, unsigned ms, struct err *e);

/* That, and suspend it. */
int pause_begin(const struct pause *p, unsigned ms, struct err *e);

/* Set it going; fine when it runs, or is off. */
int pause_end(const struct pause *p, struct err *e);

#endif
