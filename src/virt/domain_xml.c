/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/domain_xml.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "virt/chain.h"
#include "virt/domxml.h"
#include "virt/refusal.h"

#define AGENT_CHANNEL "org.qemu.guest_agent.0"

/* -- one disk --------------------------------------------------------- */

static char *or_default(char *s, const char *value)
{
	return s != NULL ? s : mem_strdup(value);
}

/* The image that a <source> names; nothing is added when it names none. */
static void add_source(struct domain_disk *disk, xmlNodePtr source,
		       const char *type, char *format,
		       const struct domain_xml_env *env)
{
	autofree char *pool = domxml_attr(source, "pool");
	autofree char *volume = domxml_attr(source, "volume");
	char *path = domxml_attr(source, "file");
	bool local = strcmp(type, "file") == 0 || strcmp(type, "block") == 0;

	if (path == NULL)
		path = domxml_attr(source, "dev");
	if (strcmp(type, "volume") == 0 && pool != NULL && volume != NULL &&
	    env->volume != NULL) {
		const char *is = type;

		path = env->volume(env->ctx, pool, volume, &is);
		type = is;
	}
	/* "file" without a name is an empty drive. */
	if (source == NULL || (local && path == NULL))
		free(format);
	else
		chain_add(disk, path, format, mem_strdup(type));
}

static void read_chain(struct domain_disk *disk, xmlNodePtr n,
		       const struct domain_xml_env *env)
{
	autofree char *type = domxml_attr(n, "type");
	char *format = domxml_attr(domxml_child(n, "driver"), "type");
	xmlNodePtr below = domxml_child(n, "backingStore");
	bool told = below != NULL;

	if (type == NULL)
		return;
	add_source(disk, domxml_child(n, "source"), type,
		   or_default(format, "raw"), env);
	while (domxml_has(below, "type")) {
		autofree char *kind = domxml_attr(below, "type");

		format = domxml_attr(domxml_child(below, "format"), "type");
		add_source(disk, domxml_child(below, "source"), kind,
			   or_default(format, "raw"), env);
		below = domxml_child(below, "backingStore");
	}
	if (!told && env->local)
		chain_follow(disk);
}

/* Why a disk is left out, or NULL.  Not only because libvirt would refuse:
 * each of these would make a backup that says more than it holds. */
static char *left_out(const struct domain_disk *disk, xmlNodePtr n)
{
	const char *type = disk->chain_len > 0 ? disk->chain[0].type : "";
	xmlNodePtr source = domxml_child(n, "source");

	if (strcmp(disk->device, "cdrom") == 0 ||
	    strcmp(disk->device, "floppy") == 0)
		return mem_fmt("a %s drive", disk->device);
	if (disk->chain_len == 0)
		return mem_strdup("no medium");
	if (strcmp(disk->device, "lun") == 0)
		return mem_strdup("a LUN that is passed through");
	if (disk->readonly)
		return mem_strdup("read-only");
	if (disk->shareable)
		return mem_strdup("shared with other domains");
	if (disk->transient)
		return mem_strdup("transient: its changes are thrown away");
	if (strcmp(type, "volume") == 0)
		return mem_strdup("its volume cannot be found: start its pool");
	if (strcmp(type, "file") != 0 && strcmp(type, "block") != 0)
		return mem_fmt("source of type %s, neither a file nor a block "
			       "device",
			       type);
	if (domxml_child(source, "slices") != NULL)
		return mem_strdup("a slice of a larger image");
	if (domxml_child(source, "encryption") != NULL ||
	    domxml_child(n, "encryption") != NULL)
		return mem_strdup("encrypted by QEMU with a key that is not "
				  "at hand");
	return NULL;
}

static void read_disk(struct domain_disk *disk, xmlNodePtr n,
		      const struct domain_xml_env *env)
{
	xmlNodePtr target = domxml_child(n, "target");

	disk->target = or_default(domxml_attr(target, "dev"), "");
	disk->bus = or_default(domxml_attr(target, "bus"), "");
	disk->device = or_default(domxml_attr(n, "device"), "disk");
	disk->readonly = domxml_child(n, "readonly") != NULL;
	disk->shareable = domxml_child(n, "shareable") != NULL;
	disk->transient = domxml_child(n, "transient") != NULL;
	disk->job_active = domxml_child(n, "mirror") != NULL;
	read_chain(disk, n, env);
	disk->why_not = left_out(disk, n);
	disk->captured = disk->why_not == NULL;
}

static void read_disks(struct domain_info *d, xmlNodePtr devices,
		       const struct domain_xml_env *env)
{
	domxml_each(n, devices, "disk")
	{
		d->disks = mem_grow(d->disks, d->disk_count + 1,
				    sizeof(*d->disks));
		d->disks[d->disk_count] = (struct domain_disk){ .size = 0 };
		read_disk(&d->disks[d->disk_count++], n, env);
	}
}

/* -- the rest --------------------------------------------------------- */

static enum domain_agent read_agent(xmlNodePtr devices)
{
	domxml_each(n, devices, "channel")
	{
		xmlNodePtr target = domxml_child(n, "target");

		if (domxml_attr_is(target, "name", AGENT_CHANNEL))
			return domxml_attr_is(target, "state", "connected")
				       ? AGENT_CONNECTED
				       : AGENT_DISCONNECTED;
	}
	return AGENT_NONE;
}

/* <nvram>path</nvram>, or since libvirt 8.5 with a <source>. */
static char *read_nvram(xmlNodePtr domain)
{
	xmlNodePtr nvram = domxml_path(domain, "os/nvram");
	xmlNodePtr source = domxml_child(nvram, "source");

	if (source == NULL)
		return domxml_text(nvram);
	if (domxml_attr_is(nvram, "type", "network"))
		return NULL;
	char *path = domxml_attr(source, "file");

	return path != NULL ? path : domxml_attr(source, "dev");
}

static int read_identity(struct domain_info *d, xmlNodePtr domain,
			 struct err *e)
{
	autofree char *name = domxml_text(domxml_child(domain, "name"));
	autofree char *uuid = domxml_text(domxml_child(domain, "uuid"));

	if (name == NULL || uuid == NULL || strlen(uuid) != CONN_UUID_TEXT - 1)
		return err_set(e, ERR_INTEGRITY,
			       "definition has no name or no UUID");
	d->name = mem_take(&name);
	memcpy(d->uuid, uuid, CONN_UUID_TEXT);
	return 0;
}

int domain_xml_read(const char *xml, const struct domain_xml_env *env,
		    struct domain_info *d, struct err *e)
{
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", e);

	if (doc == NULL)
		return -1;
	xmlNodePtr domain = xmlDocGetRootElement(doc);
	xmlNodePtr devices = domxml_child(domain, "devices");

	if (read_identity(d, domain, e) < 0)
		return -1;
	read_disks(d, devices, env);
	d->agent = read_agent(devices);
	d->emulated = domxml_attr_is(domain, "type", "qemu");
	d->nvram = read_nvram(domain);
	d->tpm = domxml_attr_is(domxml_path(devices, "tpm/backend"), "type",
				"emulator");
	/* since libvirt 10.10 */
	d->tpm_path =
		domxml_attr(domxml_path(devices, "tpm/backend/source"), "path");
	d->ram_refused = refusal_ram(domain, d);
	return 0;
}
