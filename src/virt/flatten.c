/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/flatten.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/claim.h"
#include "virt/flatten_internal.h"
#include "virt/jot.h"
#include "virt/others_internal.h"
#include "virt/recover.h"
#include "virt/settle.h"

void flatten_note(struct flatten_report *report, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report->notes = mem_grow(report->notes, report->note_count + 1,
				 sizeof(*report->notes));
	report->notes[report->note_count++] = mem_vfmt(fmt, ap);
	va_end(ap);
}

static void disk_fini(struct flatten_disk *d)
{
	for (size_t i = 0; i < d->image_count; i++) {
		free(d->images[i].path);
		free(d->images[i].format);
	}
	free(d->images);
	free(d->target);
}

void flatten_report_fini(struct flatten_report *report)
{
	for (size_t i = 0; i < report->disk_count; i++)
		disk_fini(&report->disks[i]);
	for (size_t i = 0; i < report->note_count; i++)
		free(report->notes[i]);
	free(report->disks);
	free(report->notes);
	free(report->name);
	*report = (struct flatten_report){ .disks = NULL };
}

DEFINE_AUTO(journal_free, struct journal *);

/* ---- the journal ---- */

static int numbers(const char *path, char **dev, char **ino, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	*dev = mem_fmt("%llu", (unsigned long long)st.st_dev);
	*ino = mem_fmt("%llu", (unsigned long long)st.st_ino);
	return 0;
}

static int between_record(struct journal *j, const struct flatten_disk *d,
			  size_t at, struct err *e)
{
	autofree char *dev = NULL;
	autofree char *ino = NULL;

	if (numbers(d->images[at].path, &dev, &ino, e) < 0)
		return -1;
	return JOT(j, JOT_BETWEEN, e, { "target", d->target },
		   { "path", d->images[at].path }, { "dev", dev },
		   { "ino", ino });
}

static int disk_record(struct journal *j, const struct flatten_disk *d,
		       bool remove, struct err *e)
{
	const struct flatten_image *base = &d->images[flatten_base_at(d)];
	autofree char *size = mem_fmt("%llu", (unsigned long long)d->size);
	autofree char *dev = NULL;
	autofree char *ino = NULL;
	autofree char *odev = NULL;
	autofree char *oino = NULL;

	if (numbers(base->path, &dev, &ino, e) < 0 ||
	    numbers(d->images[0].path, &odev, &oino, e) < 0)
		return -1;
	return JOT(j, JOT_DISK, e, { "target", d->target },
		   { "base", base->path }, { "format", base->format },
		   { "dev", dev }, { "ino", ino },
		   { "overlay", d->images[0].path },
		   { "merge", remove ? "delete" : "keep" }, { "odev", odev },
		   { "oino", oino }, { "size", size });
}

static bool to_merge(const struct flatten_disk *d)
{
	return d->base > 0 && d->why.code == ERR_NONE;
}

static int write_plan(struct flatten *f, struct journal *j, struct err *e)
{
	const struct flatten_report *r = f->report;
	bool paused = f->domain->state == DOMAIN_PAUSED;

	if (claim_begin(j, f->conn, f->domain, paused, e) < 0)
		return -1;
	for (size_t i = 0; i < r->disk_count; i++) {
		const struct flatten_disk *d = &r->disks[i];

		if (!to_merge(d))
			continue;
		if (disk_record(j, d, f->opt->remove, e) < 0)
			return -1;
		for (size_t at = 1; at < flatten_base_at(d); at++) {
			if (between_record(j, d, at, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* ---- the work ---- */

static void note(void *ctx, const char *domain, const char *text, int failed)
{
	(void)domain;
	(void)failed;
	flatten_note(ctx, "%s", text);
}

static int merge_all(struct flatten *f, const struct talk *talk, struct err *e)
{
	autofree char *path = claim_journal(f->opt->state_dir, f->domain->uuid);
	AUTO(journal_free_at) struct journal *j = journal_new(path, e);
	const struct settle s = {
		.conn = f->conn,
		.journal_path = path,
		.journal = j,
		.talk = talk,
		.program = f->opt->watchdog,
		.cancel = f->opt->cancel,
		.ctx = f->report,
		.note = note,
	};

	if (!j)
		return -1;
	if (write_plan(f, j, e) < 0) {
		struct err ignored = ERR_INIT;

		(void)!journal_end(j, &ignored);
		return -1;
	}
	return settle_run(&s, e);
}

/* Where the domain is now, whatever was said. */
static void see_disk(const struct domain_info *now, struct flatten_disk *d)
{
	struct others_id base = others_id(d->images[flatten_base_at(d)].path);

	for (size_t i = 0; i < now->disk_count; i++) {
		const struct domain_disk *disk = &now->disks[i];
		struct others_id top = others_id(
			disk->chain_len > 0 ? disk->chain[0].path : NULL);

		if (strcmp(disk->target, d->target) == 0)
			d->done = others_same(&top, &base) && !disk->job_active;
	}
	for (size_t i = 0; i < d->image_count; i++)
		d->images[i].left = d->images[i].path == NULL ||
				    file_exists(d->images[i].path);
}

static void see_all(struct flatten *f)
{
	struct err ignored = ERR_INIT;
	AUTO(domain_info_free_at)
	struct domain_info *now =
		domain_inspect(f->conn, f->domain->uuid, &ignored);

	for (size_t i = 0; now && i < f->report->disk_count; i++) {
		if (to_merge(&f->report->disks[i]))
			see_disk(now, &f->report->disks[i]);
	}
}

/* The first reason of a disk, when there is no worse one. */
static int first_why(const struct flatten_report *r, struct err *e)
{
	for (size_t i = 0; i < r->disk_count; i++) {
		if (r->disks[i].why.code == ERR_NONE)
			continue;
		*e = r->disks[i].why;
		return -1;
	}
	return 0;
}

static bool any_to_merge(const struct flatten_report *r)
{
	for (size_t i = 0; i < r->disk_count; i++) {
		if (to_merge(&r->disks[i]))
			return true;
	}
	return false;
}

static int look(struct flatten *f, const char *domain, struct err *e)
{
	f->domain = domain_inspect(f->conn, domain, e);
	if (!f->domain)
		return -1;
	free(f->report->name);
	f->report->name = mem_strdup(f->domain->name);
	return 0;
}

static int work(struct flatten *f, const struct talk *talk, struct err *e)
{
	int ret;

	if (flatten_look(f, e) < 0)
		return -1;
	if (f->opt->dry_run || !any_to_merge(f->report))
		return first_why(f->report, e);
	ret = merge_all(f, talk, e);
	see_all(f);
	return ret < 0 ? -1 : first_why(f->report, e);
}

/* Under the lock all may be different. */
static int claimed(struct flatten *f, const struct talk *talk, struct err *e)
{
	autofree char *uuid = mem_strdup(f->domain->uuid);
	AUTO(fd_close_at) int lock = -1;

	if (recover_claim(f->conn, f->opt->state_dir, f->domain, talk, &lock,
			  e) < 0)
		return -1;
	domain_info_free(mem_take(&f->domain));
	return look(f, uuid, e) < 0 ? -1 : work(f, talk, e);
}

int flatten_run(struct conn *c, const char *domain,
		const struct flatten_options *options, const struct talk *talk,
		struct flatten_report *report, struct err *e)
{
	struct flatten f = { .conn = c, .opt = options, .report = report };
	int ret = -1;

	*report = (struct flatten_report){ .disks = NULL };
	if (look(&f, domain, e) == 0)
		ret = options->dry_run ? work(&f, talk, e)
				       : claimed(&f, talk, e);
	domain_info_free(f.domain);
	return ret;
}
