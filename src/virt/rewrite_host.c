/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/rewrite.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "virt/domxml.h"

/* Folders of the system's daemon, of sessions, and of private ones. */
bool rewrite_is_libvirts(const char *path)
{
	return strstr(path, "/libvirt/qemu/") != NULL ||
	       strstr(path, "/lib/qemu/channel/") != NULL;
}

static bool is_element(xmlNodePtr n, const char *name)
{
	return xmlStrEqual(n->name, (const xmlChar *)name);
}

/* -- labels and names that libvirt makes at each start ------------------ */

/* A label is the old host's users, categories or profile.  That there shall
 * be none at all is a wish and stays. */
static void drop_labels(xmlNodePtr n)
{
	for (xmlNodePtr c = domxml_child(n, NULL), next; c != NULL; c = next) {
		next = domxml_next(c, NULL);
		if (is_element(c, "metadata"))
			continue; /* not libvirt's */
		if (!is_element(c, "seclabel"))
			drop_labels(c);
		else if (domxml_has(c, "model") ||
			 !domxml_attr_is(c, "type", "none"))
			domxml_remove(c);
	}
}

static void drop_alias(xmlNodePtr n)
{
	xmlNodePtr alias = domxml_child(n, "alias");
	autofree char *name = domxml_attr(alias, "name");

	/* "ua-": the user's own. */
	if (name == NULL || strncmp(name, "ua-", 3) != 0)
		domxml_remove(alias);
}

static void interface(xmlNodePtr n)
{
	static const char *const prefixes[] = { "vnet", "vif", "macvtap",
						"macvlan" };
	xmlNodePtr target = domxml_child(n, "target");
	autofree char *dev = domxml_attr(target, "dev");

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		if (dev != NULL &&
		    strncmp(dev, prefixes[i], strlen(prefixes[i])) == 0)
			domxml_set_attr(target, "dev", NULL);
	}
	if (target != NULL && target->properties == NULL)
		domxml_remove(target);
	if (domxml_attr_is(n, "type", "network")) {
		domxml_set_attr(domxml_child(n, "source"), "portid", NULL);
		domxml_set_attr(domxml_child(n, "source"), "bridge", NULL);
	}
}

static void graphics(xmlNodePtr n)
{
	autofree char *socket = domxml_attr(n, "socket");

	if (socket != NULL && rewrite_is_libvirts(socket))
		domxml_set_attr(n, "socket", NULL);
	domxml_each(l, n, "listen")
	{
		autofree char *at = domxml_attr(l, "socket");

		if (at != NULL && rewrite_is_libvirts(at))
			domxml_set_attr(l, "socket", NULL);
	}
}

/* -- character devices -------------------------------------------------- */

/* Can a file or socket be made of this name? */
static bool has_folder(const char *path)
{
	autofree char *dir = path_dir(path);

	return access(dir, F_OK) == 0;
}

static bool is_type(xmlNodePtr n, const char *a, const char *b)
{
	return domxml_attr_is(n, "type", a) || domxml_attr_is(n, "type", b);
}

/* Is the other end of this port missing on this host? */
static bool is_lost(xmlNodePtr n, const char *path)
{
	if (is_type(n, "dev", "pipe"))
		return !file_exists(path);
	return is_type(n, "file", "unix") && !has_folder(path);
}

static void chardev(xmlNodePtr n)
{
	xmlNodePtr source = domxml_child(n, "source");
	xmlNodePtr log = domxml_child(n, "log");
	autofree char *path = domxml_attr(source, "path");
	autofree char *log_file = domxml_attr(log, "file");

	if (log_file != NULL && !has_folder(log_file))
		domxml_remove(log);
	domxml_set_attr(n, "tty", NULL);
	if (path == NULL)
		return;
	bool lost = is_lost(n, path);

	if (!lost && !domxml_attr_is(n, "type", "pty") &&
	    !rewrite_is_libvirts(path))
		return;
	domxml_remove(source);
	/* libvirt names a channel's socket itself; of other ports it wants to
	 * be told, or a pty. */
	if (!is_element(n, "channel") || !domxml_attr_is(n, "type", "unix"))
		domxml_set_attr(n, "type", "pty");
}

/* -- firmware ----------------------------------------------------------- */

static void set_nvram(xmlNodePtr nvram, const char *path)
{
	domxml_set_attr(nvram, "type", NULL);
	domxml_set_text(nvram, path);
}

static void keep_nvram(xmlNodePtr nvram, bool new_identity)
{
	autofree char *path = domxml_text(nvram);

	/* With a <source> there is no text. */
	if (path == NULL || (!new_identity && file_exists(path)))
		return;
	set_nvram(nvram, "");
}

static void firmware(xmlNodePtr os, const struct define_change *change)
{
	xmlNodePtr loader = domxml_child(os, "loader");
	xmlNodePtr nvram = domxml_child(os, "nvram");
	autofree char *path = domxml_text(loader);

	if (domxml_has(os, "firmware") && path != NULL && !file_exists(path)) {
		domxml_remove(loader);
		domxml_set_attr(nvram, "template", NULL);
	}
	if (change->nvram != NULL)
		set_nvram(domxml_make(os, "nvram"), change->nvram);
	else if (nvram != NULL)
		keep_nvram(nvram, change->new_identity);
}

static void emulator(xmlNodePtr devices)
{
	xmlNodePtr n = domxml_child(devices, "emulator");
	autofree char *path = domxml_text(n);

	if (path != NULL && access(path, X_OK) != 0)
		domxml_remove(n);
}

/* Where the state is: the old host's, or the original's (libvirt 10.10). */
static void tpm(xmlNodePtr n)
{
	xmlNodePtr backend = domxml_child(n, "backend");

	if (domxml_attr_is(backend, "type", "emulator"))
		domxml_remove_all(backend, "source");
}

static const struct {
	const char *element;
	void (*rewrite)(xmlNodePtr n);
} device_rewrites[] = {
	{ "interface", interface },
	{ "graphics", graphics },
	{ "serial", chardev },
	{ "console", chardev },
	{ "parallel", chardev },
	{ "channel", chardev },
	{ "tpm", tpm },
};

static void device(xmlNodePtr n)
{
	size_t count = sizeof(device_rewrites) / sizeof(*device_rewrites);

	drop_alias(n);
	for (size_t i = 0; i < count; i++) {
		if (strcmp((const char *)n->name, device_rewrites[i].element) ==
		    0)
			device_rewrites[i].rewrite(n);
	}
}

void rewrite_host(xmlNodePtr domain, const struct define_change *change)
{
	xmlNodePtr devices = domxml_child(domain, "devices");

	domxml_set_attr(domain, "id", NULL);
	drop_labels(domain);
	firmware(domxml_child(domain, "os"), change);
	emulator(devices);
	domxml_each(n, devices, NULL)
	{
		device(n);
	}
}
