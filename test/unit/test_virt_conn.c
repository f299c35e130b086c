/* SPDX-License-Identifier: Apache-2.0 */

/* A connection, with libvirt's own mock driver: no daemon, nothing real. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "virt/conn_internal.h"
#include "virt/define.h"
#include "virt/domain.h"

#define MOCK       "test:///default"
#define MOCK_UUID  "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define OTHER_UUID "0c214241-042c-4c05-a24c-0d717cd825b9"

#define XML(name, uuid)                                                        \
	"<domain type='test'><name>" name "</name><uuid>" uuid                 \
	"</uuid><memory>8192</memory><os><type>hvm</type></os>"                \
	"<devices><interface type='network'><mac "                             \
	"address='52:54:00:11:22:33'/><source network='gone'/>"                \
	"</interface><interface type='network'><mac "                          \
	"address='52:54:00:11:22:34'/><source network='default'/>"             \
	"</interface></devices></domain>"

static struct err e;
static struct conn *c;

static void no_daemon(void **state)
{
	(void)state;
	assert_null(conn_open("qemu+unix:///system?socket=/nowhere/sock", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.msg, "-c URI"));
	assert_null(conn_open("nonsense", &e));
	assert_int_equal(e.code, ERR_USAGE);
}

static void what_it_is(void **state)
{
	(void)state;
	assert_string_equal(conn_uri(c), MOCK);
	assert_true(conn_libvirt_version(c) > 0);
	assert_true(conn_local(c));
	assert_true(conn_alive(c));
	assert_int_equal(conn_ensure(c, 0, &e), 0);
}

static void names(void **state)
{
	char **list;
	size_t n;

	(void)state;
	assert_int_equal(domain_names(c, &list, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0], "test");
	domain_names_free(list, n);
}

static void inspect(void **state)
{
	static const char *const both[] = { "test", MOCK_UUID };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct domain_info *d = domain_inspect(c, both[i], &e);

		if (d == NULL)
			fail_msg("%s", e.msg);
		assert_string_equal(d->name, "test");
		assert_int_equal(d->state, DOMAIN_RUNNING);
		assert_string_equal(domain_state_text(d->state), "running");
		assert_string_equal(domain_agent_text(d->agent), "none");
		assert_true(d->persistent);
		assert_true(d->memory > 0);
		assert_null(d->pause_reason);
		domain_info_free(d);
	}
}

static void not_there(void **state)
{
	(void)state;
	assert_null(domain_inspect(c, "tset", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.msg, "is it 'test'?"));
	assert_null(domain_inspect(c, "quite another", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(strstr(e.msg, "is it"));
	assert_null(domain_inspect(c, OTHER_UUID, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(conn_domain(c, OTHER_UUID, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void paused(void **state)
{
	autodomain virDomainPtr dom = conn_domain(c, MOCK_UUID, &e);

	(void)state;
	assert_non_null(dom);
	assert_int_equal(virDomainSuspend(dom), 0);
	struct domain_info *d = domain_inspect(c, "test", &e);

	assert_int_equal(d->state, DOMAIN_PAUSED);
	assert_string_equal(d->pause_reason, "user");
	domain_info_free(d);
	assert_int_equal(virDomainResume(dom), 0);
}

static void on_event(virConnectPtr v, virDomainPtr dom, int event, int detail,
		     void *opaque)
{
	struct conn_listener *l = opaque;
	atomic_int *seen = conn_listener_opaque(l);

	(void)v;
	(void)dom;
	(void)event;
	(void)detail;
	atomic_fetch_add(seen, 1);
}

static void events(void **state)
{
	atomic_int seen = 0;
	struct conn_listen want = {
		.uuid = MOCK_UUID,
		.event = VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		.call = VIR_DOMAIN_EVENT_CALLBACK(on_event),
		.opaque = &seen,
	};
	struct conn_listener *l = conn_listen(c, &want, &e);

	(void)state;
	assert_non_null(l);
	paused(state);
	for (int i = 0; i < 6000 && atomic_load(&seen) < 2; i++)
		usleep(10000);
	assert_int_equal(atomic_load(&seen), 2);
	conn_unlisten(l);
	paused(state);
	usleep(50000);
	assert_int_equal(atomic_load(&seen), 2);
	want.uuid = OTHER_UUID;
	assert_null(conn_listen(c, &want, &e));
}

static void taken(void **state)
{
	bool defined;
	bool active;

	(void)state;
	assert_int_equal(define_taken(c, "test", NULL, &defined, &active, &e),
			 0);
	assert_true(defined && active);
	assert_int_equal(
		define_taken(c, "test", MOCK_UUID, &defined, &active, &e), 0);
	assert_true(defined && active);
	assert_int_equal(define_taken(c, "x", MOCK_UUID, &defined, &active, &e),
			 -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(
		define_taken(c, "test", OTHER_UUID, &defined, &active, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(
		define_taken(c, "x", OTHER_UUID, &defined, &active, &e), 0);
	assert_false(defined || active);
}

static void define(void **state)
{
	(void)state;
	assert_int_equal(define_domain(c, XML("test", OTHER_UUID), &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(define_domain(c, XML("new", MOCK_UUID), &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_non_null(strstr(e.msg, "'test'"));
	assert_int_equal(define_domain(c, XML("test", MOCK_UUID), &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	for (int i = 0; i < 2; i++) {
		if (define_domain(c, XML("n'&quot;ü", OTHER_UUID), &e) < 0)
			fail_msg("%s", e.msg);
	}
	assert_int_equal(define_start(c, "gone", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	if (define_start(c, "n'\"ü", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(define_start(c, "n'\"ü", &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
}

static void networks(void **state)
{
	struct define_notes notes = { .items = NULL };
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(
		define_networks(c, XML("n", OTHER_UUID), &out, &notes, &e), 0);
	assert_int_equal(notes.count, 1);
	assert_non_null(strstr(notes.items[0], "network 'gone'"));
	assert_non_null(strstr(notes.items[0], "52:54:00:11:22:33"));
	assert_non_null(strstr((char *)out.p, "type=\"user\""));
	assert_non_null(strstr((char *)out.p, "state=\"down\""));
	assert_non_null(strstr((char *)out.p, "network=\"default\""));
	assert_null(strstr((char *)out.p, "gone"));
	define_notes_fini(&notes);
	buf_fini(&out);
}

static int setup(void **state)
{
	(void)state;
	c = conn_open(MOCK, &e);
	if (c == NULL)
		print_error("%s\n", e.msg);
	return c != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	conn_close(c);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_daemon), cmocka_unit_test(what_it_is),
		cmocka_unit_test(names),     cmocka_unit_test(inspect),
		cmocka_unit_test(not_there), cmocka_unit_test(paused),
		cmocka_unit_test(events),    cmocka_unit_test(taken),
		cmocka_unit_test(define),    cmocka_unit_test(networks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
