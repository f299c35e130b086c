/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The watchdog's own process.  It knows nothing but its last orders and what
 * libvirt says: no journal, no files.  What it leaves (overlays) is no danger
 * to the guest and is recovery's.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/recover.h"

#define TICK_MS      100
#define ABORT_MS     600000
#define THAW_TRIES   20
#define RESUME_TRIES 20

struct dog {
	struct conn *conn;
	const char *uuid;
	int64_t frozen_until; /* steady ns; 0: not frozen by us */
	int64_t paused_until; /* steady ns; 0: not suspended by us */
	bool taking;          /* a RAM snapshot of a running guest */
	int64_t taking_ns;    /* how long it may stand still for it */
	int64_t standing_since;
	char line[64];
	size_t len;
};

static int64_t in_ms(unsigned ms)
{
	return clock_steady_ns() + (int64_t)ms * 1000000;
}

static void obey(struct dog *g, const char *word, unsigned ms)
{
	if (strcmp(word, "freeze") == 0) {
		g->frozen_until = in_ms(ms);
	} else if (strcmp(word, "thawed") == 0) {
		g->frozen_until = 0;
	} else if (strcmp(word, "pause") == 0) {
		g->paused_until = in_ms(ms);
	} else if (strcmp(word, "resumed") == 0) {
		g->paused_until = 0;
	} else if (strcmp(word, "taking") == 0) {
		g->taking = true;
		g->taking_ns = (int64_t)ms * 1000000;
		g->standing_since = 0;
	} else if (strcmp(word, "taken") == 0) {
		g->taking = false;
	}
}

static void obey_line(struct dog *g)
{
	char word[16];
	unsigned ms;

	if (sscanf(g->line, "%15s %u", word, &ms) == 2)
		obey(g, word, ms);
}

static void take_letters(struct dog *g, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n') {
			g->line[g->len] = '\0';
			obey_line(g);
			g->len = 0;
		} else if (g->len < sizeof(g->line) - 1) {
			g->line[g->len++] = p[i];
		}
	}
}

/* Orders for a tick.  False when our parent is gone. */
static bool listen(struct dog *g)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char buf[256];
	ssize_t n;

	if (poll(&p, 1, TICK_MS) <= 0)
		return true;
	n = read(STDIN_FILENO, buf, sizeof(buf));
	if (n > 0)
		take_letters(g, buf, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void say(const char *word)
{
	(void)!write(STDOUT_FILENO, word, strlen(word));
}

static void thaw(struct dog *g)
{
	struct err e = ERR_INIT;

	g->frozen_until = 0;
	(void)!guest_thaw(g->conn, g->uuid, THAW_TRIES, &e);
}

static void resume(struct dog *g)
{
	struct err e = ERR_INIT;

	g->paused_until = 0;
	for (int i = 0; i < RESUME_TRIES; i++) {
		err_clear(&e);
		if (guest_resume(g->conn, g->uuid, &e) == 0 ||
		    e.code == ERR_NOT_FOUND)
			return;
		poll(NULL, 0, 500);
	}
}

/* Stopped by libvirt for the snapshot, not by its user? */
static bool stands(struct dog *g)
{
	struct guest_state s;
	struct err e = ERR_INIT;

	if (guest_state(g->conn, g->uuid, &s, &e) < 0)
		return false;
	return guest_held(&s);
}

/* Let go of a snapshot call, however far it is. */
static void untake(struct dog *g)
{
	struct err e = ERR_INIT;

	(void)!guest_abort_job(g->conn, g->uuid, ABORT_MS, &e);
	if (stands(g))
		resume(g);
}

/* The guest stands still for the last round of RAM: too long? */
static void mind_taking(struct dog *g)
{
	int64_t now = clock_steady_ns();

	if (!stands(g)) {
		g->standing_since = 0;
		return;
	}
	if (!g->standing_since)
		g->standing_since = now;
	if (now - g->standing_since < g->taking_ns)
		return;
	say("fired\n");
	untake(g);
	g->taking = false;
}

static void mind_clock(struct dog *g)
{
	int64_t now = clock_steady_ns();

	bool frozen_late = g->frozen_until && now >= g->frozen_until;
	bool paused_late = g->paused_until && now >= g->paused_until;

	if (frozen_late || paused_late)
		say("fired\n");
	/* an agent answers only in a guest that runs */
	if (paused_late || (frozen_late && g->paused_until))
		resume(g);
	if (frozen_late)
		thaw(g);
	if (g->taking)
		mind_taking(g);
}

static void undo_all(struct dog *g)
{
	if (g->taking)
		untake(g);
	if (g->paused_until)
		resume(g);
	if (g->frozen_until)
		thaw(g);
}

/* The daemon may just be being restarted. */
static struct conn *connect(const char *uri, struct err *e)
{
	struct conn *c = conn_open(uri, e);

	for (int ms = 0; !c && ms < CONN_WAIT_MS; ms += 500) {
		nap_ms(500);
		err_clear(e);
		c = conn_open(uri, e);
	}
	return c;
}

int watchdog_main(int argc, char **argv)
{
	AUTO(conn_close_at) struct conn *c = NULL;
	struct err e = ERR_INIT;
	struct dog g = { .len = 0 };

	if (argc != 3) {
		fprintf(stderr, "the watchdog is not for people\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	c = connect(argv[1], &e);
	if (!c) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	g.conn = c;
	g.uuid = argv[2];
	say("ready\n");
	while (listen(&g))
		mind_clock(&g);
	undo_all(&g);
	return 0;
}
