/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/snapxml.h"

#include <string.h>

static void put(struct buf *out, const char *text)
{
	wr_bytes(out, text, strlen(text));
}

void snapxml_escape(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '<':
			put(out, "&lt;");
			break;
		case '>':
			put(out, "&gt;");
			break;
		case '&':
			put(out, "&amp;");
			break;
		case '\'':
			put(out, "&apos;");
			break;
		case '"':
			put(out, "&quot;");
			break;
		default:
			wr_bytes(out, p, 1);
			break;
		}
	}
}

static void put_attr(struct buf *out, const char *name, const char *value)
{
	put(out, " ");
	put(out, name);
	put(out, "='");
	snapxml_escape(out, value);
	put(out, "'");
}

static void put_disk(struct buf *out, const struct snapxml_disk *d)
{
	const char *otherwise = d->manual ? "manual" : "no";

	put(out, "<disk");
	put_attr(out, "name", d->target);
	put_attr(out, "snapshot", d->overlay ? "external" : otherwise);
	if (!d->overlay) {
		put(out, "/>");
		return;
	}
	/* type='file' also over a block device: the overlay is a file. */
	put(out, " type='file'><driver type='qcow2'/><source");
	put_attr(out, "file", d->overlay);
	put(out, "/></disk>");
}

void snapxml_write(const char *memory, const struct snapxml_disk *disks,
		   size_t count, struct buf *out)
{
	put(out, "<domainsnapshot><memory");
	put_attr(out, "snapshot", memory ? "external" : "no");
	if (memory)
		put_attr(out, "file", memory);
	put(out, "/><disks>");
	for (size_t i = 0; i < count; i++)
		put_disk(out, &disks[i]);
	put(out, "</disks></domainsnapshot>");
	wr_u8(out, 0);
}
