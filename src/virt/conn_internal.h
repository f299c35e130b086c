/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CONN_INTERNAL_H
#define VMKEEP_VIRT_CONN_INTERNAL_H

/*
 * The libvirt side of a connection, for the files of this folder alone.
 */

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "virt/conn.h"

/* A daemon that is being restarted is waited for so long. */
#define CONN_WAIT_MS 15000

#define autodomain AUTO(conn_domain_free_at)

static inline void conn_domain_free_at(virDomainPtr *at)
{
	if (*at != NULL)
		virDomainFree(*at);
}

/* The connection as it is now: borrowed, valid until conn_close() even when
 * the daemon goes away and conn_ensure() makes a new one. */
virConnectPtr conn_ptr(struct conn *c);

/* Is the daemon still at the other end?  Cheap, asks nobody. */
bool conn_alive(struct conn *c);

/*
 * Look a domain up, after conn_ensure(c, CONN_WAIT_MS).  Free it with
 * virDomainFree(); hold it only for a few calls, for it belongs to the
 * connection of this moment.  ERR_NOT_FOUND when there is none.
 */
virDomainPtr conn_domain(struct conn *c, const char *uuid, struct err *e);

/*
 * An event wanted for as long as this lives, through reconnections.  Called
 * from the event loop's thread, which must not call libvirt or
 * conn_unlisten(), nor wait.
 */
struct conn_listener;

struct conn_listen {
	const char *uuid; /* of one domain, or NULL: of all */
	int event;        /* VIR_DOMAIN_EVENT_ID_... */
	virConnectDomainEventGenericCallback
		call; /* VIR_DOMAIN_EVENT_CALLBACK */
	void *opaque; /* call gets the listener; conn_listener_opaque() */
};

struct conn_listener *conn_listen(struct conn *c, const struct conn_listen *l,
				  struct err *e);

void *conn_listener_opaque(const struct conn_listener *l);

/* When this returns no call is running and none will come.  NULL is fine. */
void conn_unlisten(struct conn_listener *l);

/*
 * "message: what libvirt says".  The code follows from libvirt's: NO_DOMAIN
 * NOT_FOUND; DOM_EXIST EXISTS; OPERATION_TIMEOUT (another job holds the
 * domain), BLOCK_COPY_ACTIVE and RESOURCE_BUSY BUSY; what the driver cannot
 * do REFUSED; all others FAILED, with what to do next where access is denied.
 * To be called before any other libvirt function, for each of them forgets
 * the error of the one before (virDomainFree() too).  Returns -1.
 */
int virt_err(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
