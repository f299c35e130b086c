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

static int flush(const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, "cannot flush '%s'", path);
	return 0;
}

static int commit(struct merge *m, const struct plan_disk *disk, struct err *e)
{
	const char *argv[] = { "qemu-img", "commit", "-q",          "-d",
			       "-f",       "qcow2",  disk->overlay, NULL };
	struct proc_run run = { .argv = argv };

	if (JOT(m->journal, JOT_OFFLINE, e, { "target", disk->target }) < 0)
		return -1;
	if (proc_run(&run, NULL, e) < 0)
		return err_ctx(e, "cannot commit '%s'", disk->overlay);
	if (flush(disk->base, e) < 0)
		return -1;
	return JOT(m->journal, JOT_COMMITTED, e, { "target", disk->target });
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

int merge_off(struct merge *m, const struct plan_disk *disk, struct err *e)
{
	return commit(m, disk, e) < 0 ? -1 : merge_redefine(m, disk, e);
}
