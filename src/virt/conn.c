/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/conn.h"

#include <assert.h>
#include <libxml/parser.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "virt/conn_internal.h"
#include "virt/domxml.h"

/* Six unanswered pings 5 s apart: a daemon under a heavy load answers late,
 * and giving it up in the middle of a snapshot costs more than waiting. */
#define KEEPALIVE_INTERVAL 5
#define KEEPALIVE_COUNT    6

#define RETRY_MS 100

struct conn {
	/* One reconnects at a time; taken before `lock`. */
	pthread_mutex_t reconnect;

	/* Guards all below. */
	pthread_mutex_t lock;
	virConnectPtr now;
	virConnectPtr *gone; /* dead ones, borrowed out until conn_close() */
	size_t gone_count;
	uint64_t version;
	struct conn_listener *listeners;

	char *uri;
};

struct conn_listener {
	struct conn *conn;
	struct conn_listener *next;
	struct conn_listen want;
	char *uuid;
	int id; /* libvirt's, at conn->now; -1: not registered */

	/* How many registrations libvirt still holds. */
	pthread_mutex_t lock;
	pthread_cond_t freed;
	unsigned held;
};

/* -- libvirt as a whole, once ---------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started;

/* libvirt prints every error to stderr unless told otherwise. */
static void no_print(void *opaque, virErrorPtr error)
{
	(void)opaque;
	(void)error;
}

static void *event_loop(void *arg)
{
	for (;;) {
		if (virEventRunDefaultImpl() < 0)
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 },
				  NULL);
	}
	return arg;
}

static void start_once(void)
{
	sigset_t all;
	sigset_t before;
	pthread_t thread;

	xmlInitParser();
	virSetErrorFunc(NULL, no_print);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	started = pthread_create(&thread, NULL, event_loop, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (started)
		pthread_detach(thread);
}

static int start(struct err *e)
{
	pthread_once(&once, start_once);
	if (!started)
		return err_set(e, ERR_FAILED,
			       "cannot start libvirt's event loop");
	return 0;
}

/* -- errors ----------------------------------------------------------- */

static enum err_code code_of(int virt)
{
	switch (virt) {
	case VIR_ERR_NO_DOMAIN:
		return ERR_NOT_FOUND;
	case VIR_ERR_DOM_EXIST:
		return ERR_EXISTS;
	case VIR_ERR_OPERATION_TIMEOUT:
	case VIR_ERR_BLOCK_COPY_ACTIVE:
	case VIR_ERR_RESOURCE_BUSY:
		return ERR_BUSY;
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_CONFIG_UNSUPPORTED:
	case VIR_ERR_OPERATION_UNSUPPORTED:
	case VIR_ERR_ARGUMENT_UNSUPPORTED:
		return ERR_REFUSED;
	default:
		return ERR_FAILED;
	}
}

static bool is_denied(int virt)
{
	return virt == VIR_ERR_AUTH_FAILED || virt == VIR_ERR_AUTH_CANCELLED ||
	       virt == VIR_ERR_AUTH_UNAVAILABLE ||
	       virt == VIR_ERR_OPERATION_DENIED ||
	       virt == VIR_ERR_ACCESS_DENIED;
}

static const char *advice(int virt)
{
	if (is_denied(virt))
		return "; run as root or as a member of the group 'libvirt'";
	if (virt == VIR_ERR_OPERATION_TIMEOUT)
		return "; another job holds the domain, try again later";
	return "";
}

int virt_err(struct err *e, const char *fmt, ...)
{
	const virError *v = virGetLastError();
	int virt = v != NULL ? v->code : VIR_ERR_OK;
	va_list ap;

	va_start(ap, fmt);
	autofree char *what = mem_vfmt(fmt, ap);
	va_end(ap);
	return err_set(e, code_of(virt), "%s: %s%s", what,
		       v != NULL && v->message != NULL ? v->message
						       : "unknown error",
		       advice(virt));
}

static int open_err(const char *uri, struct err *e)
{
	const char *name = uri != NULL ? uri : "its default place";
	int virt = virGetLastErrorCode();

	if (is_denied(virt))
		return virt_err(e, "cannot connect to libvirt at '%s'", name);
	if (virt == VIR_ERR_NO_CONNECT || virt == VIR_ERR_INVALID_ARG) {
		virt_err(e, "cannot connect to libvirt at '%s'", name);
		e->code = ERR_USAGE;
		return -1;
	}
	return err_set(e, ERR_NOT_FOUND,
		       "no libvirt daemon answers at '%s': %s; start it "
		       "(systemctl start libvirtd) or name another with -c URI",
		       name, virGetLastErrorMessage());
}

/* -- events ----------------------------------------------------------- */

static void listener_released(void *opaque)
{
	struct conn_listener *l = opaque;

	pthread_mutex_lock(&l->lock);
	l->held--;
	pthread_cond_signal(&l->freed);
	pthread_mutex_unlock(&l->lock);
}

static void listener_held(struct conn_listener *l, int by)
{
	pthread_mutex_lock(&l->lock);
	l->held += (unsigned)by;
	pthread_mutex_unlock(&l->lock);
}

/* Register at a connection; -1 leaves the listener unregistered. */
static int listener_register(struct conn_listener *l, virConnectPtr at)
{
	autodomain virDomainPtr domain = NULL;

	if (l->uuid != NULL) {
		domain = virDomainLookupByUUIDString(at, l->uuid);
		if (domain == NULL)
			return -1;
	}
	listener_held(l, 1);
	int id = virConnectDomainEventRegisterAny(
		at, domain, l->want.event, l->want.call, l, listener_released);
	if (id < 0)
		listener_held(l, -1);
	l->id = id;
	return id < 0 ? -1 : 0;
}

static void listener_deregister(struct conn_listener *l, virConnectPtr at)
{
	if (l->id >= 0)
		virConnectDomainEventDeregisterAny(at, l->id);
	l->id = -1;
}

static struct conn_listener *listener_new(struct conn *c,
					  const struct conn_listen *want)
{
	struct conn_listener *l = mem_zalloc(1, sizeof(*l));

	l->conn = c;
	l->want = *want;
	l->uuid = want->uuid != NULL ? mem_strdup(want->uuid) : NULL;
	l->want.uuid = l->uuid;
	l->id = -1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->freed, NULL);
	return l;
}

static void listener_free(struct conn_listener *l)
{
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->freed);
	free(l->uuid);
	free(l);
}

struct conn_listener *conn_listen(struct conn *c, const struct conn_listen *l,
				  struct err *e)
{
	struct conn_listener *made = listener_new(c, l);
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = listener_register(made, c->now);
	if (rc < 0)
		virt_err(e, "cannot wait for libvirt's events");
	made->next = rc < 0 ? NULL : c->listeners;
	if (rc == 0)
		c->listeners = made;
	pthread_mutex_unlock(&c->lock);
	if (rc == 0)
		return made;
	listener_free(made);
	return NULL;
}

void *conn_listener_opaque(const struct conn_listener *l)
{
	return l->want.opaque;
}

void conn_unlisten(struct conn_listener *l)
{
	if (l == NULL)
		return;
	struct conn *c = l->conn;

	pthread_mutex_lock(&c->lock);
	struct conn_listener **at = &c->listeners;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	listener_deregister(l, c->now);
	pthread_mutex_unlock(&c->lock);

	/* libvirt frees a registration only when its call has returned. */
	pthread_mutex_lock(&l->lock);
	while (l->held > 0)
		pthread_cond_wait(&l->freed, &l->lock);
	pthread_mutex_unlock(&l->lock);
	listener_free(l);
}

/* -- the connection --------------------------------------------------- */

static virConnectPtr connect_to(const char *uri, struct err *e)
{
	virConnectPtr v = virConnectOpenAuth(uri, virConnectAuthPtrDefault, 0);

	if (v == NULL) {
		open_err(uri, e);
		return NULL;
	}
	/* Drivers inside our process have no keepalive and need none. */
	(void)virConnectSetKeepAlive(v, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT);
	return v;
}

static uint64_t version_of(virConnectPtr v)
{
	unsigned long version = 0;

	return virConnectGetLibVersion(v, &version) < 0 ? 0 : version;
}

struct conn *conn_open(const char *uri, struct err *e)
{
	if (start(e) < 0)
		return NULL;
	virConnectPtr v = connect_to(uri, e);
	if (v == NULL)
		return NULL;

	struct conn *c = mem_zalloc(1, sizeof(*c));
	char *name = virConnectGetURI(v);

	pthread_mutex_init(&c->reconnect, NULL);
	pthread_mutex_init(&c->lock, NULL);
	c->now = v;
	c->version = version_of(v);
	c->uri = mem_strdup(name != NULL ? name : "");
	free(name);
	return c;
}

void conn_close(struct conn *c)
{
	if (c == NULL)
		return;
	assert(c->listeners == NULL);
	virConnectClose(c->now);
	for (size_t i = 0; i < c->gone_count; i++)
		virConnectClose(c->gone[i]);
	pthread_mutex_destroy(&c->reconnect);
	pthread_mutex_destroy(&c->lock);
	free(c->gone);
	free(c->uri);
	free(c);
}

void conn_close_at(struct conn **c)
{
	conn_close(*c);
}

virConnectPtr conn_ptr(struct conn *c)
{
	pthread_mutex_lock(&c->lock);
	virConnectPtr v = c->now;
	pthread_mutex_unlock(&c->lock);
	return v;
}

/* The event loop marks a connection dead when its socket closes or pings are
 * not answered; this only reads the mark. */
bool conn_alive(struct conn *c)
{
	return virConnectIsAlive(conn_ptr(c)) == 1;
}

static void take_over(struct conn *c, virConnectPtr v)
{
	uint64_t version = version_of(v);

	pthread_mutex_lock(&c->lock);
	c->gone = mem_grow(c->gone, c->gone_count + 1, sizeof(*c->gone));
	c->gone[c->gone_count++] = c->now;
	for (struct conn_listener *l = c->listeners; l != NULL; l = l->next) {
		listener_deregister(l, c->now);
		(void)listener_register(l, v);
	}
	c->now = v;
	c->version = version;
	pthread_mutex_unlock(&c->lock);
}

static int reconnect(struct conn *c, unsigned wait_ms, struct err *e)
{
	int64_t until = clock_steady_ns() + (int64_t)wait_ms * 1000000;

	for (;;) {
		virConnectPtr v = connect_to(c->uri, e);

		if (v != NULL) {
			take_over(c, v);
			err_clear(e);
			return 0;
		}
		if (e->code != ERR_NOT_FOUND || clock_steady_ns() >= until)
			return -1;
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000 },
			  NULL);
	}
}

int conn_ensure(struct conn *c, unsigned wait_ms, struct err *e)
{
	int rc = 0;

	if (conn_alive(c))
		return 0;
	pthread_mutex_lock(&c->reconnect);
	if (!conn_alive(c))
		rc = reconnect(c, wait_ms, e);
	pthread_mutex_unlock(&c->reconnect);
	return rc;
}

virDomainPtr conn_domain(struct conn *c, const char *uuid, struct err *e)
{
	if (conn_ensure(c, CONN_WAIT_MS, e) < 0)
		return NULL;
	virDomainPtr d = virDomainLookupByUUIDString(conn_ptr(c), uuid);

	if (d == NULL)
		virt_err(e, "cannot find domain '%s'", uuid);
	return d;
}

uint64_t conn_libvirt_version(struct conn *c)
{
	pthread_mutex_lock(&c->lock);
	uint64_t version = c->version;
	pthread_mutex_unlock(&c->lock);
	return version;
}

uint64_t conn_qemu_version(struct conn *c)
{
	unsigned long v = 0;

	return virConnectGetVersion(conn_ptr(c), &v) == 0 ? v : 0;
}

const char *conn_uri(struct conn *c)
{
	return c->uri;
}

/* "qemu:///system" and "qemu+unix:///system"; no host, no other transport. */
bool conn_local(struct conn *c)
{
	const char *rest = strstr(c->uri, "://");
	const char *plus = strchr(c->uri, '+');

	if (rest == NULL || rest[3] != '/')
		return false;
	return plus == NULL || plus > rest || strncmp(plus, "+unix:", 6) == 0;
}

int conn_host_uuid(struct conn *c, char out[CONN_UUID_TEXT], struct err *e)
{
	if (conn_ensure(c, CONN_WAIT_MS, e) < 0)
		return -1;
	autofree char *xml = virConnectGetCapabilities(conn_ptr(c));

	if (xml == NULL)
		return virt_err(e, "cannot read the host's capabilities");
	autodoc xmlDocPtr doc = domxml_parse(xml, "capabilities", e);
	if (doc == NULL)
		return -1;
	autofree char *uuid = domxml_text(
		domxml_path(xmlDocGetRootElement(doc), "host/uuid"));
	if (uuid == NULL || strlen(uuid) != CONN_UUID_TEXT - 1)
		return err_set(e, ERR_NOT_FOUND,
			       "the daemon at '%s' tells no host UUID", c->uri);
	memcpy(out, uuid, CONN_UUID_TEXT);
	return 0;
}
