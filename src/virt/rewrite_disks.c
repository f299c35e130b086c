/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/rewrite.h"

#include <string.h>

#include "base/file.h"
#include "virt/domxml.h"

static const struct define_disk *named(const struct define_change *change,
				       const char *target)
{
	for (size_t i = 0; target != NULL && i < change->disk_count; i++) {
		if (strcmp(change->disks[i].target, target) == 0)
			return &change->disks[i];
	}
	return NULL;
}

/* What libvirt finds out anew, and what belongs to the old source. */
static void forget_source(xmlNodePtr disk)
{
	static const char *const parts[] = { "source", "backingStore", "mirror",
					     "auth", "encryption" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		domxml_remove_all(disk, parts[i]);
}

static void set_driver(xmlNodePtr disk, const char *format)
{
	xmlNodePtr driver = domxml_make(disk, "driver");

	if (!domxml_has(driver, "name"))
		domxml_set_attr(driver, "name", "qemu");
	domxml_set_attr(driver, "type", format);
	if (strcmp(format, "qcow2") != 0)
		domxml_remove_all(driver, "metadata_cache");
}

static void move_disk(xmlNodePtr disk, const struct define_disk *to)
{
	forget_source(disk);
	domxml_set_attr(disk, "type", to->block ? "block" : "file");
	domxml_set_attr(domxml_make(disk, "source"), to->block ? "dev" : "file",
			to->path);
	set_driver(disk, to->format);
}

static bool is_here(xmlNodePtr disk)
{
	xmlNodePtr source = domxml_child(disk, "source");
	autofree char *path = domxml_attr(
		source, domxml_attr_is(disk, "type", "block") ? "dev" : "file");

	return path != NULL && file_exists(path);
}

static bool is_removable(xmlNodePtr disk)
{
	return domxml_attr_is(disk, "device", "cdrom") ||
	       domxml_attr_is(disk, "device", "floppy");
}

/* What was found out at run time goes; the medium too when it is not here. */
static void keep_disk(xmlNodePtr disk)
{
	xmlNodePtr source = domxml_child(disk, "source");

	domxml_remove_all(disk, "backingStore");
	domxml_set_attr(source, "index", NULL);
	domxml_remove_all(source, "seclabel");
	if (is_here(disk))
		return;
	forget_source(disk);
	domxml_set_attr(disk, "type", "file");
}

static void take_out(xmlNodePtr disk, const char *target,
		     struct define_notes *notes)
{
	if (notes != NULL)
		define_notes_add(notes,
				 "disk %s is not in the point: it was taken "
				 "out of the definition",
				 target != NULL ? target : "?");
	domxml_remove(disk);
}

static void rewrite_disk(xmlNodePtr disk, const struct define_change *change)
{
	autofree char *target =
		domxml_attr(domxml_child(disk, "target"), "dev");
	const struct define_disk *to = named(change, target);
	bool readonly = domxml_child(disk, "readonly") != NULL;

	if (to != NULL && to->path != NULL)
		move_disk(disk, to);
	else if (to == NULL &&
		 (is_removable(disk) || (readonly && is_here(disk))))
		keep_disk(disk);
	else
		take_out(disk, target, change->notes);
}

static bool has_target(xmlNodePtr devices, const char *target)
{
	domxml_each(n, devices, "disk")
	{
		if (domxml_attr_is(domxml_child(n, "target"), "dev", target))
			return true;
	}
	return false;
}

int rewrite_disks(xmlNodePtr devices, const struct define_change *change,
		  struct err *e)
{
	for (size_t i = 0; i < change->disk_count; i++) {
		const char *target = change->disks[i].target;

		if (!has_target(devices, target))
			return err_set(e, ERR_USAGE,
				       "the definition has no disk '%s'",
				       target);
	}
	for (xmlNodePtr n = domxml_child(devices, "disk"), next; n != NULL;
	     n = next) {
		next = domxml_next(n, "disk");
		rewrite_disk(n, change);
	}
	return 0;
}
