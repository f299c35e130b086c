/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/domain.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "virt/apparmor.h"
#include "virt/chain.h"
#include "virt/conn_internal.h"
#include "virt/domain_xml.h"

#define KIB 1024u

/* -- words ------------------------------------------------------------ */

const char *domain_state_text(enum domain_state s)
{
	switch (s) {
	case DOMAIN_RUNNING:
		return "running";
	case DOMAIN_PAUSED:
		return "paused";
	case DOMAIN_SHUT_OFF:
		return "shut off";
	case DOMAIN_PMSUSPENDED:
		return "sleeping";
	case DOMAIN_CRASHED:
		return "crashed";
	case DOMAIN_OTHER:
		break;
	}
	return "changing";
}

const char *domain_agent_text(enum domain_agent a)
{
	switch (a) {
	case AGENT_CONNECTED:
		return "connected";
	case AGENT_DISCONNECTED:
		return "disconnected";
	case AGENT_NONE:
		break;
	}
	return "none";
}

static enum domain_state state_of(int state)
{
	switch (state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
		return DOMAIN_RUNNING;
	case VIR_DOMAIN_PAUSED:
		return DOMAIN_PAUSED;
	case VIR_DOMAIN_SHUTOFF:
		return DOMAIN_SHUT_OFF;
	case VIR_DOMAIN_PMSUSPENDED:
		return DOMAIN_PMSUSPENDED;
	case VIR_DOMAIN_CRASHED:
		return DOMAIN_CRASHED;
	default:
		return DOMAIN_OTHER;
	}
}

/* As `virsh domstate --reason` says it. */
static const char *pause_text(int reason)
{
	static const char *const words[] = {
		[VIR_DOMAIN_PAUSED_UNKNOWN] = "unknown",
		[VIR_DOMAIN_PAUSED_USER] = "user",
		[VIR_DOMAIN_PAUSED_MIGRATION] = "migrating",
		[VIR_DOMAIN_PAUSED_SAVE] = "saving",
		[VIR_DOMAIN_PAUSED_DUMP] = "dumping",
		[VIR_DOMAIN_PAUSED_IOERROR] = "I/O error",
		[VIR_DOMAIN_PAUSED_WATCHDOG] = "watchdog",
		[VIR_DOMAIN_PAUSED_FROM_SNAPSHOT] = "from snapshot",
		[VIR_DOMAIN_PAUSED_SHUTTING_DOWN] = "shutting down",
		[VIR_DOMAIN_PAUSED_SNAPSHOT] = "creating snapshot",
		[VIR_DOMAIN_PAUSED_CRASHED] = "crashed",
		[VIR_DOMAIN_PAUSED_STARTING_UP] = "starting up",
		[VIR_DOMAIN_PAUSED_POSTCOPY] = "post-copy",
		[VIR_DOMAIN_PAUSED_POSTCOPY_FAILED] = "post-copy failed",
	};

	if (reason < 0 || (size_t)reason >= sizeof(words) / sizeof(*words))
		return words[VIR_DOMAIN_PAUSED_UNKNOWN];
	return words[reason];
}

/* -- all of them ------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int domain_names(struct conn *c, char ***names, size_t *count, struct err *e)
{
	if (conn_ensure(c, CONN_WAIT_MS, e) < 0)
		return -1;
	virDomainPtr *all;
	int n = virConnectListAllDomains(conn_ptr(c), &all, 0);

	if (n < 0)
		return virt_err(e, "cannot list the domains");
	char **list = mem_zalloc((size_t)n + 1, sizeof(*list));
	for (int i = 0; i < n; i++) {
		list[i] = mem_strdup(virDomainGetName(all[i]));
		virDomainFree(all[i]);
	}
	free(all);
	qsort(list, (size_t)n, sizeof(*list), by_name);
	*names = list;
	*count = (size_t)n;
	return 0;
}

void domain_names_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* -- one by name ------------------------------------------------------ */

#define NEAR_MAX 64 /* bytes of a name that are compared */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NEAR_MAX + 1];
	size_t n = strnlen(b, NEAR_MAX);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= NEAR_MAX && a[i - 1] != 0; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned differs = a[i - 1] != b[j - 1];
			unsigned next = min3(row[j] + 1, row[j - 1] + 1,
					     diagonal + differs);

			diagonal = row[j];
			row[j] = next;
		}
	}
	return row[n];
}

static void not_found(struct conn *c, const char *name, struct err *e)
{
	struct err ignored = ERR_INIT;
	char **names = NULL;
	size_t count = 0;
	const char *nearest = NULL;
	unsigned best = (unsigned)strnlen(name, NEAR_MAX) / 2 + 1;

	(void)domain_names(c, &names, &count, &ignored);
	for (size_t i = 0; i < count; i++) {
		unsigned far = distance(name, names[i]);

		if (far < best) {
			best = far;
			nearest = names[i];
		}
	}
	if (nearest != NULL)
		err_set(e, ERR_NOT_FOUND, "no domain '%s'; is it '%s'?", name,
			nearest);
	else
		err_set(e, ERR_NOT_FOUND,
			"no domain '%s' at '%s'; vmkeep domains lists what "
			"there is",
			name, conn_uri(c));
	domain_names_free(names, count);
}

static bool is_uuid(const char *s)
{
	return strlen(s) == CONN_UUID_TEXT - 1 &&
	       strspn(s, "0123456789abcdefABCDEF-") == CONN_UUID_TEXT - 1;
}

static virDomainPtr look_up(struct conn *c, const char *name, struct err *e)
{
	virDomainPtr d = virDomainLookupByName(conn_ptr(c), name);

	if (d == NULL && is_uuid(name))
		d = virDomainLookupByUUIDString(conn_ptr(c), name);
	if (d == NULL && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		not_found(c, name, e);
	else if (d == NULL)
		virt_err(e, "cannot find domain '%s'", name);
	return d;
}

/* -- a closer look ---------------------------------------------------- */

static char *volume_path(void *ctx, const char *pool, const char *volume,
			 const char **type)
{
	virStoragePoolPtr p = virStoragePoolLookupByName(ctx, pool);
	virStorageVolPtr v =
		p != NULL ? virStorageVolLookupByName(p, volume) : NULL;
	virStorageVolInfo info;
	char *path = NULL;

	if (v != NULL && virStorageVolGetInfo(v, &info) == 0 &&
	    (info.type == VIR_STORAGE_VOL_FILE ||
	     info.type == VIR_STORAGE_VOL_BLOCK)) {
		char *theirs = virStorageVolGetPath(v);

		*type = info.type == VIR_STORAGE_VOL_FILE ? "file" : "block";
		path = theirs != NULL ? mem_strdup(theirs) : NULL;
		free(theirs);
	}
	if (v != NULL)
		virStorageVolFree(v);
	if (p != NULL)
		virStoragePoolFree(p);
	return path;
}

static void look_at_disk(struct domain_disk *disk, virDomainPtr dom,
			 bool active, bool local)
{
	virDomainBlockInfo info;
	virDomainBlockJobInfo job;
	const struct domain_image *top = disk->chain;

	if (disk->chain_len == 0)
		return;
	if (virDomainGetBlockInfo(dom, disk->target, &info, 0) == 0)
		disk->size = info.capacity;
	else if (local && top->path != NULL)
		disk->size = chain_size(top->path, top->format);
	if (active && virDomainGetBlockJobInfo(dom, disk->target, &job, 0) == 1)
		disk->job_active = true;
}

static int look_at_state(struct domain_info *d, virDomainPtr dom, struct err *e)
{
	virDomainInfo info;
	int state;
	int reason;

	if (virDomainGetState(dom, &state, &reason, 0) < 0 ||
	    virDomainGetInfo(dom, &info) < 0)
		return virt_err(e, "cannot read the domain's state");
	d->state = state_of(state);
	d->memory = (uint64_t)info.memory * KIB;
	d->persistent = virDomainIsPersistent(dom) == 1;
	if (d->state == DOMAIN_PAUSED)
		d->pause_reason = mem_strdup(pause_text(reason));
	return 0;
}

static bool is_active(const struct domain_info *d)
{
	return d->state != DOMAIN_SHUT_OFF;
}

/* What the definition does not show. */
static void add_limits(struct domain_info *d, struct conn *c, const char *xml)
{
	if (d->ram_refused == NULL && d->state == DOMAIN_PMSUSPENDED)
		d->ram_refused = mem_strdup(
			"the guest sleeps: wake it (virsh dompmwakeup)");
	if (d->ram_refused == NULL && d->state == DOMAIN_CRASHED)
		d->ram_refused = mem_strdup("the guest has crashed");
	if (is_active(d) && conn_local(c))
		d->overlay_refused = apparmor_ask(c, d, xml);
}

int domain_xml_look(struct conn *c, const char *xml, struct domain_info *d,
		    struct err *e)
{
	const struct domain_xml_env env = { .volume = volume_path,
					    .ctx = conn_ptr(c),
					    .local = conn_local(c) };

	return domain_xml_read(xml, &env, d, e);
}

static int look_at(struct domain_info *d, struct conn *c, virDomainPtr dom,
		   struct err *e)
{
	autofree char *xml = virDomainGetXMLDesc(dom, 0);

	if (xml == NULL)
		return virt_err(e, "cannot read the definition");
	if (domain_xml_look(c, xml, d, e) < 0 || look_at_state(d, dom, e) < 0)
		return -1;
	for (size_t i = 0; i < d->disk_count; i++)
		look_at_disk(&d->disks[i], dom, is_active(d), conn_local(c));
	add_limits(d, c, xml);
	return 0;
}

struct domain_info *domain_inspect(struct conn *c, const char *name,
				   struct err *e)
{
	if (conn_ensure(c, CONN_WAIT_MS, e) < 0)
		return NULL;
	autodomain virDomainPtr dom = look_up(c, name, e);
	if (dom == NULL)
		return NULL;

	AUTO(domain_info_free_at)
	struct domain_info *d = mem_zalloc(1, sizeof(*d));
	if (look_at(d, c, dom, e) < 0) {
		err_ctx(e, "domain '%s'", name);
		return NULL;
	}
	return mem_take(&d);
}

struct domain_info *domain_kept(struct conn *c, const char *uuid, struct err *e)
{
	autodomain virDomainPtr dom = conn_domain(c, uuid, e);

	if (dom == NULL)
		return NULL;
	autofree char *xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
	AUTO(domain_info_free_at)
	struct domain_info *d = mem_zalloc(1, sizeof(*d));

	if (xml == NULL) {
		virt_err(e, "cannot read the kept definition");
		return NULL;
	}
	return domain_xml_look(c, xml, d, e) < 0 ? NULL : mem_take(&d);
}

/* -- letting go ------------------------------------------------------- */

static void disk_fini(struct domain_disk *d)
{
	for (size_t i = 0; i < d->chain_len; i++) {
		free(d->chain[i].path);
		free(d->chain[i].format);
		free(d->chain[i].type);
	}
	free(d->chain);
	free(d->target);
	free(d->device);
	free(d->bus);
	free(d->why_not);
}

void domain_info_free(struct domain_info *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->disk_count; i++)
		disk_fini(&d->disks[i]);
	free(d->disks);
	free(d->name);
	free(d->pause_reason);
	free(d->nvram);
	free(d->tpm_path);
	free(d->ram_refused);
	free(d->overlay_refused);
	free(d);
}

void domain_info_free_at(struct domain_info **d)
{
	domain_info_free(*d);
}
