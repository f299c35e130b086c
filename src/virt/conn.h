/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_CONN_H
#define VMKEEP_VIRT_CONN_H

/*
 * A connection to a libvirt daemon, with an event loop thread, keepalive, and
 * reconnecting: a daemon that was restarted is found again, and every call
 * that needs a domain looks it up by UUID.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct conn;

#define CONN_UUID_TEXT 37

/* uri: as virsh has it; NULL: libvirt's default.  ERR_NOT_FOUND when no
 * daemon answers; the message says how to start it or to use -c. */
struct conn *conn_open(const char *uri, struct err *e);
void conn_close(struct conn *c);
void conn_close_at(struct conn **c);

/* Is the daemon still there?  Reconnects when it is not, waiting for it at
 * most wait_ms.  Event registrations are made anew. */
int conn_ensure(struct conn *c, unsigned wait_ms, struct err *e);

/* What the server is: 9000000 is 9.0.0. */
uint64_t conn_libvirt_version(struct conn *c);

/* What runs the guests: 7002000 is QEMU 7.2.0; 0 when it is not told. */
uint64_t conn_qemu_version(struct conn *c);

/* The host's UUID as the daemon has it. */
int conn_host_uuid(struct conn *c, char out[CONN_UUID_TEXT], struct err *e);

const char *conn_uri(struct conn *c);

/* Is the daemon on this host, as the URI has it?  Only then are the paths in
 * its definitions ours. */
bool conn_local(struct conn *c);

#endif
