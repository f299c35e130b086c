/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/places.h"
#include "job/pour.h"
#include "job/ram.h"
#include "job/spool.h"
#include "job/target.h"
#include "job/tpm_back.h"
#include "virt/define.h"

#define MAX_XML   (16u << 20)
#define MAX_NVRAM (256u << 20)

/* Files beside the disks. */
#define NVRAM_ENDING  "-nvram.fd"
#define XML_ENDING    ".xml"
#define BEFORE_ENDING "-before.xml"

/* Folders for disks: QEMU's user must be able to pass through. */
#define FOLDER_MODE 0711

/* One restore under way. */
struct restore {
	const struct job *job;
	const struct job_restore *asked;
	struct places places;
	struct catalog_hit hit;
	struct targets targets;
	struct conn *conn; /* NULL with --no-define */
	char *nvram;       /* where the firmware variables are, or NULL */
	char *name;        /* of the domain */
	bool replaces;     /* one that is defined and shut off */
	char *before;      /* where that one's definition is kept, or NULL */
	struct result_restore *result;
	bool defined; /* from here on nothing is undone */
};

static void restore_fini(struct restore *r)
{
	if (!r->defined) {
		targets_undo(&r->targets);
		if (r->nvram != NULL && !r->asked->in_place)
			unlink(r->nvram);
		if (r->before != NULL)
			unlink(r->before);
	}
	conn_close(r->conn);
	targets_fini(&r->targets);
	places_fini(&r->places);
	free(r->nvram);
	free(r->before);
	free(r->name);
}

/* ---- before anything is written -------------------------------------- */

static const struct image *definition(const struct restore *r)
{
	const struct image *i = point_image(r->hit.point, IMAGE_INACTIVE);

	return i != NULL ? i : point_image(r->hit.point, IMAGE_LIVE_XML);
}

static int check_ram(const struct restore *r, struct err *e)
{
	const struct point *p = r->hit.point;
	const char *level = attrs_get(&p->attrs, ATTR_LEVEL);

	if (!r->asked->ram)
		return 0;
	if (point_image(p, IMAGE_MEMORY) == NULL)
		return err_set(e, ERR_REFUSED,
			       "the point has no RAM (its level is %s): "
			       "restore it without --ram for a cold boot",
			       level != NULL ? level : "unknown");
	if (r->asked->name != NULL && strcmp(r->asked->name, p->name) != 0)
		return err_set(e, ERR_REFUSED,
			       "RAM can be resumed under its own name only: "
			       "leave out --name, or --ram");
	if (r->asked->no_define)
		return err_set(e, ERR_USAGE,
			       "--ram and --no-define exclude each other");
	return 0;
}

static int check_definition(const struct restore *r, struct err *e)
{
	if (r->targets.count == 0 && definition(r) == NULL)
		return err_set(e, ERR_REFUSED,
			       "the point has neither disks nor the definition "
			       "of a VM: use 'vmkeep export'");
	if (r->asked->no_define)
		return r->asked->start
			       ? err_set(e, ERR_USAGE,
					 "--start and --no-define exclude "
					 "each other")
			       : 0;
	if (definition(r) == NULL)
		return err_set(e, ERR_REFUSED,
			       "the point has no definition of a VM: use "
			       "'vmkeep export', or --no-define");
	if (!r->targets.whole)
		return err_set(e, ERR_USAGE,
			       "not every disk has a place: say --to FOLDER "
			       "for the others, or --no-define for single "
			       "disks");
	return 0;
}

/* The domain must not run, nor another one have its name. */
static int check_taken(struct restore *r, struct err *e)
{
	const char *uuid = attrs_get(&r->hit.point->attrs, ATTR_UUID);
	bool copy = strcmp(r->name, r->hit.point->name) != 0;
	bool defined;
	bool active;

	if (r->asked->no_define)
		return 0;
	r->conn = conn_open(r->job->uri, e);
	if (r->conn == NULL ||
	    define_taken(r->conn, r->name, copy ? NULL : uuid, &defined,
			 &active, e) < 0)
		return -1;
	if (active)
		return err_set(e, ERR_BUSY,
			       "domain '%s' is running: shut it off first, or "
			       "restore a copy with --name",
			       r->name);
	if (defined && copy)
		return err_set(e, ERR_EXISTS,
			       "domain '%s' exists already: choose another "
			       "--name",
			       r->name);
	r->replaces = defined;
	return 0;
}

/* A file beside the disks. */
static char *beside(const struct restore *r, const char *ending)
{
	return mem_fmt("%s/%s%s", r->targets.folder, r->targets.stem, ending);
}

static int check_beside(const struct restore *r, const char *ending,
			struct err *e)
{
	autofree char *path = beside(r, ending);

	if (!file_exists(path))
		return 0;
	return err_set(e, ERR_EXISTS,
		       "'%s' exists already: restore to another folder, or "
		       "remove it",
		       path);
}

/* What is written beside the disks has a place, and overwrites nothing. */
static int check_files(const struct restore *r, struct err *e)
{
	bool nvram = point_image(r->hit.point, IMAGE_NVRAM_NAME) != NULL;

	if (r->targets.folder == NULL)
		return (nvram || r->replaces) && !r->asked->no_define
			       ? err_set(e, ERR_USAGE,
					 "there is more than disks to be "
					 "written: say --to FOLDER, too")
			       : 0;
	if (nvram && !r->asked->in_place &&
	    check_beside(r, NVRAM_ENDING, e) < 0)
		return -1;
	if (r->replaces && check_beside(r, BEFORE_ENDING, e) < 0)
		return -1;
	return r->asked->no_define && !r->asked->in_place
		       ? check_beside(r, XML_ENDING, e)
		       : 0;
}

/* What libvirt would refuse when all disks are written. */
static int check_name(const struct restore *r, struct err *e)
{
	const char *name = r->asked->name;

	if (name == NULL || (*name != '\0' && strpbrk(name, "/\n") == NULL))
		return 0;
	return err_set(e, ERR_USAGE,
		       "--name takes a name without '/' and line feeds, not "
		       "'%s'",
		       name);
}

static int plan(struct restore *r, struct err *e)
{
	if (check_name(r, e) < 0 || places_open(r->job, &r->places, e) < 0)
		return -1;
	places_warn(&r->places);
	if (catalog_find(&r->places.all, r->asked->point, &r->hit, e) < 0 ||
	    check_ram(r, e) < 0 ||
	    targets_plan(r->asked, r->hit.point, &r->targets, e) < 0 ||
	    check_definition(r, e) < 0)
		return -1;
	r->name = mem_strdup(r->asked->name != NULL ? r->asked->name
						    : r->hit.point->name);
	r->result->point = describe_id(&r->hit.point->id);
	return check_taken(r, e) < 0 ? -1 : check_files(r, e);
}

/* ---- disks and firmware ---------------------------------------------- */

static struct pour pour_of(struct restore *r, const struct image *i,
			   const char *what)
{
	return (struct pour){
		.job = r->job,
		.repo = r->places.repo,
		.set = r->hit.set,
		.root = &i->root,
		.held = places_here(&r->places, r->hit.set) ? i : NULL,
		.what = what,
		.written = &r->result->bytes,
	};
}

static int restore_disk(struct restore *r, struct target *t, struct err *e)
{
	autofree char *what = mem_fmt("%s: %s", r->name, t->image->name);
	struct pour p = pour_of(r, t->image, what);

	if (target_fill(t, &p, r->job->state_dir, e) < 0)
		return -1;
	result_strings_add(&r->result->files, "%s", t->path);
	return 0;
}

static int load_image(struct restore *r, const struct image *i, size_t max,
		      struct buf *out, struct err *e)
{
	return places_bytes(&r->places, r->hit.set, i, max, out, e);
}

static int restore_nvram(struct restore *r, struct err *e)
{
	const struct image *i = point_image(r->hit.point, IMAGE_NVRAM_NAME);
	AUTO(buf_fini) struct buf data = BUF_INIT;

	if (i == NULL || r->targets.folder == NULL)
		return 0;
	autofree char *path = beside(r, NVRAM_ENDING);

	if (load_image(r, i, MAX_NVRAM, &data, e) < 0 ||
	    file_save(path, 0600, data.p, data.len, e) < 0)
		return -1;
	r->nvram = mem_take(&path);
	result_strings_add(&r->result->files, "%s", r->nvram);
	return 0;
}

static int restore_files(struct restore *r, struct err *e)
{
	if (r->asked->to != NULL && dir_make(r->asked->to, FOLDER_MODE, e) < 0)
		return -1;
	for (size_t i = 0; i < r->targets.count; i++)
		if (restore_disk(r, &r->targets.items[i], e) < 0)
			return err_ctx(e, "disk %s",
				       r->targets.items[i].image->name);
	return restore_nvram(r, e);
}

/* ---- definition ------------------------------------------------------ */

/* libvirt wants absolute paths.  Not of devices: '/dev/vg/lv' is that volume
 * for ever, '/dev/dm-3' behind it may be another one after a reboot. */
static int absolute(char **path, struct err *e)
{
	char *full = realpath(*path, NULL);

	if (full == NULL)
		return err_sys(e, "cannot resolve '%s'", *path);
	free(*path);
	*path = full;
	return 0;
}

/* Cards whose network is not here are left unplugged. */
static int fit_networks(struct restore *r, const struct buf *xml,
			struct define_notes *notes, struct buf *out,
			struct err *e)
{
	if (r->conn != NULL)
		return define_networks(r->conn, (const char *)xml->p, out,
				       notes, e);
	wr_bytes(out, xml->p, xml->len + 1); /* with its NUL */
	out->len--;
	return 0;
}

/* The stored definition, changed for its new place. */
static int new_definition(struct restore *r, const struct image *from,
			  struct buf *out, struct err *e)
{
	struct targets *t = &r->targets;
	autofree struct define_disk *disks =
		mem_zalloc(t->count, sizeof(*disks));
	AUTO(buf_fini) struct buf xml = BUF_INIT;
	AUTO(buf_fini) struct buf moved = BUF_INIT;
	AUTO(define_notes_fini) struct define_notes notes = { .items = NULL };

	for (size_t i = 0; i < t->count; i++) {
		if (!t->items[i].block && absolute(&t->items[i].path, e) < 0)
			return -1;
		disks[i] = (struct define_disk){
			.target = t->items[i].image->name,
			.path = t->items[i].path,
			.format = t->items[i].format,
			.block = t->items[i].block,
		};
	}
	if (r->nvram != NULL && absolute(&r->nvram, e) < 0)
		return -1;
	const struct define_change change = {
		.name = r->name,
		.new_identity = strcmp(r->name, r->hit.point->name) != 0,
		.disks = disks,
		.disk_count = t->count,
		.nvram = r->nvram,
		.notes = &notes,
	};

	if (load_image(r, from, MAX_XML, &xml, e) < 0)
		return -1;
	wr_u8(&xml, 0); /* a string */
	if (define_rewrite((const char *)xml.p, &change, &moved, e) < 0 ||
	    fit_networks(r, &moved, &notes, out, e) < 0)
		return -1;
	/* said once: a resume makes a second definition */
	for (size_t i = 0; i < notes.count && !r->defined; i++)
		result_strings_add(&r->result->notes, "%s", notes.items[i]);
	return 0;
}

/* Without libvirt: the definition goes beside the disks, for later. */
static int save_definition(struct restore *r, struct err *e)
{
	const struct image *from = definition(r);
	AUTO(buf_fini) struct buf xml = BUF_INIT;

	if (from == NULL || r->targets.folder == NULL || !r->targets.whole)
		return 0;
	autofree char *path = beside(r, XML_ENDING);

	if (new_definition(r, from, &xml, e) < 0 ||
	    file_save(path, 0600, xml.p, xml.len, e) < 0)
		return -1;
	result_strings_add(&r->result->files, "%s", path);
	result_strings_add(&r->result->notes,
			   "not defined: 'virsh define %s' does it", path);
	return 0;
}

static int resume(struct restore *r, struct err *e)
{
	const struct point *p = r->hit.point;
	const struct image *ram = point_image(p, IMAGE_MEMORY);
	const struct image *from = point_image(p, IMAGE_MIGRATABLE);
	autofree char *what = mem_fmt("%s: memory", r->name);
	AUTO(spool_fini) struct spool spool = SPOOL_INIT;
	AUTO(buf_fini) struct buf xml = BUF_INIT;
	struct pour pour = pour_of(r, ram, what);

	if (from == NULL)
		from = point_image(p, IMAGE_LIVE_XML);
	if (from == NULL)
		return err_set(e, ERR_REFUSED,
			       "the point has no definition of the running "
			       "VM");
	if (new_definition(r, from, &xml, e) < 0 ||
	    spool_new(r->job->spool_dir, &spool, e) < 0 ||
	    ram_pour(&pour, p, spool.fd, e) < 0)
		return -1;
	bool paused = attrs_get(&p->attrs, ATTR_PAUSED) != NULL;

	if (define_resume(r->conn, spool.path, (const char *)xml.p, paused, e) <
	    0)
		return -1;
	r->result->resumed = true;
	r->result->state = mem_strdup(paused ? "paused" : "running");
	return 0;
}

/* The definition that is replaced may have seen work since the point. */
static int keep_replaced(struct restore *r, struct err *e)
{
	AUTO(buf_fini) struct buf xml = BUF_INIT;

	if (!r->replaces)
		return 0;
	int there = define_current(r->conn, r->name, &xml, e);

	if (there <= 0)
		return there;
	autofree char *path = beside(r, BEFORE_ENDING);

	if (file_save(path, 0600, xml.p, xml.len, e) < 0)
		return -1;
	r->before = mem_take(&path);
	result_strings_add(&r->result->notes,
			   "'%s' was defined already: what it was is in '%s'",
			   r->name, r->before);
	return 0;
}

static int restore_tpm(struct restore *r, const char *xml, struct err *e)
{
	const struct tpm_back b = {
		.places = &r->places,
		.set = r->hit.set,
		.point = r->hit.point,
		.conn = r->conn,
		.xml = xml,
		.files = &r->result->files,
		.notes = &r->result->notes,
	};

	return tpm_bring_back(&b, e);
}

static int bring_up(struct restore *r, struct err *e)
{
	AUTO(buf_fini) struct buf xml = BUF_INIT;

	if (new_definition(r, definition(r), &xml, e) < 0 ||
	    keep_replaced(r, e) < 0 ||
	    restore_tpm(r, (const char *)xml.p, e) < 0 ||
	    define_domain(r->conn, (const char *)xml.p, e) < 0)
		return -1;
	r->defined = true;
	r->result->domain = mem_strdup(r->name);
	if (r->asked->ram)
		return resume(r, e);
	if (r->asked->start && define_start(r->conn, r->name, e) < 0)
		return -1;
	r->result->state = mem_strdup(r->asked->start ? "running" : "shut off");
	return 0;
}

static int restore_steps(struct restore *r, struct err *e)
{
	if (plan(r, e) < 0 || restore_files(r, e) < 0)
		return -1;
	if (r->asked->no_define) {
		if (save_definition(r, e) < 0 || restore_tpm(r, NULL, e) < 0)
			return -1;
		r->defined = true;
		return 0;
	}
	if (bring_up(r, e) == 0)
		return 0;
	if (r->defined)
		err_ctx(e,
			"disks are restored and '%s' is defined, but it "
			"could not be started",
			r->name);
	return -1;
}

int job_restore(const struct job *j, const struct job_restore *asked,
		struct result_restore *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	AUTO(restore_fini)
	struct restore r = {
		.job = j,
		.asked = asked,
		.result = result,
	};

	memset(result, 0, sizeof(*result));
	int ok = restore_steps(&r, e);

	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok < 0 ? err_ctx(e, "restore '%s'", asked->point) : 0;
}
