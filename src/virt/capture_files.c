/* SPDX-License-Identifier: Apache-2.0 */

/* The small files of a point: definitions, firmware variables, the TPM. */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/conn_internal.h"
#include "virt/sight.h"
#include "virt/tpm.h"

#define NVRAM_MAX ((size_t)64 << 20)

static struct capture_file *file_of(struct capture *cap, const char *name)
{
	struct capture_result *r = &cap->result;

	for (size_t i = 0; i < r->file_count; i++) {
		if (strcmp(r->files[i].name, name) == 0)
			return &r->files[i];
	}
	r->files = mem_grow(r->files, r->file_count + 1, sizeof(*r->files));
	r->files[r->file_count] = (struct capture_file){
		.name = mem_strdup(name),
	};
	return &r->files[r->file_count++];
}

void capture_file_fini(struct capture_file *f)
{
	free(f->name);
	free(f->folder);
	free(f->owner);
	buf_fini(&f->data);
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

/* ---- firmware variables ---- */

/* What the file has now, into the result.  1 when it had that before. */
static int read_nvram(struct capture *cap, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct capture_file *f;
	bool same;

	if (file_load(cap->domain->nvram, NVRAM_MAX, &b, e) < 0)
		return err_ctx(e, "firmware variables");
	f = file_of(cap, "nvram");
	same = b.len == f->data.len &&
	       (b.len == 0 || memcmp(b.p, f->data.p, b.len) == 0);
	buf_fini(&f->data);
	f->data = b;
	b = (struct buf)BUF_INIT;
	return same;
}

static int nvram_before(struct capture *cap, struct err *e)
{
	if (!cap->domain->nvram || read_nvram(cap, e) >= 0)
		return 0;
	/* never started: there are none yet */
	if (e->code != ERR_NOT_FOUND || cap->mode != MODE_OFF)
		return -1;
	err_clear(e);
	return 0;
}

/* ---- the TPM ---- */

/* As read_nvram(). */
static int read_tpm(struct capture *cap, struct err *e)
{
	AUTO(tpm_fini) struct tpm_state now = { .files = NULL };
	autofree char *folder =
		tpm_folder(cap->conn, cap->domain->uuid, cap->domain->tpm_path);
	bool same;

	if (folder && tpm_load(folder, &now, e) < 0)
		return -1;
	same = tpm_equal(&cap->tpm, &now);
	tpm_fini(&cap->tpm);
	cap->tpm = now;
	now = (struct tpm_state){ .files = NULL };
	return same;
}

/* libvirt makes it at the first start. */
static int tpm_before(struct capture *cap, struct err *e)
{
	if (!cap->domain->tpm)
		return 0;
	if (read_tpm(cap, e) < 0)
		return -1;
	if (cap->tpm.count == 0 && cap->mode != MODE_OFF)
		capture_note(cap, "the state of the TPM is not where libvirt "
				  "keeps it, and not in this point");
	return 0;
}

void capture_state_files(struct capture *cap)
{
	for (size_t i = 0; i < cap->tpm.count; i++) {
		struct tpm_file *from = &cap->tpm.files[i];
		struct capture_file *f = file_of(cap, from->name);

		capture_file_fini(f);
		*f = (struct capture_file){
			.name = mem_take(&from->name),
			.folder = mem_take(&from->folder),
			.owner = mem_take(&from->owner),
			.data = from->data,
		};
		from->data = (struct buf)BUF_INIT;
	}
	tpm_fini(&cap->tpm);
}

/* ---- both ---- */

int capture_state_before(struct capture *cap, struct err *e)
{
	cap->result.state_exact = true;
	if (nvram_before(cap, e) < 0)
		return -1;
	return tpm_before(cap, e);
}

static void judge(struct capture *cap, const char *what, int same,
		  const struct err *e)
{
	if (same == 1 || (same == 0 && cap->stands))
		return;
	cap->result.state_exact = false;
	if (same < 0)
		capture_note(cap, "%s could not be read at the instant: %s",
			     what, e->msg);
	else
		capture_note(cap,
			     "the guest changed %s around the instant: what "
			     "is in the point is a moment younger",
			     what);
}

void capture_state_after(struct capture *cap)
{
	struct err e = ERR_INIT;

	if (cap->domain->nvram)
		judge(cap, "its firmware variables", read_nvram(cap, &e), &e);
	err_clear(&e);
	if (cap->domain->tpm)
		judge(cap, "the state of its TPM", read_tpm(cap, &e), &e);
}
