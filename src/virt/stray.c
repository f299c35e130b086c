/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/stray.h"

#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/proc.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"

#define POLL_MS 100
#define WAIT_MS 600000
/* "vmkeep-xxxxxxxx.qcow2", with the random part. */
#define MARK_LEN 21

bool stray_locked(const char *overlay)
{
	const char *argv[] = {
		"qemu-img", "info", "-f", "qcow2", overlay, NULL
	};
	struct proc_run run = { .argv = argv, .deadline_ms = 60000 };
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	return proc_run(&run, &out, &e) < 0 &&
	       (strstr(e.msg, "lock") || strstr(e.msg, "another process"));
}

/* ---- answers ---- */

/* The end of the object that begins at p: after its closing brace. */
static const char *object_end(const char *p)
{
	int depth = 0;
	bool text = false;

	for (; *p; p++) {
		if (text && *p == '\\' && p[1])
			p++;
		else if (*p == '"')
			text = !text;
		else if (!text && *p == '{')
			depth++;
		else if (!text && *p == '}' && --depth == 0)
			return p + 1;
	}
	return p;
}

static char *text_value(const char *object, const char *key)
{
	autofree char *lead = mem_fmt("\"%s\":\"", key);
	const char *at = strstr(object, lead);
	const char *end = at ? strchr(at + strlen(lead), '"') : NULL;
	char *value;

	if (!end)
		return NULL;
	at += strlen(lead);
	value = mem_zalloc((size_t)(end - at) + 1, 1);
	memcpy(value, at, (size_t)(end - at));
	return value;
}

/* The first object of an array that holds both texts. */
static char *object_with(const char *json, const char *a, const char *b)
{
	const char *p = strchr(json, '[');

	while (p && (p = strchr(p, '{')) != NULL) {
		const char *end = object_end(p);
		size_t len = (size_t)(end - p);
		char *object = mem_zalloc(len + 1, 1);

		memcpy(object, p, len);
		if (strstr(object, a) && strstr(object, b))
			return object;
		free(object);
		p = end;
	}
	return NULL;
}

char *stray_node(const char *json, const char *driver, const char *mark)
{
	autofree char *drv = mem_fmt("\"drv\":\"%s\"", driver);
	autofree char *object = object_with(json, drv, mark);

	return object ? text_value(object, "node-name") : NULL;
}

/* ---- the monitor ---- */

static char *ask(struct conn *c, const char *uuid, const char *command,
		 struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);
	char *answer = NULL;

	if (!d)
		return NULL;
	if (virDomainQemuMonitorCommand(d, command, &answer, 0) < 0) {
		virt_err(e, "cannot ask QEMU");
		return NULL;
	}
	if (strstr(answer, "\"error\":")) {
		err_set(e, ERR_FAILED, "QEMU says %.300s", answer);
		free(answer);
		return NULL;
	}
	return answer;
}

static int tell(struct conn *c, const char *uuid, const char *command,
		struct err *e)
{
	autofree char *answer = ask(c, uuid, command, e);

	return answer ? 0 : -1;
}

/* Wait until the job is ready (1) or there is none (0). */
static int wait_job(struct conn *c, const char *uuid, const char *job,
		    bool ready, struct err *e)
{
	autofree char *mark = mem_fmt("\"device\":\"%s\"", job);

	for (int ms = 0; ms < WAIT_MS; ms += POLL_MS) {
		autofree char *all =
			ask(c, uuid, "{\"execute\":\"query-block-jobs\"}", e);
		autofree char *mine = all ? object_with(all, mark, mark) : NULL;

		if (!all)
			return -1;
		if (!mine)
			return 0;
		if (ready && strstr(mine, "\"ready\":true"))
			return 1;
		nap_ms(POLL_MS);
	}
	return err_set(e, ERR_BUSY, "QEMU's job '%s' does not end", job);
}

static int commit(struct conn *c, const char *uuid, const char *node,
		  const char *job, struct err *e)
{
	autofree char *start = mem_fmt(
		"{\"execute\":\"block-commit\",\"arguments\":{\"job-id\":"
		"\"%s\",\"device\":\"%s\"}}",
		job, node);
	autofree char *end = mem_fmt("{\"execute\":\"block-job-complete\","
				     "\"arguments\":{\"device\":\"%s\"}}",
				     job);
	int there = wait_job(c, uuid, job, true, e);

	if (there < 0 || (there == 0 && tell(c, uuid, start, e) < 0))
		return -1;
	if (wait_job(c, uuid, job, true, e) != 1)
		return err_set(e, ERR_FAILED, "QEMU's commit has failed");
	if (tell(c, uuid, end, e) < 0)
		return -1;
	return wait_job(c, uuid, job, false, e) < 0 ? -1 : 0;
}

/* libvirt will give the node's name out again: it does not know of it. */
static void forget(struct conn *c, const char *uuid, const char *node)
{
	autofree char *command = mem_fmt(
		"{\"execute\":\"blockdev-del\",\"arguments\":{\"node-name\":"
		"\"%s\"}}",
		node);
	struct err e = ERR_INIT;

	(void)!tell(c, uuid, command, &e);
}

/* What QEMU has of an overlay. */
struct stray {
	char *top;     /* node of its format; NULL: none */
	char *file;    /* ... of its file */
	bool attached; /* the guest writes to it */
};

static void stray_fini(struct stray *s)
{
	free(s->top);
	free(s->file);
}

static int look(struct conn *c, const char *uuid, const char *mark,
		struct stray *s, struct err *e)
{
	autofree char *nodes =
		ask(c, uuid,
		    "{\"execute\":\"query-named-block-nodes\",\"arguments\":"
		    "{\"flat\":true}}",
		    e);
	autofree char *drives =
		nodes ? ask(c, uuid, "{\"execute\":\"query-block\"}", e) : NULL;

	if (!drives)
		return -1;
	s->top = stray_node(nodes, "qcow2", mark);
	s->file = stray_node(nodes, "file", mark);
	s->attached = strstr(drives, mark) != NULL;
	return 0;
}

/*
 * Killed before the switch, the daemon has left the overlay open in QEMU but
 * not in use; killed after it, the guest writes to it.
 */
int stray_merge(struct conn *c, const char *uuid, const struct plan_disk *disk,
		struct err *e)
{
	size_t len = strlen(disk->overlay);
	const char *mark =
		disk->overlay + (len > MARK_LEN ? len - MARK_LEN : 0);
	autofree char *job = mem_fmt("vmkeep-%s", disk->target);
	AUTO(stray_fini) struct stray s = { .top = NULL };

	if (look(c, uuid, mark, &s, e) < 0)
		return -1;
	if (!s.top && !s.file)
		return err_set(e, ERR_FAILED,
			       "some program has '%s' open that is not the "
			       "domain's QEMU: end it, then run vmkeep recover",
			       disk->overlay);
	if (s.attached && !s.top)
		return err_set(e, ERR_FAILED, "QEMU has no node for '%s'",
			       disk->overlay);
	if (s.attached && commit(c, uuid, s.top, job, e) < 0)
		return -1;
	if (s.top)
		forget(c, uuid, s.top);
	if (s.file)
		forget(c, uuid, s.file);
	return 0;
}
