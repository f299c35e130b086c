/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/pause.h"

#include "virt/guest.h"
#include "virt/jot.h"

int pause_announce(const struct pause *p, unsigned ms, struct err *e)
{
	if (JOT0(p->journal, JOT_PAUSE, e) < 0)
		return -1;
	return watchdog_pause(p->watchdog, ms, e);
}

int pause_begin(const struct pause *p, unsigned ms, struct err *e)
{
	if (pause_announce(p, ms, e) < 0)
		return -1;
	return guest_suspend(p->conn, p->uuid, e);
}

int pause_end(const struct pause *p, struct err *e)
{
	if (guest_resume(p->conn, p->uuid, e) < 0 ||
	    watchdog_resumed(p->watchdog, e) < 0)
		return -1;
	return JOT0(p->journal, JOT_RESUMED, e);
}
