/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/others.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/conn_internal.h"
#include "virt/domain_xml.h"
#include "virt/domxml.h"
#include "virt/guest.h"
#include "virt/others_internal.h"
#include "virt/sight.h"

/* A daemon opens an image now and then to look at its header. */
#define PROCESS_LOOKS   5
#define PROCESS_WAIT_MS 200

struct others_id others_id(const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) < 0)
		return (struct others_id){ .there = false };
	if (S_ISBLK(st.st_mode))
		return (struct others_id){ .dev = st.st_rdev,
					   .block = true,
					   .there = true };
	return (struct others_id){ .dev = st.st_dev,
				   .ino = st.st_ino,
				   .there = true };
}

bool others_same(const struct others_id *a, const struct others_id *b)
{
	return a->there && b->there && a->block == b->block &&
	       a->dev == b->dev && a->ino == b->ino;
}

int others_which(const struct others *o, const struct others_id *id)
{
	for (size_t i = 0; i < o->q->count; i++) {
		if (others_same(&o->images[i], id))
			return (int)i;
	}
	return -1;
}

void others_note(struct others *o, int image, char *who)
{
	if (o->found->who != NULL && o->found->index <= (size_t)image) {
		free(who);
		return;
	}
	free(o->found->who);
	*o->found = (struct others_found){ .who = who, .index = (size_t)image };
}

/* -- folders ---------------------------------------------------------- */

/* Takes the string. */
static void add_folder(struct others *o, char *path)
{
	for (size_t i = 0; i < o->folder_count; i++) {
		if (strcmp(o->folders[i], path) == 0) {
			free(path);
			return;
		}
	}
	o->folders =
		mem_grow(o->folders, o->folder_count + 1, sizeof(*o->folders));
	o->folders[o->folder_count++] = path;
}

/* Where it is called so, and where it really is. */
static void add_folder_of(struct others *o, const char *path)
{
	autofree char *real = realpath(path, NULL);

	add_folder(o, path_dir(path));
	if (real != NULL)
		add_folder(o, path_dir(real));
}

static void add_pool(struct others *o, virStoragePoolPtr pool)
{
	struct err ignored = ERR_INIT;
	autofree char *xml = virStoragePoolGetXMLDesc(pool, 0);
	autodoc xmlDocPtr doc =
		xml != NULL ? domxml_parse(xml, "pool", &ignored) : NULL;
	char *path = domxml_text(
		domxml_path(xmlDocGetRootElement(doc), "target/path"));

	if (path != NULL && path[0] == '/')
		add_folder(o, path);
	else
		free(path);
}

/* A daemon without a storage driver has none. */
static void add_pools(struct others *o, struct conn *c)
{
	virStoragePoolPtr *pools = NULL;
	int n = virConnectListAllStoragePools(
		conn_ptr(c), &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);

	for (int i = 0; i < n; i++) {
		add_pool(o, pools[i]);
		virStoragePoolFree(pools[i]);
	}
	free(pools);
}

/* -- definitions ------------------------------------------------------ */

static void look_at_disk(struct others *o, const struct domain_info *d,
			 const struct domain_disk *disk)
{
	const struct others_query *q = o->q;
	bool ours = q->target != NULL && strcmp(d->uuid, q->uuid) == 0 &&
		    strcmp(disk->target, q->target) == 0;

	for (size_t i = 0; i < disk->chain_len; i++) {
		const char *path = disk->chain[i].path;
		struct others_id id = others_id(path);
		int image = others_which(o, &id);

		if (path != NULL && path[0] == '/')
			add_folder_of(o, path);
		if (ours || image < 0)
			continue;
		others_note(o, image,
			    mem_fmt("'%s' belongs to disk %s of domain '%s', "
				    "too",
				    q->images[image], disk->target, d->name));
	}
}

static int look_at_xml(struct others *o, struct conn *c, virDomainPtr dom,
		       unsigned flags, struct err *e)
{
	AUTO(domain_info_free_at)
	struct domain_info *d = mem_zalloc(1, sizeof(*d));
	autofree char *xml = virDomainGetXMLDesc(dom, flags);

	/* one that vanishes while we look needs nothing */
	if (xml == NULL && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return 0;
	if (xml == NULL)
		return virt_err(e, "cannot read a domain's definition");
	if (domain_xml_look(c, xml, d, e) < 0)
		return -1;
	for (size_t i = 0; i < d->disk_count; i++)
		look_at_disk(o, d, &d->disks[i]);
	return 0;
}

static int look_at_domain(struct others *o, struct conn *c, virDomainPtr dom,
			  struct err *e)
{
	if (look_at_xml(o, c, dom, 0, e) < 0)
		return -1;
	if (virDomainIsActive(dom) != 1 || virDomainIsPersistent(dom) != 1)
		return 0;
	return look_at_xml(o, c, dom, VIR_DOMAIN_XML_INACTIVE, e);
}

static int look_at_domains(struct others *o, struct conn *c, struct err *e)
{
	virDomainPtr *all = NULL;
	int n;
	int ret = 0;

	if (conn_ensure(c, CONN_WAIT_MS, e) < 0)
		return -1;
	n = virConnectListAllDomains(conn_ptr(c), &all, 0);
	if (n < 0)
		return virt_err(e, "cannot list the domains");
	for (int i = 0; i < n; i++) {
		if (ret == 0)
			ret = look_at_domain(o, c, all[i], e);
		virDomainFree(all[i]);
	}
	free(all);
	return ret;
}

/* -- all of it -------------------------------------------------------- */

static void others_init(struct others *o, const struct others_query *q,
			struct others_found *found)
{
	*found = (struct others_found){ .who = NULL };
	*o = (struct others){ .q = q, .found = found };
	o->images = mem_zalloc(q->count, sizeof(*o->images));
	o->own = mem_zalloc(q->own_count, sizeof(*o->own));
	o->top = others_id(q->top);
	for (size_t i = 0; i < q->count; i++) {
		o->images[i] = others_id(q->images[i]);
		add_folder_of(o, q->images[i]);
	}
	for (size_t i = 0; i < q->own_count; i++)
		o->own[i] = others_id(q->own[i]);
}

static void others_fini(struct others *o)
{
	for (size_t i = 0; i < o->folder_count; i++)
		free(o->folders[i]);
	free(o->folders);
	free(o->images);
	free(o->own);
}

int others_look(struct conn *c, const struct others_query *q,
		struct others_found *found, struct err *e)
{
	AUTO(others_fini) struct others o;

	others_init(&o, q, found);
	if (look_at_domains(&o, c, e) < 0) {
		free(mem_take(&found->who));
		return -1;
	}
	add_pools(&o, c);
	others_scan_folders(&o);
	for (int i = 0; q->processes && found->who == NULL; i++) {
		others_scan_processes(&o);
		if (i == PROCESS_LOOKS || found->who == NULL)
			break;
		free(mem_take(&found->who));
		nap_ms(PROCESS_WAIT_MS);
	}
	return 0;
}
