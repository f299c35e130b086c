/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/define.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "virt/conn_internal.h"
#include "virt/domxml.h"
#include "virt/rewrite.h"

int define_rewrite(const char *xml, const struct define_change *change,
		   struct buf *out, struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);

	if (doc == NULL)
		return -1;
	xmlNodePtr domain = xmlDocGetRootElement(doc);
	xmlNodePtr devices = domxml_child(domain, "devices");

	if (rewrite_disks(devices, change, e) < 0 ||
	    rewrite_identity(domain, change, e) < 0)
		return -1;
	rewrite_host(domain, change);
	return domxml_print(doc, out, e);
}

int define_identity(const char *xml, char **name, char uuid[CONN_UUID_TEXT],
		    struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);

	if (doc == NULL)
		return -1;
	xmlNodePtr domain = xmlDocGetRootElement(doc);
	autofree char *is = domxml_text(domxml_child(domain, "name"));
	autofree char *id = domxml_text(domxml_child(domain, "uuid"));

	if (is == NULL || id == NULL || strlen(id) != CONN_UUID_TEXT - 1)
		return err_set(e, ERR_INTEGRITY,
			       "definition has no name or no UUID");
	*name = mem_take(&is);
	memcpy(uuid, id, CONN_UUID_TEXT);
	return 0;
}

/* -- what is there ---------------------------------------------------- */

/* The domain, or NULL: none (0) or an error (-1). */
static int find(struct conn *c, const char *name, const char *uuid,
		virDomainPtr *found, struct err *e)
{
	*found = name != NULL ? virDomainLookupByName(conn_ptr(c), name)
			      : virDomainLookupByUUIDString(conn_ptr(c), uuid);
	if (*found != NULL || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return 0;
	return virt_err(e, "cannot look for domain '%s'",
			name != NULL ? name : uuid);
}

static int find_both(struct conn *c, const char *name, const char *uuid,
		     virDomainPtr found[2], struct err *e)
{
	if (conn_ensure(c, CONN_WAIT_MS, e) < 0 ||
	    find(c, name, NULL, &found[0], e) < 0)
		return -1;
	return uuid != NULL ? find(c, NULL, uuid, &found[1], e) : 0;
}

static bool is_active(virDomainPtr d)
{
	return d != NULL && virDomainIsActive(d) == 1;
}

/* Is a domain of the name another one, or has the UUID another name? */
static int check_same(virDomainPtr by_name, virDomainPtr by_uuid,
		      const char *name, const char *uuid, struct err *e)
{
	char theirs[VIR_UUID_STRING_BUFLEN] = "";

	if (by_name != NULL && (virDomainGetUUIDString(by_name, theirs) < 0 ||
				strcasecmp(theirs, uuid) != 0))
		return err_set(e, ERR_EXISTS,
			       "there is another domain '%s' (UUID %s): "
			       "choose another name",
			       name, theirs);
	if (by_uuid != NULL && strcmp(virDomainGetName(by_uuid), name) != 0)
		return err_set(e, ERR_EXISTS,
			       "domain '%s' has the UUID %s already: a copy "
			       "needs a UUID of its own",
			       virDomainGetName(by_uuid), uuid);
	return 0;
}

/* libvirt would load that state at the next start: old RAM, and the disks
 * of then. */
static int check_saved(virDomainPtr d, const char *name, struct err *e)
{
	if (d == NULL || virDomainHasManagedSaveImage(d, 0) != 1)
		return 0;
	return err_set(e, ERR_REFUSED,
		       "domain '%s' has a saved state, which would be started "
		       "instead of what is restored: 'virsh "
		       "managedsave-remove' gives it up",
		       name);
}

int define_taken(struct conn *c, const char *name, const char *uuid,
		 bool *defined, bool *active, struct err *e)
{
	autodomain virDomainPtr by_name = NULL;
	autodomain virDomainPtr by_uuid = NULL;
	virDomainPtr both[2] = { NULL, NULL };
	int rc = find_both(c, name, uuid, both, e);

	by_name = both[0];
	by_uuid = both[1];
	if (rc < 0)
		return -1;
	if (uuid != NULL && (check_same(by_name, by_uuid, name, uuid, e) < 0 ||
			     check_saved(by_uuid, name, e) < 0))
		return -1;
	*defined = by_name != NULL || by_uuid != NULL;
	*active = is_active(by_name) || is_active(by_uuid);
	return 0;
}

/* Nothing in the way of a definition of this name and UUID? */
static int check_free(struct conn *c, const char *name, const char *uuid,
		      struct err *e)
{
	bool defined;
	bool active;

	if (define_taken(c, name, uuid, &defined, &active, e) < 0)
		return -1;
	return !active ? 0
		       : err_set(e, ERR_BUSY,
				 "domain '%s' is running: shut it off first",
				 name);
}

int define_current(struct conn *c, const char *name, struct buf *out,
		   struct err *e)
{
	virDomainPtr found = NULL;

	if (conn_ensure(c, CONN_WAIT_MS, e) < 0 ||
	    find(c, name, NULL, &found, e) < 0)
		return -1;
	autodomain virDomainPtr d = found;

	if (d == NULL)
		return 0;
	autofree char *xml = virDomainGetXMLDesc(
		d, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);

	if (xml == NULL)
		return virt_err(e, "cannot read the definition of '%s'", name);
	wr_bytes(out, xml, strlen(xml));
	return 1;
}

/* -- bringing it up --------------------------------------------------- */

int define_domain(struct conn *c, const char *xml, struct err *e)
{
	autofree char *name = NULL;
	char uuid[CONN_UUID_TEXT];

	if (define_identity(xml, &name, uuid, e) < 0 || name == NULL ||
	    check_free(c, name, uuid, e) < 0)
		return -1;
	autodomain virDomainPtr d =
		virDomainDefineXMLFlags(conn_ptr(c), xml, 0);

	if (d == NULL)
		return virt_err(e, "cannot define domain '%s'", name);
	return 0;
}

/* Texts of QEMU's that libvirt passes on without a code of its own. */
static void refine(struct err *e)
{
	if (strstr(e->msg, "already running") != NULL ||
	    strstr(e->msg, "already active") != NULL ||
	    strstr(e->msg, "Failed to get \"write\" lock") != NULL)
		e->code = ERR_BUSY;
}

int define_start(struct conn *c, const char *name, struct err *e)
{
	virDomainPtr found = NULL;

	if (conn_ensure(c, CONN_WAIT_MS, e) < 0 ||
	    find(c, name, NULL, &found, e) < 0)
		return -1;
	autodomain virDomainPtr d = found;

	if (d == NULL)
		return err_set(e, ERR_NOT_FOUND, "no domain '%s'", name);
	if (virDomainCreate(d) < 0) {
		virt_err(e, "cannot start domain '%s'", name);
		refine(e);
		return -1;
	}
	return 0;
}

int define_stop(struct conn *c, const char *uuid, struct err *e)
{
	if (conn_ensure(c, CONN_WAIT_MS, e) < 0)
		return -1;
	autodomain virDomainPtr d = conn_domain(c, uuid, e);

	if (d == NULL)
		return -1;
	if (virDomainIsActive(d) == 0 || virDomainDestroy(d) == 0)
		return 0;
	virt_err(e, "cannot stop domain '%s'", virDomainGetName(d));
	/* it may have ended by itself */
	return virDomainIsActive(d) == 0 ? 0 : -1;
}

/* A dump that QEMU cannot load: the machine is not the one it was. */
static int resume_err(const char *name, struct err *e)
{
	bool system = virGetLastErrorCode() == VIR_ERR_SYSTEM_ERROR;

	virt_err(e, "cannot resume domain '%s'", name);
	if (!system && (e->code == ERR_FAILED || e->code == ERR_REFUSED)) {
		struct err why = *e;

		/* Ours at the end would be what is cut off. */
		err_set(e, ERR_REFUSED,
			"%.330s; the host or its QEMU may differ from the "
			"one of the capture: without --ram the same point "
			"boots cold",
			why.msg);
	}
	refine(e);
	return -1;
}

int define_resume(struct conn *c, const char *dump, const char *xml,
		  bool paused, struct err *e)
{
	unsigned flags =
		paused ? VIR_DOMAIN_SAVE_PAUSED : VIR_DOMAIN_SAVE_RUNNING;
	autofree char *name = NULL;
	char uuid[CONN_UUID_TEXT];

	if (define_identity(xml, &name, uuid, e) < 0 || name == NULL ||
	    check_free(c, name, uuid, e) < 0)
		return -1;
	if (virDomainRestoreFlags(conn_ptr(c), dump, xml, flags) < 0)
		return resume_err(name, e);
	return 0;
}

/* -- networks --------------------------------------------------------- */

void define_notes_add(struct define_notes *notes, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	notes->items =
		mem_grow(notes->items, notes->count + 1, sizeof(*notes->items));
	notes->items[notes->count++] = mem_vfmt(fmt, ap);
	va_end(ap);
}

void define_notes_fini(struct define_notes *notes)
{
	for (size_t i = 0; i < notes->count; i++)
		free(notes->items[i]);
	free(notes->items);
	*notes = (struct define_notes){ .items = NULL };
}

static bool has_network(struct conn *c, const char *name)
{
	virNetworkPtr n = virNetworkLookupByName(conn_ptr(c), name);

	if (n == NULL)
		return virGetLastErrorCode() != VIR_ERR_NO_NETWORK;
	virNetworkFree(n);
	return true;
}

static bool has_device(struct conn *c, const char *name)
{
	autofree char *path = path_join("/sys/class/net", name);

	return !conn_local(c) || file_exists(path);
}

/* What the card is plugged into and is not here, in words; else NULL. */
static char *lost_network(struct conn *c, xmlNodePtr card)
{
	xmlNodePtr source = domxml_child(card, "source");
	autofree char *network = domxml_attr(source, "network");
	autofree char *bridge = domxml_attr(source, "bridge");
	autofree char *dev = domxml_attr(source, "dev");

	if (domxml_attr_is(card, "type", "network") && network != NULL)
		return has_network(c, network)
			       ? NULL
			       : mem_fmt("network '%s'", network);
	if (domxml_attr_is(card, "type", "bridge") && bridge != NULL)
		return has_device(c, bridge) ? NULL
					     : mem_fmt("bridge '%s'", bridge);
	if (domxml_attr_is(card, "type", "direct") && dev != NULL)
		return has_device(c, dev) ? NULL : mem_fmt("device '%s'", dev);
	return NULL;
}

static void unplug(xmlNodePtr card)
{
	static const char *const parts[] = { "source",    "virtualport",
					     "target",    "vlan",
					     "filterref", "port",
					     "bandwidth" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		domxml_remove_all(card, parts[i]);
	domxml_set_attr(card, "type", "user");
	domxml_set_attr(card, "trustGuestRxFilters", NULL);
	domxml_set_attr(domxml_make(card, "link"), "state", "down");
}

static void note(struct define_notes *notes, xmlNodePtr card, const char *lost)
{
	autofree char *mac = domxml_attr(domxml_child(card, "mac"), "address");

	define_notes_add(notes,
			 "%s is not on this host: network card %s is left "
			 "unplugged",
			 lost, mac != NULL ? mac : "");
}

int define_networks(struct conn *c, const char *xml, struct buf *out,
		    struct define_notes *notes, struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);

	if (doc == NULL || conn_ensure(c, CONN_WAIT_MS, e) < 0)
		return -1;
	domxml_each(card, domxml_child(xmlDocGetRootElement(doc), "devices"),
		    "interface")
	{
		autofree char *lost = lost_network(c, card);

		if (lost == NULL)
			continue;
		unplug(card);
		note(notes, card, lost);
	}
	return domxml_print(doc, out, e);
}
