/* SPDX-License-Identifier: Apache-2.0 */
#include "job/revert.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/held.h"
#include "job/local.h"
#include "job/places.h"
#include "job/pour.h"
#include "job/revert_journal.h"
#include "job/target.h"
#include "job/tpm_back.h"
#include "virt/define.h"
#include "virt/domain.h"
#include "virt/recover.h"

#define MAX_XML   (16u << 20)
#define MAX_NVRAM (256u << 20)

/* One revert under way. */
struct revert {
	const struct job *job;
	const struct job_revert *asked;
	struct job here;      /* the same job, which looks here alone */
	struct places places; /* what it finds */
	struct catalog_hit hit;
	struct conn *conn;
	struct domain_info *domain;
	int lock;
	struct revert_journal *journal;
	struct result_revert *result;
};

static void revert_fini(struct revert *r)
{
	revert_journal_free(r->journal);
	fd_close_at(&r->lock);
	domain_info_free(r->domain);
	conn_close(r->conn);
	places_fini(&r->places);
}

/* ---- before anything is changed ----------------------------------------- */

static int find_point(struct revert *r, struct err *e)
{
	r->here = *r->job;
	r->here.place = PLACE_LOCAL;
	if (places_open(&r->here, &r->places, e) < 0)
		return -1;
	places_warn(&r->places);
	if (catalog_find(&r->places.all, r->asked->point, &r->hit, e) < 0)
		return err_ctx(e, "of what is held on this host (for points in "
				  "the repository see 'vmkeep restore "
				  "--in-place')");
	r->result->point = describe_id(&r->hit.point->id);
	return 0;
}

static int find_domain(struct revert *r, struct err *e)
{
	const char *uuid = attrs_get(&r->hit.point->attrs, ATTR_UUID);

	if (uuid == NULL)
		return err_set(e, ERR_REFUSED, "the point is of no domain");
	r->conn = conn_open(r->job->uri, e);
	if (r->conn == NULL)
		return -1;
	r->domain = domain_inspect(r->conn, uuid, e);
	if (r->domain == NULL)
		return err_ctx(e, "'vmkeep restore' brings it back where it is "
				  "gone");
	r->result->domain = mem_strdup(r->domain->name);
	return 0;
}

static const struct domain_disk *disk_of(const struct domain_info *d,
					 const char *target)
{
	for (size_t i = 0; i < d->disk_count; i++)
		if (strcmp(d->disks[i].target, target) == 0)
			return &d->disks[i];
	return NULL;
}

static bool same_file(const char *a, const char *b)
{
	struct stat sa;
	struct stat sb;

	if (strcmp(a, b) == 0)
		return true;
	if (stat(a, &sa) < 0 || stat(b, &sb) < 0)
		return false;
	return S_ISBLK(sa.st_mode)
		       ? S_ISBLK(sb.st_mode) && sa.st_rdev == sb.st_rdev
		       : sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Only what the guest has now, under the same name, is gone back with. */
static int check_disk(const struct revert *r, const struct image *image,
		      struct err *e)
{
	const char *source = attrs_get(&image->attrs, ATTR_SOURCE);
	const struct domain_disk *d = disk_of(r->domain, image->name);

	if (d == NULL || d->chain_len == 0 || d->chain[0].path == NULL)
		return err_set(e, ERR_REFUSED,
			       "'%s' has no disk %s any more: 'vmkeep restore' "
			       "makes a VM of the point",
			       r->domain->name, image->name);
	if (source != NULL && same_file(source, d->chain[0].path))
		return 0;
	return err_set(e, ERR_REFUSED,
		       "disk %s is '%s' now and was '%s': shorten its chain "
		       "with 'vmkeep flatten', or use 'vmkeep restore'",
		       image->name, d->chain[0].path,
		       source != NULL ? source : "something else");
}

static int check_disks(const struct revert *r, struct err *e)
{
	const struct point *p = r->hit.point;

	for (size_t i = 0; i < p->image_count; i++)
		if (p->images[i].kind == IMAGE_DISK &&
		    check_disk(r, &p->images[i], e) < 0)
			return -1;
	for (size_t i = 0; i < r->domain->disk_count; i++) {
		const struct domain_disk *d = &r->domain->disks[i];

		if (d->captured && point_image(p, d->target) == NULL)
			result_strings_add(&r->result->notes,
					   "disk %s is not in the point and "
					   "stays as it is",
					   d->target);
	}
	return 0;
}

/* What cannot be read, or has no room, is known before the first byte is
 * written. */
static int check_held(const struct revert *r, struct err *e)
{
	const struct point *p = r->hit.point;

	for (size_t i = 0; i < p->image_count; i++) {
		const struct image *image = &p->images[i];
		const struct pour from = {
			.job = r->job,
			.set = r->hit.set,
			.held = image,
		};

		if (image->kind != IMAGE_DISK)
			continue;
		const struct domain_disk *d = disk_of(r->domain, image->name);

		assert(d != NULL && d->chain_len > 0); /* check_disk() */
		if (pour_fits(&from, d->chain[0].path, e) < 0)
			return err_ctx(e, "disk %s", image->name);
	}
	return 0;
}

static bool is_active(const struct revert *r)
{
	return r->domain->state != DOMAIN_SHUT_OFF &&
	       r->domain->state != DOMAIN_CRASHED;
}

static int load_xml(const struct revert *r, const char *name,
		    const char *instead, struct buf *out, struct err *e)
{
	const struct image *i = point_image(r->hit.point, name);

	if (i == NULL)
		i = point_image(r->hit.point, instead);
	if (i == NULL)
		return err_set(e, ERR_REFUSED, "the point has no '%s'", name);
	if (held_bytes(r->job, r->hit.set, i, MAX_XML, out, e) < 0)
		return -1;
	wr_u8(out, 0); /* a string */
	return 0;
}

/* The definition; all that libvirt would refuse is known now. */
static int check_definition(const struct revert *r, struct err *e)
{
	AUTO(buf_fini) struct buf xml = BUF_INIT;
	autofree char *name = NULL;
	char uuid[CONN_UUID_TEXT];
	bool defined;
	bool active;

	if (load_xml(r, IMAGE_INACTIVE, IMAGE_LIVE_XML, &xml, e) < 0 ||
	    define_identity((const char *)xml.p, &name, uuid, e) < 0)
		return -1;
	if (name == NULL)
		return err_set(e, ERR_REFUSED, "its definition has no name");
	if (strcmp(name, r->domain->name) != 0)
		return err_set(e, ERR_REFUSED,
			       "'%s' was called '%s' then: call it so again "
			       "(virsh domrename), or use 'vmkeep restore'",
			       r->domain->name, name);
	return define_taken(r->conn, name, uuid, &defined, &active, e);
}

static int check_state(const struct revert *r, struct err *e)
{
	const struct point *p = r->hit.point;

	if (check_definition(r, e) < 0)
		return -1;
	if (r->asked->ram && point_image(p, IMAGE_MEMORY) == NULL)
		return err_set(e, ERR_REFUSED,
			       "the point has no RAM: leave out --ram, and "
			       "boot it");
	if (!is_active(r) || r->asked->stop)
		return 0;
	return err_set(e, ERR_BUSY,
		       "'%s' is %s: shut it off, or say --stop: then its "
		       "present state is kept and its plug is pulled",
		       r->domain->name, domain_state_text(r->domain->state));
}

/* ---- the present state -------------------------------------------------- */

static int keep_present(struct revert *r, struct err *e)
{
	struct result_backup done = { .items = NULL };
	const struct job_backup b = {
		.domains = (char *[]){ r->domain->name },
		.domain_count = 1,
		.memory = -1,
		/* its plug is pulled afterwards */
		.require = r->domain->state == DOMAIN_RUNNING ? "ram" : NULL,
		.keep = JOB_KEEP_LOCAL,
	};

	if (r->asked->no_safety)
		return 0;
	int ok = job_backup(r->job, &b, &done, e);

	if (ok == 0) {
		r->result->safety = mem_strdup(done.items[0].point.id);
		result_strings_add(&r->result->notes,
				   "what it was is point %.12s",
				   r->result->safety);
	}
	result_backup_fini(&done);
	return ok == 0 ? 0
		       : err_ctx(e, "nothing was changed, for the present "
				    "state cannot be kept (--no-safety goes "
				    "without)");
}

/* Nobody captures it, nor starts it without our noticing. */
static int take_hold(struct revert *r, struct err *e)
{
	if (recover_claim(r->conn, r->job->state_dir, r->domain, r->job->talk,
			  &r->lock, e) < 0)
		return -1;
	if (r->asked->stop && define_stop(r->conn, r->domain->uuid, e) < 0)
		return -1;
	domain_info_free(mem_take(&r->domain));
	const char *uuid = attrs_get(&r->hit.point->attrs, ATTR_UUID);

	r->domain = domain_inspect(r->conn, uuid, e);
	if (r->domain == NULL || check_disks(r, e) < 0 ||
	    check_definition(r, e) < 0)
		return -1;
	if (is_active(r))
		return err_set(e, ERR_BUSY, "'%s' was started meanwhile",
			       r->domain->name);
	r->journal = revert_journal_begin(r->job, r->domain, r->result, e);
	return r->journal != NULL ? 0 : -1;
}

/* ---- back --------------------------------------------------------------- */

static int revert_disk(struct revert *r, const struct image *image,
		       struct err *e)
{
	const struct domain_disk *d = disk_of(r->domain, image->name);
	autofree char *what = mem_fmt("%s: %s", r->domain->name, image->name);

	assert(d != NULL && d->chain_len > 0); /* check_disk() has said so */
	const char *path = d->chain[0].path;
	const struct pour p = {
		.job = r->job,
		.set = r->hit.set,
		.held = image,
		.what = what,
		.in_place = true,
		.written = &r->result->bytes,
	};
	autofd int fd = target_open_image(path, e);

	if (fd < 0 || pour_as_is(&p, fd, e) < 0)
		return err_ctx(e, "disk %s: '%s'", image->name, path);
	result_strings_add(&r->result->files, "%s", path);
	return 0;
}

/* The file stays the one it is, with its owner. */
static int rewrite_file(const char *path, const struct buf *data, struct err *e)
{
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (fd_pwrite_full(fd, data->p, data->len, 0, e) < 0)
		return err_ctx(e, "'%s'", path);
	if (ftruncate(fd, (off_t)data->len) < 0 || fsync(fd) < 0)
		return err_sys(e, "cannot write '%s'", path);
	return 0;
}

static int revert_nvram(struct revert *r, struct err *e)
{
	const struct image *i = point_image(r->hit.point, IMAGE_NVRAM_NAME);
	AUTO(buf_fini) struct buf data = BUF_INIT;

	if (i == NULL || r->domain->nvram == NULL)
		return 0;
	if (held_bytes(r->job, r->hit.set, i, MAX_NVRAM, &data, e) < 0)
		return -1;
	result_strings_add(&r->result->files, "%s", r->domain->nvram);
	return rewrite_file(r->domain->nvram, &data, e);
}

static int revert_tpm(struct revert *r, const char *xml, struct err *e)
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

static int revert_definition(struct revert *r, struct err *e)
{
	AUTO(buf_fini) struct buf xml = BUF_INIT;

	if (load_xml(r, IMAGE_INACTIVE, IMAGE_LIVE_XML, &xml, e) < 0 ||
	    revert_tpm(r, (const char *)xml.p, e) < 0)
		return -1;
	return define_domain(r->conn, (const char *)xml.p, e);
}

static int revert_all(struct revert *r, struct err *e)
{
	const struct point *p = r->hit.point;

	for (size_t i = 0; i < p->image_count; i++)
		if (p->images[i].kind == IMAGE_DISK &&
		    revert_disk(r, &p->images[i], e) < 0)
			return -1;
	if (revert_nvram(r, e) < 0 || revert_definition(r, e) < 0)
		return -1;
	return revert_journal_end(r->journal, e);
}

static int resume(struct revert *r, struct err *e)
{
	const struct point *p = r->hit.point;
	AUTO(buf_fini) struct buf xml = BUF_INIT;
	autofree char *dump = local_file(r->job->local_dir, r->hit.set,
					 point_image(p, IMAGE_MEMORY));
	bool paused = attrs_get(&p->attrs, ATTR_PAUSED) != NULL;

	if (dump == NULL)
		return err_set(e, ERR_INTEGRITY, "the RAM is no file");
	if (load_xml(r, IMAGE_MIGRATABLE, IMAGE_LIVE_XML, &xml, e) < 0 ||
	    define_resume(r->conn, dump, (const char *)xml.p, paused, e) < 0)
		return -1;
	r->result->resumed = true;
	r->result->state = mem_strdup(paused ? "paused" : "running");
	return 0;
}

static int go_on(struct revert *r, struct err *e)
{
	if (r->asked->ram)
		return resume(r, e);
	if (r->asked->start && define_start(r->conn, r->domain->name, e) < 0)
		return -1;
	r->result->state = mem_strdup(r->asked->start ? "running" : "shut off");
	return 0;
}

static int revert_steps(struct revert *r, struct err *e)
{
	if (find_point(r, e) < 0 || find_domain(r, e) < 0 ||
	    check_disks(r, e) < 0 || check_state(r, e) < 0 ||
	    check_held(r, e) < 0 || keep_present(r, e) < 0 ||
	    take_hold(r, e) < 0)
		return -1;
	if (revert_all(r, e) < 0)
		return err_ctx(e,
			       "'%s' is neither what it was nor what it "
			       "should be: do it again",
			       r->domain->name);
	if (go_on(r, e) < 0)
		return err_ctx(e, "its disks are back, but it could not be "
				  "started");
	return 0;
}

int job_revert(const struct job *j, const struct job_revert *asked,
	       struct result_revert *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	AUTO(revert_fini)
	struct revert r = {
		.job = j,
		.asked = asked,
		.lock = -1,
		.result = result,
	};

	memset(result, 0, sizeof(*result));
	int ok = revert_steps(&r, e);

	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok < 0 ? err_ctx(e, "revert '%s'", asked->point) : 0;
}
