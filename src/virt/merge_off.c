/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An overlay of a domain that has been shut off.  libvirt's advice is to start
 * it paused and to commit live; but that runs QEMU on a machine that its
 * owner has turned off, needs all its devices and memory, and has to be undone
 * when we die in it.  So qemu-img commits, under QEMU's own image lock (a
 * start in between fails with a message and can be repeated), and only then
 * the definition is turned back.  The overlay is not emptied (-d): committing
 * it again after a crash does no harm as long as no definition but ours named
 * the base, and until the definition is verified it stays the better copy.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "virt/conn_internal.h"
#include "virt/domxml.h"
#include "virt/jot.h"
#include "virt/merge.h"
#include "virt/sight.h"

#define POLL_MS 200

DEFINE_AUTO(proc_free, struct proc *);

static int flush(const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, "cannot flush '%s'", path);
	return 0;
}

static int run_short(const struct plan_disk *disk, struct err *e)
{
	const char *argv[] = { "qemu-img", "commit", "-q",          "-d",
			       "-f",       "qcow2",  disk->overlay, NULL };
	struct proc_run run = { .argv = argv };

	return proc_run(&run, NULL, e);
}

/* "(12.34/100%)", the last of them. */
uint64_t merge_percent(const char *text)
{
	const char *at = strrchr(text, '(');
	double percent = at ? strtod(at + 1, NULL) : 0;

	return percent > 0 && percent <= 100 ? (uint64_t)(percent * 100) : 0;
}

static void show(struct merge *m, const struct plan_disk *disk, int fd)
{
	autofree char *what = NULL;
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	uint64_t now;

	if (n <= 0)
		return;
	text[n] = '\0';
	now = merge_percent(text);
	what = mem_fmt("%s: %s: merging", m->plan->name, disk->target);
	if (now > 0)
		talk_progress(m->talk, what, disk->size / 10000 * now,
			      disk->size);
}

/* All that is above the base; as long as nobody wants an end.  Unlike the
 * short one it dies with us: the overlay is as it was. */
static int run_long(struct merge *m, const struct plan_disk *disk,
		    struct err *e)
{
	const char *argv[] = { "qemu-img", "commit",      "-p", "-d",
			       "-f",       "qcow2",       "-b", disk->base,
			       "--",       disk->overlay, NULL };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "no pipe");
	autofd int in = ends[0];
	autofd int out = ends[1];
	const struct proc_start start = { .argv = argv, .in = -1, .out = out };
	AUTO(proc_free_at) struct proc *p = NULL;

	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "no pipe");
	if (merge_may_go_on(m, disk, e) < 0)
		return -1;
	p = proc_start(&start, e);
	if (!p)
		return -1;
	for (;;) {
		struct err ended = ERR_INIT;

		if (proc_wait(p, POLL_MS, &ended) == 0)
			return 0;
		if (ended.code != ERR_BUSY) {
			*e = ended;
			return -1;
		}
		show(m, disk, in);
		if (merge_may_go_on(m, disk, e) < 0)
			return -1;
	}
}

int merge_off(struct merge *m, struct plan_disk *disk, struct err *e)
{
	if (merge_may_go_on(m, disk, e) < 0 ||
	    JOT(m->journal, JOT_OFFLINE, e, { "target", disk->target }) < 0)
		return -1;
	if ((disk->flat ? run_long(m, disk, e) : run_short(disk, e)) < 0)
		return err_ctx(e, "cannot commit '%s'", disk->overlay);
	/* its lock is gone, so a guest may start any moment; flushing takes
	 * longer */
	disk->stamp = sight_stamp(disk->overlay);
	return flush(disk->base, e);
}

static void point_to(xmlNodePtr disk, const struct plan_disk *to, bool block)
{
	xmlNodePtr source = domxml_make(disk, "source");

	domxml_set_attr(disk, "type", block ? "block" : "file");
	domxml_set_attr(source, "file", block ? NULL : to->base);
	domxml_set_attr(source, "dev", block ? to->base : NULL);
	domxml_set_attr(source, "index", NULL);
	domxml_set_attr(domxml_make(disk, "driver"), "type", to->format);
	domxml_remove_all(disk, "backingStore");
}

int merge_rewrite(const char *xml, const struct plan_disk *disk, bool block,
		  struct buf *out, struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);
	xmlNodePtr devices;

	if (!doc)
		return -1;
	devices = domxml_child(xmlDocGetRootElement(doc), "devices");
	domxml_each(n, devices, "disk")
	{
		if (!domxml_attr_is(domxml_child(n, "target"), "dev",
				    disk->target))
			continue;
		point_to(n, disk, block);
		return domxml_print(doc, out, e);
	}
	return err_set(e, ERR_NOT_FOUND, "the definition has no disk '%s'",
		       disk->target);
}

int merge_redefine(struct merge *m, const struct plan_disk *disk, struct err *e)
{
	autofree char *xml =
		sight_xml(m->conn, m->plan->uuid,
			  VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, e);
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct stat st;
	virDomainPtr d;

	if (!xml)
		return -1;
	if (stat(disk->base, &st) < 0)
		return err_sys(e, "cannot look at '%s'", disk->base);
	if (merge_rewrite(xml, disk, S_ISBLK(st.st_mode), &out, e) < 0)
		return -1;
	d = virDomainDefineXML(conn_ptr(m->conn), (const char *)out.p);
	if (!d)
		return virt_err(e, "cannot bring the definition back to '%s'",
				disk->base);
	virDomainFree(d);
	return 0;
}
