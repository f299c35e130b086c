/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/refusal.h"

#include <string.h>

#include "base/mem.h"
#include "virt/domxml.h"

/* Passed-through USB devices are let go and found again by QEMU. */
static char *hostdev(xmlNodePtr n)
{
	autofree char *type = domxml_attr(n, "type");

	if (type == NULL || strcmp(type, "usb") == 0)
		return NULL;
	return mem_fmt("<hostdev type='%s'>: the state of a passed-through "
		       "device cannot be saved",
		       type);
}

static char *interface(xmlNodePtr n)
{
	autofree char *type = domxml_attr(n, "type");

	if (type == NULL ||
	    (strcmp(type, "hostdev") != 0 && strcmp(type, "vdpa") != 0 &&
	     strcmp(type, "vhostuser") != 0))
		return NULL;
	return mem_fmt("<interface type='%s'>: a part of the network card's "
		       "state is outside of QEMU",
		       type);
}

static char *filesystem(xmlNodePtr n)
{
	autofree char *driver = domxml_attr(domxml_child(n, "driver"), "type");
	autofree char *tag = domxml_attr(domxml_child(n, "target"), "dir");

	return mem_fmt("<filesystem> '%s' (%s): a shared folder's open files "
		       "cannot be saved",
		       tag != NULL ? tag : "",
		       driver != NULL && strcmp(driver, "virtiofs") == 0
			       ? "virtiofs"
			       : "9p");
}

static char *shmem(xmlNodePtr n)
{
	autofree char *name = domxml_attr(n, "name");

	if (domxml_attr_is(n, "role", "master") &&
	    !domxml_attr_is(domxml_child(n, "model"), "type", "ivshmem"))
		return NULL;
	return mem_fmt("<shmem name='%s'>: shared memory can be saved only "
		       "with role='master'",
		       name != NULL ? name : "");
}

static char *tpm(xmlNodePtr n)
{
	if (!domxml_attr_is(domxml_child(n, "backend"), "type", "passthrough"))
		return NULL;
	return mem_strdup("<tpm> of type passthrough: the state of the host's "
			  "TPM cannot be saved");
}

static char *video(xmlNodePtr n)
{
	if (!domxml_attr_is(domxml_path(n, "model/acceleration"), "accel3d",
			    "yes"))
		return NULL;
	return mem_strdup("<video> with accel3d: the state of a 3D card "
			  "cannot be saved");
}

static char *memory(xmlNodePtr n)
{
	if (!domxml_attr_is(n, "model", "sgx-epc"))
		return NULL;
	return mem_strdup("<memory model='sgx-epc'>: enclaves cannot be saved");
}

static const struct {
	const char *element;
	char *(*check)(xmlNodePtr n);
} device_checks[] = {
	{ "hostdev", hostdev },
	{ "interface", interface },
	{ "filesystem", filesystem },
	{ "shmem", shmem },
	{ "tpm", tpm },
	{ "video", video },
	{ "memory", memory },
};

static char *devices(xmlNodePtr domain)
{
	xmlNodePtr all = domxml_child(domain, "devices");
	size_t n = sizeof(device_checks) / sizeof(*device_checks);

	for (size_t i = 0; i < n; i++) {
		domxml_each(dev, all, device_checks[i].element)
		{
			char *why = device_checks[i].check(dev);

			if (why != NULL)
				return why;
		}
	}
	return NULL;
}

static bool has_invtsc(xmlNodePtr cpu)
{
	if (domxml_attr_is(cpu, "migratable", "off"))
		return true;
	domxml_each(f, cpu, "feature")
	{
		if (domxml_attr_is(f, "name", "invtsc") &&
		    !domxml_attr_is(f, "policy", "disable") &&
		    !domxml_attr_is(f, "policy", "forbid") &&
		    !domxml_attr_is(f, "policy", "optional"))
			return true;
	}
	return false;
}

static bool has_tsc_frequency(xmlNodePtr clock)
{
	domxml_each(t, clock, "timer")
	{
		if (domxml_attr_is(t, "name", "tsc") &&
		    domxml_has(t, "frequency"))
			return true;
	}
	return false;
}

static char *machine(xmlNodePtr domain)
{
	if (has_invtsc(domxml_child(domain, "cpu")) &&
	    !has_tsc_frequency(domxml_child(domain, "clock")))
		return mem_strdup("<cpu> with invtsc: cannot be saved without "
				  "<timer name='tsc' frequency='...'/>");
	if (domxml_child(domain, "launchSecurity") != NULL)
		return mem_strdup("<launchSecurity>: encrypted RAM cannot be "
				  "saved");
	if (domxml_attr_is(domxml_path(domain, "os/nvram"), "type", "network"))
		return mem_strdup("<nvram type='network'>: the firmware "
				  "variables of that instant cannot be kept");
	return NULL;
}

static bool removable(const struct domain_disk *d)
{
	return strcmp(d->device, "cdrom") == 0 ||
	       strcmp(d->device, "floppy") == 0;
}

static char *disks(const struct domain_info *d)
{
	for (size_t i = 0; i < d->disk_count; i++) {
		const struct domain_disk *disk = &d->disks[i];

		if (!disk->captured && disk->chain_len > 0 && !disk->readonly &&
		    !removable(disk))
			return mem_fmt("disk '%s' is left out (%s), and the "
				       "guest's RAM is of no use without it",
				       disk->target, disk->why_not);
	}
	return NULL;
}

char *refusal_ram(xmlNodePtr domain, const struct domain_info *d)
{
	char *why = devices(domain);

	if (why == NULL)
		why = machine(domain);
	return why != NULL ? why : disks(d);
}
