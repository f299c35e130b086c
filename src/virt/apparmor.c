/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/apparmor.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/conn_internal.h"
#include "virt/domxml.h"

#define FIXED_IN  12001000
#define RULES_DIR "/etc/apparmor.d/libvirt"
#define MODES     "/sys/kernel/security/apparmor/profiles"
#define MAX_RULES (4u << 20)

/* "  deny "PATH" w," of exactly this path. */
static bool denies(const char *rules, const char *path)
{
	autofree char *rule = mem_fmt("deny \"%s\" w,", path);

	return strstr(rules, rule) != NULL;
}

/* A helper that lets files be read only and denies nothing is a mended one. */
static bool is_mended(const char *rules)
{
	return strstr(rules, "deny \"") == NULL &&
	       strstr(rules, "\" rk,") != NULL;
}

static bool is_enforced(const struct domain_info *d, const char *modes)
{
	autofree char *lax = mem_fmt("libvirt-%s (complain)", d->uuid);

	return modes == NULL || strstr(modes, lax) == NULL;
}

static const char *denied_image(const struct domain_info *d, const char *rules)
{
	for (size_t i = 0; i < d->disk_count; i++) {
		const struct domain_disk *disk = &d->disks[i];

		for (size_t n = 0; disk->captured && n < disk->chain_len; n++) {
			const char *path = disk->chain[n].path;

			if (path != NULL && denies(rules, path))
				return path;
		}
	}
	return NULL;
}

static size_t captured(const struct domain_info *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->disk_count; i++)
		n += d->disks[i].captured;
	return n;
}

char *apparmor_refuses(const struct domain_info *d,
		       const struct apparmor_facts *f)
{
	const char *rules = f->rules != NULL ? f->rules : "";

	if (!f->confined || f->libvirt >= FIXED_IN ||
	    !is_enforced(d, f->modes) || is_mended(rules))
		return NULL;
	const char *path = denied_image(d, rules);

	if (path != NULL)
		return mem_fmt("AppArmor forbids writing to the backing file "
			       "'%s' (libvirt before 12.1)" APPARMOR_CURE,
			       path);
	if (captured(d) > 1)
		return mem_strdup("with several disks AppArmor forbids merging "
				  "the overlays of all but the first (libvirt "
				  "before 12.1)" APPARMOR_CURE);
	return NULL;
}

static bool is_confined(const char *xml)
{
	struct err ignored = ERR_INIT;
	autodoc xmlDocPtr doc = domxml_parse(xml, "domain", &ignored);

	if (doc == NULL)
		return false;
	domxml_each(n, xmlDocGetRootElement(doc), "seclabel")
	{
		if (domxml_attr_is(n, "model", "apparmor") &&
		    !domxml_attr_is(n, "type", "none"))
			return true;
	}
	return false;
}

static const char *load(const char *path, struct buf *b)
{
	struct err ignored = ERR_INIT;

	if (file_load(path, MAX_RULES, b, &ignored) < 0)
		return NULL;
	*buf_room(b, 1) = 0;
	return (const char *)b->p;
}

char *apparmor_ask(struct conn *c, const struct domain_info *d, const char *xml)
{
	autofree char *path = mem_fmt(RULES_DIR "/libvirt-%s.files", d->uuid);
	struct buf rules = BUF_INIT;
	struct buf modes = BUF_INIT;
	struct apparmor_facts f = { .confined = is_confined(xml),
				    .libvirt = conn_libvirt_version(c) };
	char *why = NULL;

	if (f.confined) {
		f.rules = load(path, &rules);
		f.modes = load(MODES, &modes);
		why = apparmor_refuses(d, &f);
	}
	buf_fini(&rules);
	buf_fini(&modes);
	return why;
}
