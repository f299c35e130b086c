/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/guest.h"

#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "virt/conn_internal.h"

/* No job for so long: it is over. */
#define QUIET_MS 1000
#define POLL_MS  50

void nap_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
			      .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

int guest_state(struct conn *c, const char *uuid, struct guest_state *s,
		struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);
	int state = 0;
	int reason = 0;

	if (!d)
		return -1;
	if (virDomainGetState(d, &state, &reason, 0) < 0)
		return virt_err(e, "cannot ask for the domain's state");
	*s = (struct guest_state){ .state = state, .reason = reason };
	return 0;
}

bool guest_active(const struct guest_state *s)
{
	return s->state != VIR_DOMAIN_SHUTOFF && s->state != VIR_DOMAIN_NOSTATE;
}

bool guest_held(const struct guest_state *s)
{
	return s->state == VIR_DOMAIN_PAUSED &&
	       (s->reason == VIR_DOMAIN_PAUSED_SNAPSHOT ||
		s->reason == VIR_DOMAIN_PAUSED_MIGRATION ||
		s->reason == VIR_DOMAIN_PAUSED_UNKNOWN ||
		s->reason == VIR_DOMAIN_PAUSED_SAVE);
}

/* 1 when a job is under way, and then ask for its end. */
static int push_job(struct conn *c, const char *uuid, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);
	virDomainJobInfo job = { .type = VIR_DOMAIN_JOB_NONE };

	if (!d)
		return -1;
	if (virDomainGetJobInfo(d, &job) < 0 || job.type == VIR_DOMAIN_JOB_NONE)
		return 0;
	/* refused when it is just ending */
	virDomainAbortJob(d);
	return 1;
}

int guest_abort_job(struct conn *c, const char *uuid, unsigned wait_ms,
		    struct err *e)
{
	unsigned quiet = 0;

	for (unsigned waited = 0; waited < wait_ms; waited += POLL_MS) {
		int busy = push_job(c, uuid, e);

		if (busy < 0 && e->code == ERR_NOT_FOUND)
			return -1;
		quiet = busy == 0 ? quiet + POLL_MS : 0;
		if (quiet >= QUIET_MS)
			return 0;
		nap_ms(POLL_MS);
	}
	return err_set(e, ERR_BUSY, "the domain's job does not end");
}

int guest_resume(struct conn *c, const char *uuid, struct err *e)
{
	struct guest_state s;
	autodomain virDomainPtr d = NULL;

	if (guest_state(c, uuid, &s, e) < 0)
		return -1;
	if (s.state != VIR_DOMAIN_PAUSED)
		return 0;
	d = conn_domain(c, uuid, e);
	if (!d)
		return -1;
	if (virDomainResume(d) == 0)
		return 0;
	virt_err(e, "cannot resume the domain");
	/* somebody else may have been faster */
	if (guest_state(c, uuid, &s, e) == 0 && s.state != VIR_DOMAIN_PAUSED)
		return 0;
	return -1;
}

int guest_suspend(struct conn *c, const char *uuid, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);

	if (!d)
		return -1;
	return virDomainSuspend(d) == 0
		       ? 0
		       : virt_err(e, "cannot suspend the domain");
}

int guest_freeze(struct conn *c, const char *uuid, int timeout_s, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);
	int n;

	if (!d)
		return -1;
	virDomainAgentSetResponseTimeout(d, timeout_s, 0);
	n = virDomainFSFreeze(d, NULL, 0, 0);
	if (n < 0)
		virt_err(e, "the guest agent does not freeze");
	/* as libvirt has it for everybody else */
	virDomainAgentSetResponseTimeout(
		d, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
	return n;
}

static int thaw_once(struct conn *c, const char *uuid, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);
	int n;

	if (!d)
		return -1;
	virDomainAgentSetResponseTimeout(d, 10, 0);
	n = virDomainFSThaw(d, NULL, 0, 0);
	if (n < 0)
		virt_err(e, "the guest agent does not thaw");
	virDomainAgentSetResponseTimeout(
		d, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
	return n;
}

int guest_thaw(struct conn *c, const char *uuid, unsigned tries, struct err *e)
{
	for (unsigned i = 0; i < tries; i++) {
		struct guest_state s;
		int n = thaw_once(c, uuid, e);

		if (n >= 0)
			return n;
		if (guest_state(c, uuid, &s, e) == 0 && !guest_active(&s))
			return 0;
		if (e->code == ERR_NOT_FOUND)
			return -1;
		nap_ms(1000);
	}
	return -1;
}
