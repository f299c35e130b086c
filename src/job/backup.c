/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/feed.h"
#include "job/gather.h"
#include "job/open.h"
#include "job/ram.h"
#include "virt/capture.h"

/*
 * The way of a block: the capture freezes an instant; its disks are read over
 * NBD, its RAM and definition as files; the intake hashes, cuts, looks up,
 * compresses, seals and packs; the capture is undone as soon as the last byte
 * is read, for the guest comes first; the commit makes the point exist.
 */

/* One domain's backup under way. */
struct backup {
	const struct job *job;
	const struct job_backup *asked;
	struct repo *repo;
	struct conn *conn;
	struct domain_info *domain;
	struct capture *capture;
	struct intake *intake;
	struct set set;
	struct result_backup_item *item;
};

/* Put the guest's side back.  Should that fail, the user hears of it beside
 * what else there is to say; it is in the journal. */
static void end_capture(struct backup *b)
{
	struct err e = ERR_INIT;

	if (capture_end(mem_take(&b->capture), &e) == 0)
		return;
	result_strings_add(&b->item->warnings, "%s", e.msg);
	b->item->degraded = true;
}

static void backup_fini(struct backup *b)
{
	if (b->capture != NULL)
		end_capture(b);
	intake_close(b->intake);
	set_fini(&b->set);
	domain_info_free(b->domain);
}

/* ---- capture --------------------------------------------------------- */

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

static int no_snaps(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

static int begin(struct backup *b, struct err *e)
{
	const struct capture_instant instant = { .take = no_snaps };
	const struct job *j = b->job;
	int require = level_of(b->asked->require, e);
	const struct capture_options o = {
		.no_snaps = "no storage snapshots yet",
		.memory = b->asked->memory,
		.require = require,
		.only_disks = b->asked->disks,
		.only_count = b->asked->disk_count,
		.overlay_dir = j->overlay_dir,
		.spool_dir = j->spool_dir,
		.state_dir = j->state_dir,
		.watchdog = "/proc/self/exe",
		.cancel = j->cancel,
	};

	if (require < 0)
		return -1;
	b->capture = capture_new(b->conn, b->domain, &o, j->talk, e);
	if (b->capture == NULL)
		return -1;
	return capture_take(&b->capture, 1, &instant, e);
}

/* ---- reading --------------------------------------------------------- */

static int check_capture(void *ctx, struct err *e)
{
	return capture_check(ctx, e);
}

static struct feed feed_of(struct backup *b, const char *what)
{
	return (struct feed){
		.job = b->job,
		.in = b->intake,
		.what = what,
		.check = check_capture,
		.check_ctx = b->capture,
	};
}

static int read_disk(struct backup *b, const struct capture_disk *cd,
		     struct point *p, struct err *e)
{
	autofree char *what = mem_fmt("%s: %s", b->domain->name, cd->target);
	struct feed f = feed_of(b, what);
	const struct disk_image source = {
		.path = cd->path,
		.format = cd->format,
		.shared = cd->shared,
		.yields = cd->yields,
		.connections = FEED_CONNECTIONS,
		.socket_dir = b->job->state_dir,
	};
	AUTO(disk_close_at) struct disk *d = disk_open_image(&source, e);
	struct image_root root;

	if (d == NULL || feed_disk(&f, d, &root, e) < 0 || disk_sure(d, e) < 0)
		return err_ctx(e, "disk %s", cd->target);
	struct image *i = gather_image(p, IMAGE_DISK, cd->target, &root);

	attrs_set(&i->attrs, ATTR_FORMAT, cd->format);
	attrs_set(&i->attrs, ATTR_SOURCE, cd->path);
	return 0;
}

static int read_memory(struct backup *b, const char *path, struct point *p,
		       struct err *e)
{
	autofree char *what = mem_fmt("%s: memory", b->domain->name);
	struct feed f = feed_of(b, what);

	if (ram_feed(&f, path, p, e) < 0)
		return err_ctx(e, "RAM");
	return capture_drop_memory(b->capture, e);
}

static int read_file(struct backup *b, const struct capture_file *file,
		     struct point *p, struct err *e)
{
	bool nvram = strcmp(file->name, IMAGE_NVRAM_NAME) == 0;
	struct image_root root;

	if (intake_bytes(b->intake, file->data.p, file->data.len, &root, e) < 0)
		return err_ctx(e, "%s", file->name);
	gather_image(p, nvram ? IMAGE_NVRAM : IMAGE_XML, file->name, &root);
	return 0;
}

static int read_all(struct backup *b, struct point *p, struct err *e)
{
	const struct capture_result *c = capture_result(b->capture);

	for (size_t i = 0; i < c->disk_count; i++)
		if (read_disk(b, &c->disks[i], p, e) < 0)
			return -1;
	if (c->memory != NULL && read_memory(b, c->memory, p, e) < 0)
		return -1;
	for (size_t i = 0; i < c->file_count; i++)
		if (read_file(b, &c->files[i], p, e) < 0)
			return -1;
	/* all of it is of one instant, or there is no point */
	return capture_sure(b->capture, e);
}

/* ---- the point ------------------------------------------------------- */

static void add_notes(struct point *p, char *const *notes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		autofree char *key = mem_fmt(ATTR_NOTE "%03zu", i);

		attrs_set(&p->attrs, key, notes[i]);
	}
}

static struct point *new_point(struct backup *b)
{
	const struct capture_result *c = capture_result(b->capture);
	struct point *p = gather_point(&b->set, b->domain->name, c->time_ns);

	attrs_set(&p->attrs, ATTR_LEVEL, capture_level_text(c->level));
	attrs_set(&p->attrs, ATTR_METHOD, c->method);
	attrs_set(&p->attrs, ATTR_UUID, b->domain->uuid);
	attrs_setf(&p->attrs, ATTR_PAUSE, "%llu",
		   (unsigned long long)c->pause_ms);
	if (b->domain->state == DOMAIN_PAUSED)
		attrs_set(&p->attrs, ATTR_PAUSED, "yes");
	add_notes(p, c->notes, c->note_count);
	b->item->degraded = c->degraded;
	return p;
}

static int backup_steps(struct backup *b, const char *name, struct err *e)
{
	b->domain = domain_inspect(b->conn, name, e);
	if (b->domain == NULL)
		return -1;
	/* what the repository refuses is known before the guest is touched */
	b->intake = intake_open(b->repo, &(struct intake_options){ 0 }, e);
	if (b->intake == NULL || job_stopped(b->job, e) < 0 || begin(b, e) < 0)
		return -1;
	struct point *p = new_point(b);

	if (read_all(b, p, e) < 0)
		return -1;
	/* before the commit; the data is whole also when this fails */
	end_capture(b);
	return intake_commit(b->intake, &b->set, e);
}

static int backup_domain(const struct job *j, const struct job_backup *asked,
			 struct repo *repo, struct conn *conn, const char *name,
			 struct result_backup *result)
{
	struct result_backup_item *item = &result->items[result->count++];
	AUTO(backup_fini)
	struct backup b = {
		.job = j,
		.asked = asked,
		.repo = repo,
		.conn = conn,
		.item = item,
	};

	item->name = mem_strdup(name);
	if (backup_steps(&b, name, &item->err) < 0)
		return err_ctx(&item->err, "backup '%s'", name);
	item->ok = true;
	gather_counters(b.intake, result);
	describe_point(&b.set, &b.set.points[0], &item->point);
	return 0;
}

/* ---- all domains ----------------------------------------------------- */

/* The first error; busy only when nothing else went wrong. */
static void worst(struct err *e, const struct err *new)
{
	if (e->code == ERR_NONE ||
	    (e->code == ERR_BUSY && new->code != ERR_BUSY))
		*e = *new;
}

static int backup_domains(const struct job *j, const struct job_backup *asked,
			  struct result_backup *result, struct err *e)
{
	AUTO(repo_close_at) struct repo *repo = job_repo(j, e);
	AUTO(conn_close_at) struct conn *conn = NULL;
	bool failed = false;

	if (repo == NULL)
		return -1;
	conn = conn_open(j->uri, e);
	if (conn == NULL)
		return -1;
	result->items = mem_zalloc(asked->domain_count, sizeof(*result->items));
	for (size_t i = 0; i < asked->domain_count; i++) {
		size_t at = result->count;

		if (job_stopped(j, e) < 0)
			return -1;
		if (backup_domain(j, asked, repo, conn, asked->domains[i],
				  result) < 0) {
			worst(e, &result->items[at].err);
			failed = true;
		}
	}
	return failed ? -1 : 0;
}

int job_backup(const struct job *j, const struct job_backup *asked,
	       struct result_backup *result, struct err *e)
{
	int64_t start = clock_steady_ns();

	memset(result, 0, sizeof(*result));
	int ok = backup_domains(j, asked, result, e);

	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
