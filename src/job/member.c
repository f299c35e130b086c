/* SPDX-License-Identifier: Apache-2.0 */
#include "job/member.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/keys.h"
#include "job/describe.h"
#include "job/feed.h"
#include "job/gather.h"
#include "job/ram.h"
#include "job/revert.h"

/* ---- capture --------------------------------------------------------- */

int member_open(struct member *m, struct err *e)
{
	m->conn = conn_open(m->job->uri, e);
	if (m->conn == NULL)
		return -1;
	m->domain = domain_inspect(m->conn, m->name, e);
	if (m->domain == NULL)
		return -1;
	keys_random(m->point.b, ID_SIZE);
	return revert_pending(m->job, m->domain->uuid, e);
}

void member_paths(const struct member *m, const char ***paths, size_t *count)
{
	const struct capture_result *c = capture_result(m->capture);

	*paths = mem_zalloc(c->disk_count + 1, sizeof(**paths));
	*count = c->disk_count;
	for (size_t i = 0; i < c->disk_count; i++)
		(*paths)[i] = c->disks[i].path;
}

static int level_of(const char *word, struct err *e)
{
	static const enum capture_level levels[] = {
		LEVEL_RAM,
		LEVEL_FILESYSTEM,
		LEVEL_CRASH,
	};

	if (word == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(word, capture_level_text(levels[i])) == 0)
			return (int)levels[i];
	return err_set(e, ERR_USAGE,
		       "--require takes ram, filesystem or crash, not '%s'",
		       word);
}

static int method_of(const char *word, struct err *e)
{
	static const enum capture_method methods[] = {
		METHOD_AUTO,
		METHOD_SNAPSHOT,
		METHOD_OVERLAY,
		METHOD_SUSPEND,
	};

	if (word == NULL)
		return METHOD_AUTO;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(word, capture_method_text(methods[i])) == 0)
			return (int)methods[i];
	return err_set(e, ERR_USAGE,
		       "a method is auto, snapshot, overlay or suspend, not "
		       "'%s'",
		       word);
}

int member_capture(struct member *m, const struct job_backup *asked,
		   struct err *e)
{
	const struct job *j = m->job;
	int require = level_of(asked->require, e);
	int method = require < 0 ? -1 : method_of(asked->method, e);

	if (method < 0)
		return -1;
	if (method != METHOD_OVERLAY)
		m->no_snaps = snapped_refusal_of(
			m->conn, m->domain, asked->disks, asked->disk_count);
	const struct capture_options o = {
		.method = (enum capture_method)method,
		.no_snaps = m->no_snaps,
		.memory = asked->memory,
		.require = require,
		.only_disks = asked->disks,
		.only_count = asked->disk_count,
		.overlay_dir = j->overlay_dir,
		.spool_dir = j->spool_dir,
		.state_dir = j->state_dir,
		.watchdog = "/proc/self/exe",
		.cancel = j->cancel,
	};

	m->capture = capture_new(m->conn, m->domain, &o, j->talk, e);
	return m->capture != NULL ? 0 : -1;
}

void member_lose(struct member *m, const struct err *e)
{
	if (m->lost)
		return;
	m->lost = true;
	m->item->ok = false;
	m->item->err = *e;
	err_ctx(&m->item->err, "backup '%s'", m->name);
}

void member_end(struct member *m)
{
	struct err e = ERR_INIT;

	if (m->capture == NULL || capture_end(mem_take(&m->capture), &e) == 0)
		return;
	result_strings_add(&m->item->warnings, "%s", e.msg);
	m->item->degraded = true;
}

void member_fini(struct member *m)
{
	member_end(m);
	domain_info_free(m->domain);
	conn_close(m->conn);
	free(m->no_snaps);
}

/* ---- reading --------------------------------------------------------- */

struct reading {
	struct member *m;
	struct snapped *snapped;
	struct intake *in;
	struct point *point;
};

static int check_on(void *ctx, struct err *e)
{
	const struct reading *r = ctx;

	if (capture_check(r->m->capture, e) < 0)
		return -1;
	return capture_snaps(r->m->capture) ? snapped_check(r->snapped, e) : 0;
}

/* All of it is of one instant, or there is no point. */
static int sure(const struct reading *r, struct err *e)
{
	if (capture_sure(r->m->capture, e) < 0)
		return -1;
	return capture_snaps(r->m->capture) ? snapped_sure(r->snapped, e) : 0;
}

static struct feed feed_of(struct reading *r, const char *what)
{
	return (struct feed){
		.job = r->m->job,
		.in = r->in,
		.what = what,
		.check = check_on,
		.check_ctx = r,
	};
}

static int read_disk(struct reading *r, const struct capture_disk *cd,
		     struct err *e)
{
	autofree char *what = mem_fmt("%s: %s", r->m->domain->name, cd->target);
	bool snap = capture_snaps(r->m->capture);
	struct feed f = feed_of(r, what);
	const struct disk_image source = {
		.path = snap ? snapped_path(r->snapped, cd->path, e) : cd->path,
		.format = cd->format,
		.shared = cd->shared,
		.yields = cd->yields,
		.connections = FEED_CONNECTIONS,
		.socket_dir = r->m->job->state_dir,
	};
	AUTO(disk_close_at)
	struct disk *d = source.path ? disk_open_image(&source, e) : NULL;
	struct image_root root;

	if (d == NULL || feed_disk(&f, d, &root, e) < 0 || disk_sure(d, e) < 0)
		return err_ctx(e, "disk %s", cd->target);
	struct image *i = gather_image(r->point, IMAGE_DISK, cd->target, &root);

	attrs_set(&i->attrs, ATTR_FORMAT, cd->format);
	attrs_set(&i->attrs, ATTR_SOURCE, cd->path);
	return 0;
}

static int read_memory(struct reading *r, const char *path, struct err *e)
{
	autofree char *what = mem_fmt("%s: memory", r->m->domain->name);
	struct feed f = feed_of(r, what);

	if (ram_feed(&f, path, r->point, e) < 0)
		return err_ctx(e, "RAM");
	return capture_drop_memory(r->m->capture, e);
}

enum image_kind member_file_kind(const struct capture_file *file)
{
	if (file->folder != NULL)
		return IMAGE_TPM;
	return strcmp(file->name, IMAGE_NVRAM_NAME) == 0 ? IMAGE_NVRAM
							 : IMAGE_XML;
}

void member_file_attrs(const struct capture_file *file, struct image *image)
{
	if (file->folder != NULL)
		attrs_set(&image->attrs, ATTR_FOLDER, file->folder);
	if (file->owner != NULL)
		attrs_set(&image->attrs, ATTR_OWNER, file->owner);
}

static int read_file(struct reading *r, const struct capture_file *file,
		     struct err *e)
{
	struct image_root root;

	if (intake_bytes(r->in, file->data.p, file->data.len, &root, e) < 0)
		return err_ctx(e, "%s", file->name);
	member_file_attrs(file, gather_image(r->point, member_file_kind(file),
					     file->name, &root));
	return 0;
}

static int read_all(struct reading *r, struct err *e)
{
	const struct capture_result *c = capture_result(r->m->capture);

	for (size_t i = 0; i < c->disk_count; i++)
		if (read_disk(r, &c->disks[i], e) < 0)
			return -1;
	if (c->memory != NULL && read_memory(r, c->memory, e) < 0)
		return -1;
	for (size_t i = 0; i < c->file_count; i++)
		if (read_file(r, &c->files[i], e) < 0)
			return -1;
	return sure(r, e);
}

/* ---- the point ------------------------------------------------------- */

static void add_notes(struct point *p, char *const *notes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		autofree char *key = mem_fmt(ATTR_NOTE "%03zu", i);

		attrs_set(&p->attrs, key, notes[i]);
	}
}

struct point *member_point(struct member *m, struct set *set)
{
	const struct capture_result *c = capture_result(m->capture);
	struct point *p = gather_point(set, m->domain->name, c->time_ns);

	p->id = m->point;
	attrs_set(&p->attrs, ATTR_LEVEL, capture_level_text(c->level));
	attrs_set(&p->attrs, ATTR_METHOD, c->method);
	attrs_set(&p->attrs, ATTR_UUID, m->domain->uuid);
	attrs_setf(&p->attrs, ATTR_PAUSE, "%llu",
		   (unsigned long long)c->pause_ms);
	if (m->domain->state == DOMAIN_PAUSED)
		attrs_set(&p->attrs, ATTR_PAUSED, "yes");
	add_notes(p, c->notes, c->note_count);
	m->item->degraded = m->item->degraded || c->degraded;
	return p;
}

int member_read(struct member *m, struct snapped *snapped, struct intake *in,
		struct set *set, struct err *e)
{
	struct reading r = {
		.m = m,
		.snapped = snapped,
		.in = in,
		.point = member_point(m, set),
	};

	if (read_all(&r, e) == 0) {
		if (capture_snaps(m->capture))
			attrs_setf(&r.point->attrs, ATTR_SNAPS, "%llu",
				   (unsigned long long)snapped_ms(snapped));
		return 0;
	}
	point_fini(r.point);
	set->point_count--;
	return gather_failed(e);
}
