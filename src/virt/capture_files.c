/* SPDX-License-Identifier: Apache-2.0 */

/* The small files of a point: definitions and firmware variables. */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/conn_internal.h"
#include "virt/sight.h"

#define NVRAM_MAX ((size_t)64 << 20)

static struct capture_file *file_of(struct capture *cap, const char *name)
{
	struct capture_result *r = &cap->result;

	for (size_t i = 0; i < r->file_count; i++) {
		if (strcmp(r->files[i].name, name) == 0)
			return &r->files[i];
	}
	r->files = mem_grow(r->files, r->file_count + 1, sizeof(*r->files));
	r->files[r->file_count] = (struct capture_file){ .name = name };
	return &r->files[r->file_count++];
}

static int keep_xml(struct capture *cap, const char *name, unsigned flags,
		    struct err *e)
{
	autofree char *xml = sight_xml(cap->conn, cap->domain->uuid,
				       flags | VIR_DOMAIN_XML_SECURE, e);
	struct capture_file *f;

	if (!xml)
		return -1;
	f = file_of(cap, name);
	buf_clear(&f->data);
	wr_bytes(&f->data, xml, strlen(xml));
	return 0;
}

int capture_definitions(struct capture *cap, struct err *e)
{
	if (cap->mode != MODE_OFF && keep_xml(cap, "live.xml", 0, e) < 0)
		return -1;
	if (cap->domain->persistent &&
	    keep_xml(cap, "inactive.xml", VIR_DOMAIN_XML_INACTIVE, e) < 0)
		return -1;
	return keep_xml(cap, "migratable.xml", VIR_DOMAIN_XML_MIGRATABLE, e);
}

int capture_nvram_before(struct capture *cap, struct err *e)
{
	struct capture_file *f;
	AUTO(buf_fini) struct buf b = BUF_INIT;

	cap->result.nvram_exact = true;
	if (!cap->domain->nvram)
		return 0;
	if (file_load(cap->domain->nvram, NVRAM_MAX, &b, e) < 0) {
		/* never started: there are none yet */
		if (e->code != ERR_NOT_FOUND || cap->mode != MODE_OFF)
			return err_ctx(e, "firmware variables");
		err_clear(e);
		return 0;
	}
	f = file_of(cap, "nvram");
	buf_fini(&f->data);
	f->data = b;
	b = (struct buf)BUF_INIT;
	return 0;
}

void capture_nvram_after(struct capture *cap)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct capture_file *f;

	if (!cap->domain->nvram || cap->mode == MODE_OFF)
		return;
	f = file_of(cap, "nvram");
	if (file_load(cap->domain->nvram, NVRAM_MAX, &b, &e) == 0 &&
	    b.len == f->data.len &&
	    (b.len == 0 || memcmp(b.p, f->data.p, b.len) == 0))
		return;
	cap->result.nvram_exact = false;
	capture_note(cap, "the guest changed its firmware variables around "
			  "the instant: those in the point are a moment older");
}
