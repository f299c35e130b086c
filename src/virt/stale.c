/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/stale.h"

#include <stdlib.h>
#include <string.h>

#include "virt/conn_internal.h"
#include "virt/domxml.h"

static bool merged(const struct plan_disk *d, const char *path)
{
	if (strcmp(d->overlay, path) == 0)
		return true;
	for (size_t i = 0; i < d->between_count; i++) {
		if (strcmp(d->between[i].path, path) == 0)
			return true;
	}
	return false;
}

static bool is_merged(const struct plan *plan, const char *target,
		      const char *path)
{
	for (size_t i = 0; i < plan->disk_count; i++) {
		const struct plan_disk *d = &plan->disks[i];

		if (d->flat && d->step == STEP_GONE &&
		    strcmp(d->target, target) == 0)
			return merged(d, path);
	}
	return false;
}

/* 1: this disk's overlay is merged; 0: it is not; -1: no part of it. */
static int judge_disk(xmlNodePtr disk, const struct plan *plan)
{
	autofree char *target = domxml_attr(disk, "name");
	autofree char *kind = domxml_attr(disk, "snapshot");
	xmlNodePtr source = domxml_child(disk, "source");
	autofree char *file = domxml_attr(source, "file");
	autofree char *dev = domxml_attr(source, "dev");
	const char *path = file != NULL ? file : dev;

	if (kind != NULL &&
	    (strcmp(kind, "no") == 0 || strcmp(kind, "manual") == 0))
		return -1;
	if (kind == NULL || strcmp(kind, "external") != 0)
		return 0;
	return target != NULL && path != NULL && is_merged(plan, target, path);
}

int stale_judge(const char *xml, const struct plan *plan,
		struct stale_snapshot *s, struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domainsnapshot", e);
	unsigned gone = 0;
	unsigned left = 0;
	xmlNodePtr root;

	if (doc == NULL)
		return -1;
	root = xmlDocGetRootElement(doc);
	domxml_each(disk, domxml_child(root, "disks"), "disk")
	{
		int is = judge_disk(disk, plan);

		gone += is == 1;
		left += is == 0;
	}
	s->stale = gone == 0   ? STALE_NOT
		   : left == 0 ? STALE_WHOLE
			       : STALE_PARTLY;
	s->memory = domxml_attr(domxml_child(root, "memory"), "file");
	return 0;
}

struct saying {
	void (*say)(void *ctx, const char *text);
	void *ctx;
};

static void say_gone(const struct saying *to, const char *name,
		     const char *memory)
{
	autofree char *text = mem_fmt(
		"snapshot '%s' is forgotten: its overlays are "
		"merged%s%s%s",
		name, memory ? ", and its RAM in '" : "", memory ? memory : "",
		memory ? "' is of no use any more" : "");

	to->say(to->ctx, text);
}

static void say_partly(const struct saying *to, const char *domain,
		       const char *name)
{
	autofree char *text = mem_fmt(
		"snapshot '%s' names overlays that are merged and others that "
		"are not, kept: when it is not needed: virsh snapshot-delete "
		"'%s' '%s' --metadata",
		name, domain, name);

	to->say(to->ctx, text);
}

static int forget_one(virDomainSnapshotPtr snapshot, const struct plan *plan,
		      const struct saying *to, struct err *e)
{
	const char *name = virDomainSnapshotGetName(snapshot);
	autofree char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
	struct stale_snapshot s = { .stale = STALE_NOT };

	if (xml == NULL)
		return virt_err(e, "cannot read snapshot '%s'", name);
	if (stale_judge(xml, plan, &s, e) < 0)
		return -1;
	autofree char *memory = s.memory;

	if (s.stale == STALE_PARTLY)
		say_partly(to, plan->name ? plan->name : plan->uuid, name);
	if (s.stale != STALE_WHOLE)
		return 0;
	if (virDomainSnapshotDelete(
		    snapshot, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0)
		return virt_err(e, "cannot forget snapshot '%s'", name);
	say_gone(to, name, memory);
	return 0;
}

int stale_forget(struct conn *c, const struct plan *plan,
		 void (*say)(void *ctx, const char *text), void *ctx,
		 struct err *e)
{
	const struct saying to = { .say = say, .ctx = ctx };
	autodomain virDomainPtr d = conn_domain(c, plan->uuid, e);
	virDomainSnapshotPtr *all = NULL;
	int ret = 0;
	int n;

	if (d == NULL)
		return -1;
	n = virDomainListAllSnapshots(d, &all, 0);
	if (n < 0)
		return virt_err(e, "cannot list the snapshots");
	for (int i = 0; i < n; i++) {
		if (ret == 0)
			ret = forget_one(all[i], plan, &to, e);
		virDomainSnapshotFree(all[i]);
	}
	free(all);
	return ret;
}
