/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Freezing is the riskiest step of all: agents hang, and so did libvirt's call
 * in spite of its own timeout (vdsm 160: 27,905 seconds).  So the agent is
 * asked something harmless before; the call is made in a thread that is left
 * behind when it does not come back; the watchdog thaws in any case; and
 * whenever it is not sure that nothing was frozen, it is thawed.
 */

#include "virt/freeze.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/jot.h"

#define ASK_S    5
#define FREEZE_S 15
#define LATE_MS  20000
/* From the order to freeze until the watchdog thaws. */
#define FROZEN_MS  45000
#define THAW_TRIES 3

/* Shared by the caller and the thread; the last one frees it. */
struct frost {
	pthread_mutex_t lock;
	struct conn *conn;
	char uuid[CONN_UUID_TEXT];
	bool done;
	bool left; /* the caller waits no longer */
	int count;
	struct err err;
};

static void frost_free(struct frost *f)
{
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void *frost_main(void *arg)
{
	struct frost *f = arg;
	struct err e = ERR_INIT;
	int n = guest_freeze(f->conn, f->uuid, FREEZE_S, &e);
	bool left;

	pthread_mutex_lock(&f->lock);
	f->done = true;
	f->count = n;
	f->err = e;
	left = f->left;
	pthread_mutex_unlock(&f->lock);
	if (left)
		frost_free(f);
	return NULL;
}

static bool frost_done(struct frost *f)
{
	bool done;

	pthread_mutex_lock(&f->lock);
	done = f->done;
	pthread_mutex_unlock(&f->lock);
	return done;
}

/* What came of it; the thread may be left behind with f. */
static int frost_take(struct frost *f, struct err *e)
{
	bool done;
	int n = -1;

	pthread_mutex_lock(&f->lock);
	done = f->done;
	f->left = true;
	if (done) {
		n = f->count;
		*e = f->err;
	} else {
		err_set(e, ERR_BUSY, "the guest agent hangs in the freeze");
	}
	pthread_mutex_unlock(&f->lock);
	if (done)
		frost_free(f);
	return n;
}

static struct frost *frost_new(struct freeze *with)
{
	struct frost *f = mem_zalloc(1, sizeof(*f));

	pthread_mutex_init(&f->lock, NULL);
	f->conn = with->conn;
	for (size_t i = 0; i < CONN_UUID_TEXT - 1 && with->uuid[i]; i++)
		f->uuid[i] = with->uuid[i];
	return f;
}

static int freeze_bounded(struct freeze *with, struct err *e)
{
	struct frost *f = frost_new(with);
	pthread_attr_t attr;
	pthread_t thread;
	int sys;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sys = pthread_create(&thread, &attr, frost_main, f);
	pthread_attr_destroy(&attr);
	if (sys) {
		frost_free(f);
		return err_sysno(e, sys, "cannot start a thread");
	}
	for (unsigned ms = 0; ms < LATE_MS && !frost_done(f); ms += 5)
		nap_ms(5);
	return frost_take(f, e);
}

/* Does it answer at all? One that does not is not asked to freeze. */
static int ask(struct freeze *f, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(f->conn, f->uuid, e);
	long long seconds;
	unsigned nanoseconds;
	int ret = 0;

	if (!d)
		return -1;
	virDomainAgentSetResponseTimeout(d, ASK_S, 0);
	if (virDomainGetTime(d, &seconds, &nanoseconds, 0) < 0)
		ret = virt_err(e, "the guest agent does not answer");
	virDomainAgentSetResponseTimeout(
		d, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
	return ret;
}

int freeze_begin(struct freeze *f, struct err *e)
{
	struct err second = ERR_INIT;
	int n;

	if (ask(f, e) < 0)
		return -1;
	if (JOT0(f->journal, JOT_FREEZE, e) < 0 ||
	    watchdog_freeze(f->watchdog, FROZEN_MS, e) < 0)
		return -1;
	n = freeze_bounded(f, e);
	if (n <= 0)
		(void)!freeze_end(f, &second);
	return n;
}

int freeze_end(struct freeze *f, struct err *e)
{
	int n = guest_thaw(f->conn, f->uuid, THAW_TRIES, e);

	if (n < 0)
		return -1;
	if (watchdog_thawed(f->watchdog, e) < 0 ||
	    JOT0(f->journal, JOT_THAWED, e) < 0)
		return -1;
	return n;
}
