/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/checkup.h"

#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "virt/chain.h"
#include "virt/claim.h"
#include "virt/conn_internal.h"
#include "virt/domxml.h"

/* A guest that is busy answers late. */
#define PING_S 5

#define SECTOR 512u

/* -- how the disks are connected -------------------------------------- */

static struct checkup_disk *disk_of(struct checkup *k, const char *target)
{
	for (size_t i = 0; i < k->info->disk_count; i++)
		if (strcmp(k->info->disks[i].target, target) == 0)
			return &k->disks[i];
	return NULL;
}

static void read_disk(struct checkup *k, xmlNodePtr n)
{
	autofree char *target = domxml_attr(domxml_child(n, "target"), "dev");
	autofree char *physical =
		domxml_attr(domxml_child(n, "blockio"), "physical_block_size");
	struct checkup_disk *d = target != NULL ? disk_of(k, target) : NULL;
	xmlNodePtr driver = domxml_child(n, "driver");

	if (d == NULL || d->cache != NULL)
		return;
	d->cache = domxml_attr(driver, "cache");
	d->discard = domxml_attr(driver, "discard");
	d->detect_zeroes = domxml_attr(driver, "detect_zeroes");
	if (physical != NULL)
		(void)num_parse(physical, &d->physical);
}

int checkup_read(struct checkup *k, const char *xml, struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);

	if (doc == NULL)
		return -1;
	k->disks = mem_zalloc(k->info->disk_count, sizeof(*k->disks));
	for (size_t i = 0; i < k->info->disk_count; i++)
		k->disks[i].images = mem_zalloc(k->info->disks[i].chain_len,
						sizeof(struct checkup_image));
	domxml_each(n, domxml_child(xmlDocGetRootElement(doc), "devices"),
		    "disk")
	{
		read_disk(k, n);
	}
	return 0;
}

/* -- files ------------------------------------------------------------ */

static void look_inside(const char *path, struct checkup_image *to)
{
	struct chain_header h = { .size = 0 };

	if (chain_load(path, &h) < 0)
		return;
	to->qcow2 = true;
	to->version = h.version;
	to->cluster = h.cluster;
	to->snapshots = h.snapshots;
	to->dirty = h.dirty;
	to->corrupt = h.corrupt;
	to->relative = h.backing != NULL && h.backing[0] != '/' &&
		       h.backing[strcspn(h.backing, ":/")] != ':';
	to->guessed = h.backing != NULL && h.backing_format == NULL;
	chain_header_fini(&h);
}

static void look_at_file(const struct domain_image *image,
			 struct checkup_image *to)
{
	struct stat st;

	to->local = image->path != NULL && image->path[0] == '/' &&
		    (strcmp(image->type, "file") == 0 ||
		     strcmp(image->type, "block") == 0);
	if (!to->local || stat(image->path, &st) < 0)
		return;
	to->exists = true;
	to->readable = access(image->path, R_OK) == 0;
	if (S_ISREG(st.st_mode)) {
		to->size = (uint64_t)st.st_size;
		to->allocated = (uint64_t)st.st_blocks * SECTOR;
	}
	if (strcmp(image->format, "qcow2") == 0)
		look_inside(image->path, to);
}

void checkup_files(struct checkup *k)
{
	for (size_t i = 0; i < k->info->disk_count; i++)
		for (size_t n = 0; n < k->info->disks[i].chain_len; n++)
			look_at_file(&k->info->disks[i].chain[n],
				     &k->disks[i].images[n]);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x;
	struct stat y;

	if (a == NULL || b == NULL || strcmp(a, b) == 0)
		return a == b || (a != NULL && b != NULL);
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* -- live and kept ---------------------------------------------------- */

static const struct domain_disk *kept_disk(const struct domain_info *kept,
					   const char *target)
{
	for (size_t i = 0; i < kept->disk_count; i++)
		if (strcmp(kept->disks[i].target, target) == 0)
			return &kept->disks[i];
	return NULL;
}

static void compare_disk(const struct domain_disk *live,
			 const struct domain_disk *kept,
			 struct checkup_disk *to)
{
	const char *path = kept->chain_len > 0 ? kept->chain[0].path : NULL;

	if (path == NULL || live->chain_len == 0 ||
	    same_file(live->chain[0].path, path))
		return;
	to->kept = mem_strdup(path);
	for (size_t i = 1; i < live->chain_len; i++)
		to->kept_below |= same_file(live->chain[i].path, path);
}

void checkup_compare(struct checkup *k, const struct domain_info *kept)
{
	for (size_t i = 0; i < k->info->disk_count; i++) {
		const struct domain_disk *live = &k->info->disks[i];
		const struct domain_disk *other = kept_disk(kept, live->target);

		if (other != NULL && strcmp(live->device, "cdrom") != 0 &&
		    strcmp(live->device, "floppy") != 0)
			compare_disk(live, other, &k->disks[i]);
	}
}

/* -- snapshots -------------------------------------------------------- */

static bool has_image(const struct checkup *k, const char *path)
{
	for (size_t i = 0; i < k->info->disk_count; i++)
		for (size_t n = 0; n < k->info->disks[i].chain_len; n++)
			if (same_file(k->info->disks[i].chain[n].path, path))
				return true;
	return false;
}

static bool has_internal(const struct checkup *k)
{
	for (size_t i = 0; i < k->info->disk_count; i++)
		for (size_t n = 0; n < k->info->disks[i].chain_len; n++)
			if (k->disks[i].images[n].snapshots > 0 ||
			    !k->disks[i].images[n].readable)
				return true;
	return false;
}

bool checkup_is_stale(const struct checkup *k, const char *snapshot_xml)
{
	struct err ignored = ERR_INIT;
	autodoc xmlDocPtr doc =
		domxml_parse(snapshot_xml, "domainsnapshot", &ignored);
	size_t internal = 0;
	size_t external = 0;

	domxml_each(n, domxml_path(xmlDocGetRootElement(doc), "disks"), "disk")
	{
		autofree char *path =
			domxml_attr(domxml_child(n, "source"), "file");

		internal += domxml_attr_is(n, "snapshot", "internal");
		if (path == NULL || !domxml_attr_is(n, "snapshot", "external"))
			continue;
		/* one is enough to need its metadata */
		if (has_image(k, path) || file_exists(path))
			return false;
		external++;
	}
	return internal > 0 ? !has_internal(k) : external > 0;
}

static void look_at_snapshot(struct checkup *k, virDomainSnapshotPtr s)
{
	autofree char *xml = virDomainSnapshotGetXMLDesc(s, 0);

	if (xml == NULL || !checkup_is_stale(k, xml))
		return;
	k->stale = mem_grow(k->stale, k->stale_count + 1, sizeof(*k->stale));
	k->stale[k->stale_count++] = mem_strdup(virDomainSnapshotGetName(s));
}

static void look_at_snapshots(struct checkup *k, virDomainPtr dom)
{
	virDomainSnapshotPtr *all = NULL;
	int n = virDomainListAllSnapshots(dom, &all, 0);

	for (int i = 0; i < n; i++) {
		look_at_snapshot(k, all[i]);
		virDomainSnapshotFree(all[i]);
	}
	free(all);
}

/* -- all of it -------------------------------------------------------- */

static void look_at_agent(struct checkup *k, virDomainPtr dom)
{
	if (k->info->agent != AGENT_CONNECTED ||
	    k->info->state != DOMAIN_RUNNING)
		return;
	autofree char *answer = virDomainQemuAgentCommand(
		dom, "{\"execute\":\"guest-ping\"}", PING_S, 0);

	k->agent_answers = answer != NULL;
}

static int look(struct checkup *k, struct conn *c, virDomainPtr dom,
		struct err *e)
{
	struct err ignored = ERR_INIT;
	autofree char *xml = virDomainGetXMLDesc(dom, 0);
	AUTO(domain_info_free_at) struct domain_info *kept = NULL;

	if (xml == NULL)
		return virt_err(e, "cannot read the definition");
	if (checkup_read(k, xml, e) < 0)
		return -1;
	if (conn_local(c))
		checkup_files(k);
	if (k->info->persistent && k->info->state != DOMAIN_SHUT_OFF)
		kept = domain_kept(c, k->info->uuid, &ignored);
	if (kept != NULL)
		checkup_compare(k, kept);
	look_at_snapshots(k, dom);
	look_at_agent(k, dom);
	return 0;
}

struct checkup *checkup_look(struct conn *c, const char *name,
			     const char *state_dir, struct err *e)
{
	struct domain_info *info = domain_inspect(c, name, e);
	struct checkup *k;

	if (info == NULL)
		return NULL;
	autodomain virDomainPtr dom = conn_domain(c, info->uuid, e);
	autofree char *journal = claim_journal(state_dir, info->uuid);

	k = mem_zalloc(1, sizeof(*k));
	k->info = info;
	k->claimed = claim_held(state_dir, info->uuid);
	k->journal = file_exists(journal);
	if (dom == NULL || look(k, c, dom, e) < 0) {
		err_ctx(e, "domain '%s'", name);
		checkup_free(k);
		return NULL;
	}
	return k;
}

void checkup_free(struct checkup *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; k->disks != NULL && i < k->info->disk_count; i++) {
		free(k->disks[i].cache);
		free(k->disks[i].discard);
		free(k->disks[i].detect_zeroes);
		free(k->disks[i].kept);
		free(k->disks[i].images);
	}
	for (size_t i = 0; i < k->stale_count; i++)
		free(k->stale[i]);
	free(k->stale);
	free(k->disks);
	domain_info_free(k->info);
	free(k);
}
