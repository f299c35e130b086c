/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/rewrite.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "virt/domxml.h"

static int draw(void *to, size_t n, struct err *e)
{
	if (getrandom(to, n, 0) != (ssize_t)n)
		return err_sys(e, "cannot draw random numbers");
	return 0;
}

/* RFC 4122, version 4. */
static int new_uuid(char out[CONN_UUID_TEXT], struct err *e)
{
	static const uint8_t dashes[] = { 8, 13, 18, 23 };
	uint8_t b[16];
	char hex[33];

	if (draw(b, sizeof(b), e) < 0)
		return -1;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	hex_encode(b, sizeof(b), hex);
	for (size_t i = 0, from = 0, d = 0; i < CONN_UUID_TEXT; i++) {
		if (d < sizeof(dashes) && i == dashes[d]) {
			out[i] = '-';
			d++;
		} else {
			out[i] = hex[from++];
		}
	}
	return 0;
}

/* The vendor's three bytes stay, for guests that look at them. */
static int new_mac(xmlNodePtr mac, struct err *e)
{
	autofree char *old = domxml_attr(mac, "address");
	uint8_t b[3];

	if (old == NULL || strlen(old) != 17)
		return 0;
	if (draw(b, sizeof(b), e) < 0)
		return -1;
	autofree char *address =
		mem_fmt("%.8s:%02x:%02x:%02x", old, b[0], b[1], b[2]);
	domxml_set_attr(mac, "address", address);
	return 0;
}

static int new_macs(xmlNodePtr devices, struct err *e)
{
	domxml_each(n, devices, "interface")
	{
		if (new_mac(domxml_child(n, "mac"), e) < 0)
			return -1;
	}
	return 0;
}

/* libvirt wants the same UUID in SMBIOS, where it is said there. */
static void smbios_uuid(xmlNodePtr domain, const char *uuid)
{
	domxml_each(n, domxml_path(domain, "sysinfo/system"), "entry")
	{
		if (domxml_attr_is(n, "name", "uuid"))
			domxml_set_text(n, uuid);
	}
}

/* A port of the original's would be taken while that one runs. */
static void free_ports(xmlNodePtr devices)
{
	domxml_each(n, devices, "graphics")
	{
		if (!domxml_attr_is(n, "type", "vnc") &&
		    !domxml_attr_is(n, "type", "spice"))
			continue;
		domxml_set_attr(n, "port", NULL);
		domxml_set_attr(n, "tlsPort", NULL);
		domxml_set_attr(n, "websocket", NULL);
		domxml_set_attr(n, "autoport", "yes");
	}
}

static int new_ids(xmlNodePtr domain, struct err *e)
{
	xmlNodePtr genid = domxml_child(domain, "genid");
	char uuid[CONN_UUID_TEXT];
	char gen[CONN_UUID_TEXT];

	if (new_uuid(uuid, e) < 0 || new_uuid(gen, e) < 0)
		return -1;
	domxml_set_text(domxml_make(domain, "uuid"), uuid);
	if (genid != NULL)
		domxml_set_text(genid, gen);
	smbios_uuid(domain, uuid);
	return 0;
}

int rewrite_identity(xmlNodePtr domain, const struct define_change *change,
		     struct err *e)
{
	xmlNodePtr devices = domxml_child(domain, "devices");

	if (change->name != NULL)
		domxml_set_text(domxml_make(domain, "name"), change->name);
	if (!change->new_identity)
		return 0;
	free_ports(devices);
	if (new_ids(domain, e) < 0)
		return -1;
	return new_macs(devices, e);
}
