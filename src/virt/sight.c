/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/sight.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "virt/conn_internal.h"
#include "virt/domxml.h"
#include "virt/guest.h"
#include "virt/stray.h"

static bool same_inode(const char *path, uint64_t dev, uint64_t ino)
{
	struct stat st;

	return ino && stat(path, &st) == 0 && st.st_dev == dev &&
	       st.st_ino == ino;
}

static bool same_file(const char *a, const char *b)
{
	struct stat st;

	if (strcmp(a, b) == 0)
		return true;
	return stat(b, &st) == 0 && same_inode(a, st.st_dev, st.st_ino);
}

static char *source_path(xmlNodePtr holder)
{
	xmlNodePtr source = domxml_child(holder, "source");
	char *path = domxml_attr(source, "file");

	return path ? path : domxml_attr(source, "dev");
}

static xmlNodePtr disk_of(xmlDocPtr doc, const char *target)
{
	xmlNodePtr devices = domxml_child(xmlDocGetRootElement(doc), "devices");

	domxml_each(disk, devices, "disk")
	{
		if (domxml_attr_is(domxml_child(disk, "target"), "dev", target))
			return disk;
	}
	return NULL;
}

/* Is the overlay further down in the chain? */
static bool below(xmlNodePtr disk, const char *overlay)
{
	xmlNodePtr n = domxml_child(disk, "backingStore");

	for (; n; n = domxml_child(n, "backingStore")) {
		autofree char *path = source_path(n);

		if (path && same_file(path, overlay))
			return true;
	}
	return false;
}

int sight_top(const char *xml, const struct plan_disk *disk, enum plan_top *top,
	      struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);
	autofree char *path = NULL;
	xmlNodePtr n;

	if (!doc)
		return -1;
	n = disk_of(doc, disk->target);
	path = n ? source_path(n) : NULL;
	if (!path)
		*top = n ? TOP_OTHER : TOP_NONE;
	else if (same_file(path, disk->overlay))
		*top = TOP_OVERLAY;
	else if (strcmp(path, disk->base) == 0 ||
		 same_inode(path, disk->dev, disk->ino))
		*top = TOP_BASE;
	else
		*top = below(n, disk->overlay) ? TOP_ABOVE : TOP_OTHER;
	return 0;
}

int sight_mirror(const char *xml, const char *target, enum sight_mirror *m,
		 struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);
	xmlNodePtr n;

	if (!doc)
		return -1;
	n = domxml_child(disk_of(doc, target), "mirror");
	if (!n)
		*m = MIRROR_NONE;
	else if (!domxml_attr_is(n, "job", "active-commit"))
		*m = MIRROR_OTHER;
	else if (domxml_attr_is(n, "ready", "pivot"))
		*m = MIRROR_PIVOT;
	else
		*m = domxml_attr_is(n, "ready", "yes") ? MIRROR_READY
						       : MIRROR_BUSY;
	return 0;
}

bool sight_map_empty(const char *json)
{
	return strchr(json, '[') != NULL &&
	       strstr(json, "\"depth\": 0, \"present\": true") == NULL;
}

/* In doubt: not empty. */
static bool overlay_empty(const char *overlay)
{
	const char *argv[] = { "qemu-img", "map",   "--output=json", "-U",
			       "-f",       "qcow2", overlay,         NULL };
	struct proc_run run = { .argv = argv, .deadline_ms = 60000 };
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	if (proc_run(&run, &out, &e) < 0)
		return false;
	wr_u8(&out, 0);
	return sight_map_empty((const char *)out.p);
}

/* Mirroring and flushing reach the base a little later. */
#define NEWER_S 5

static bool base_newer(const struct plan_disk *disk)
{
	struct stat base;
	struct stat overlay;

	return stat(disk->base, &base) == 0 &&
	       stat(disk->overlay, &overlay) == 0 && S_ISREG(base.st_mode) &&
	       base.st_mtime > overlay.st_mtime + NEWER_S;
}

static uint64_t written_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000u +
	       (uint64_t)st->st_mtim.tv_nsec;
}

uint64_t sight_stamp(const char *path)
{
	struct stat st;

	/* writing to a device leaves no trace on its node */
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? written_ns(&st)
							   : 0;
}

bool sight_written(const struct plan_disk *disk)
{
	return disk->stamp != 0 && sight_stamp(disk->overlay) != disk->stamp;
}

static bool touched(const struct plan_disk *disk)
{
	return disk->stamp == 0 ? disk->flat : sight_written(disk);
}

/* In doubt: not equal. */
static bool equal(const struct plan_disk *disk)
{
	const char *argv[] = { "qemu-img",   "compare",     "-q",
			       "-f",         "qcow2",       "-F",
			       disk->format, disk->overlay, disk->base,
			       NULL };
	struct proc_run run = { .argv = argv };
	struct err ignored = ERR_INIT;

	return proc_run(&run, NULL, &ignored) == 0;
}

char *sight_xml(struct conn *c, const char *uuid, unsigned flags, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);
	char *xml;

	if (!d)
		return NULL;
	xml = virDomainGetXMLDesc(d, flags);
	if (!xml)
		virt_err(e, "cannot read the domain's definition");
	return xml;
}

static int top_in(struct conn *c, const struct plan *plan,
		  const struct plan_disk *disk, unsigned flags,
		  enum plan_top *top, struct err *e)
{
	autofree char *xml = sight_xml(c, plan->uuid, flags, e);

	return xml ? sight_top(xml, disk, top, e) : -1;
}

/* Definition and instance.  1 when there is no such domain. */
static int sight_domain(struct conn *c, const struct plan *plan,
			struct plan_sight *s, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, plan->uuid, e);
	struct guest_state now;

	if (!d && e->code == ERR_NOT_FOUND) {
		err_clear(e);
		return 1;
	}
	if (!d || guest_state(c, plan->uuid, &now, e) < 0)
		return -1;
	s->exists = true;
	s->active = guest_active(&now);
	s->same_instance = s->active && plan->domain_id >= 0 &&
			   virDomainGetID(d) == (unsigned)plan->domain_id;
	if (!s->active && now.reason == VIR_DOMAIN_SHUTOFF_MIGRATED)
		s->migrated = true;
	return 0;
}

static int sight_tops(struct conn *c, const struct plan *plan,
		      const struct plan_disk *disk, struct plan_sight *s,
		      struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, plan->uuid, e);

	if (!d)
		return -1;
	if (s->active && top_in(c, plan, disk, 0, &s->live, e) < 0)
		return -1;
	if (virDomainIsPersistent(d) != 1)
		return 0;
	return top_in(c, plan, disk, VIR_DOMAIN_XML_INACTIVE, &s->kept, e);
}

/*
 * libvirt 9.0, killed in a pivot, may keep a mirror with ready='pivot' for
 * which there is no job any more, and name the overlay as the live image until
 * the domain's next start.  QEMU, which locks what it writes to, tells where
 * the guest really is.
 */
static bool has_pivoted(struct conn *c, const struct plan *plan,
			const struct plan_disk *disk)
{
	struct err ignored = ERR_INIT;
	autofree char *xml = sight_xml(c, plan->uuid, 0, &ignored);
	enum sight_mirror m = MIRROR_NONE;
	virDomainBlockJobInfo info;

	if (!xml || sight_mirror(xml, disk->target, &m, &ignored) < 0 ||
	    m != MIRROR_PIVOT || stray_locked(disk->overlay))
		return false;
	autodomain virDomainPtr d = conn_domain(c, plan->uuid, &ignored);

	return d && virDomainGetBlockJobInfo(d, disk->target, &info, 0) == 0;
}

int sight_disk(struct conn *c, const struct plan *plan,
	       const struct plan_disk *disk, struct plan_sight *sight,
	       struct err *e)
{
	struct plan_sight s = { .migrated = plan->migrated };
	int gone = sight_domain(c, plan, &s, e);

	if (gone < 0)
		return -1;
	if (!gone && sight_tops(c, plan, disk, &s, e) < 0)
		return -1;
	s.overlay_there = file_exists(disk->overlay);
	s.base_newer = base_newer(disk);
	if (s.active && s.overlay_there && s.live == TOP_OVERLAY)
		s.pivoted = has_pivoted(c, plan, disk);
	if (s.overlay_there && s.live != TOP_OVERLAY && s.live != TOP_ABOVE) {
		s.overlay_locked = stray_locked(disk->overlay);
		s.overlay_empty = !disk->flat && s.kept != TOP_OVERLAY &&
				  overlay_empty(disk->overlay);
	}
	s.touched = s.overlay_there && disk->step == STEP_COMMITTED &&
		    touched(disk);
	s.equal = disk->flat && disk->step == STEP_PIVOT && s.exists &&
		  !s.active && s.kept == TOP_OVERLAY && s.base_newer &&
		  equal(disk);
	*sight = s;
	return 0;
}
