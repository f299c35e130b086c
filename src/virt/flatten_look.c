/* SPDX-License-Identifier: Apache-2.0 */

/* What there is to merge, and what forbids it: before anything is touched. */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "virt/conn_internal.h"
#include "virt/flatten_internal.h"
#include "virt/others.h"
#include "virt/plan.h"
#include "virt/sight.h"

#define BLOCK 512 /* of st_blocks */

size_t flatten_base_at(const struct flatten_disk *d)
{
	return d->image_count - d->base;
}

/* ---- what there is ---- */

static uint64_t allocated(const char *path)
{
	struct stat st;

	return path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode)
		       ? (uint64_t)st.st_blocks * BLOCK
		       : 0;
}

static void describe(const struct domain_disk *from, struct flatten_disk *to)
{
	*to = (struct flatten_disk){
		.target = mem_strdup(from->target),
		.images = mem_zalloc(from->chain_len, sizeof(*to->images)),
		.image_count = from->chain_len,
		.size = from->size,
		.why = ERR_INIT,
	};
	for (size_t i = 0; i < from->chain_len; i++) {
		const struct domain_image *image = &from->chain[i];

		to->images[i] = (struct flatten_image){
			.path = image->path ? mem_strdup(image->path) : NULL,
			.format = mem_strdup(image->format),
			.allocated = allocated(image->path),
			.left = true,
		};
	}
}

static bool named(const struct flatten_options *o, const char *target)
{
	for (size_t i = 0; i < o->disk_count; i++) {
		if (strcmp(o->disks[i], target) == 0)
			return true;
	}
	return false;
}

/* ---- definitions ---- */

static int top_in(const struct flatten *f, const struct flatten_disk *d,
		  unsigned flags, enum plan_top *top, struct err *e)
{
	const struct plan_disk disk = {
		.target = d->target,
		.overlay = d->images[0].path,
		.base = d->images[flatten_base_at(d)].path,
	};
	autofree char *xml = sight_xml(f->conn, f->domain->uuid, flags, e);

	return xml ? sight_top(xml, &disk, top, e) : -1;
}

static int other_definition(const struct flatten *f,
			    const struct flatten_disk *d, struct err *e)
{
	return err_set(e, ERR_REFUSED,
		       "the domain runs on '%s', but its kept definition "
		       "names another image: it was started from elsewhere, "
		       "or edited since; make both the same (virsh edit '%s')",
		       d->images[0].path, f->domain->name);
}

/* Both must name what is at the top, by path. */
static int check_definitions(const struct flatten *f,
			     const struct flatten_disk *d, struct err *e)
{
	enum plan_top top = TOP_OVERLAY;

	if (top_in(f, d, 0, &top, e) < 0)
		return -1;
	if (top != TOP_OVERLAY)
		return err_set(e, ERR_REFUSED,
			       "the definition names it by a storage volume, "
			       "not by a path: virsh edit '%s'",
			       f->domain->name);
	if (!f->active || !f->domain->persistent)
		return 0;
	if (top_in(f, d, VIR_DOMAIN_XML_INACTIVE, &top, e) < 0)
		return -1;
	return top == TOP_OVERLAY ? 0 : other_definition(f, d, e);
}

static int check_saved(const struct flatten *f, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(f->conn, f->domain->uuid, e);

	if (!d)
		return -1;
	if (f->active || virDomainHasManagedSaveImage(d, 0) != 1)
		return 0;
	return err_set(e, ERR_REFUSED,
		       "the domain is saved with its RAM, which belongs to the "
		       "images as they are: start it first, or virsh "
		       "managedsave-remove '%s'",
		       f->domain->name);
}

/* ---- others ---- */

static const char **paths(const struct flatten_disk *d, size_t count)
{
	const char **p = mem_zalloc(count, sizeof(*p));

	for (size_t i = 0; i < count; i++)
		p[i] = d->images[i].path;
	return p;
}

/* Above an image that others need there may be something to merge. */
static int refuse_shared(const struct flatten_disk *d, char *who, size_t at,
			 struct err *e)
{
	autofree char *sentence = who;
	size_t number = d->image_count - at;

	if (number + 1 >= d->image_count)
		return err_set(e, ERR_REFUSED,
			       "%s: nothing can be merged into it", sentence);
	return err_set(e, ERR_REFUSED,
		       "%s; what is above it can be merged with --base %zu",
		       sentence, number + 1);
}

static int check_others(const struct flatten *f, const struct flatten_disk *d,
			struct err *e)
{
	size_t count = flatten_base_at(d) + 1;
	autofree const char **images = paths(d, count);
	autofree const char **own = paths(d, d->image_count);
	const struct others_query q = {
		.uuid = f->domain->uuid,
		.target = d->target,
		.images = images,
		.count = count,
		.own = own,
		.own_count = d->image_count,
		.top = f->active ? images[0] : NULL,
		.processes = true,
	};
	struct others_found found = { .who = NULL };

	if (others_look(f->conn, &q, &found, e) < 0)
		return -1;
	return found.who ? refuse_shared(d, found.who, found.index, e) : 0;
}

/* An overlay of the image that the domain is on, and not in its chain. */
static int check_apart(const struct flatten *f, const struct flatten_disk *d,
		       struct err *e)
{
	const char *top = d->images[0].path;
	const struct others_query q = { .uuid = f->domain->uuid,
					.target = d->target,
					.images = &top,
					.count = 1 };
	struct others_found found = { .who = NULL };

	if (others_look(f->conn, &q, &found, e) < 0)
		return -1;
	if (found.who == NULL)
		return 0;
	err_set(e, ERR_REFUSED,
		"%s, and the domain does not use that: what is in it does "
		"not fit to what the guest has written since",
		found.who);
	free(found.who);
	return -1;
}

/* ---- one disk ---- */

static int check_merge(const struct flatten *f, const struct domain_disk *from,
		       const struct flatten_disk *d, struct err *e)
{
	if (!from->captured)
		return err_set(e, ERR_REFUSED, "%s",
			       from->why_not ? from->why_not : "unknown");
	if (from->job_active)
		return err_set(e, ERR_BUSY,
			       "a block job is active on it (see virsh "
			       "blockjob '%s' %s)",
			       f->domain->name, d->target);
	if (flatten_check_images(d, e) < 0 || check_saved(f, e) < 0 ||
	    check_definitions(f, d, e) < 0)
		return -1;
	if (f->domain->overlay_refused)
		return err_set(e, ERR_REFUSED, "%s",
			       f->domain->overlay_refused);
	return check_others(f, d, e);
}

static int check_nothing(const struct flatten *f,
			 const struct domain_disk *from,
			 const struct flatten_disk *d, struct err *e)
{
	if (f->opt->base > d->image_count)
		return err_set(e, ERR_USAGE,
			       "there is no image %llu: its chain has %zu",
			       (unsigned long long)f->opt->base,
			       d->image_count);
	if (!from->captured)
		return err_set(e, ERR_REFUSED, "%s",
			       from->why_not ? from->why_not : "unknown");
	return d->image_count == 1 && d->images[0].path ? check_apart(f, d, e)
							: 0;
}

static void look_at(struct flatten *f, const struct domain_disk *from)
{
	struct flatten_report *r = f->report;
	size_t base = f->opt->base > 0 ? f->opt->base : 1;
	struct flatten_disk *d;

	r->disks = mem_grow(r->disks, r->disk_count + 1, sizeof(*r->disks));
	d = &r->disks[r->disk_count++];
	describe(from, d);
	if (base < d->image_count) {
		d->base = base;
		for (size_t i = 0; i < flatten_base_at(d); i++)
			d->bytes += d->images[i].allocated;
		(void)!check_merge(f, from, d, &d->why);
	} else if (f->opt->disks) {
		(void)!check_nothing(f, from, d, &d->why);
	}
	if (d->why.code != ERR_NONE)
		err_ctx(&d->why, "disk %s", d->target);
}

static int check_named(const struct flatten *f, struct err *e)
{
	for (size_t i = 0; i < f->opt->disk_count; i++) {
		bool there = false;

		for (size_t n = 0; n < f->domain->disk_count; n++)
			there = there || strcmp(f->domain->disks[n].target,
						f->opt->disks[i]) == 0;
		if (!there)
			return err_set(e, ERR_NOT_FOUND,
				       "domain '%s' has no disk '%s'",
				       f->domain->name, f->opt->disks[i]);
	}
	return 0;
}

static int check_state(struct flatten *f, struct err *e)
{
	switch (f->domain->state) {
	case DOMAIN_RUNNING:
	case DOMAIN_PAUSED:
		f->active = true;
		break;
	case DOMAIN_SHUT_OFF:
		f->active = false;
		break;
	case DOMAIN_PMSUSPENDED:
	case DOMAIN_CRASHED:
	case DOMAIN_OTHER:
	default:
		return err_set(e, ERR_BUSY, "domain '%s' is %s",
			       f->domain->name,
			       domain_state_text(f->domain->state));
	}
	f->report->live = f->active;
	if (!conn_local(f->conn))
		return err_set(e, ERR_REFUSED,
			       "'%s' is not on this host: its images cannot "
			       "be looked at",
			       f->domain->name);
	return 0;
}

int flatten_look(struct flatten *f, struct err *e)
{
	if (check_state(f, e) < 0 || check_named(f, e) < 0)
		return -1;
	for (size_t i = 0; i < f->domain->disk_count; i++) {
		const struct domain_disk *d = &f->domain->disks[i];

		if (d->chain_len > 0 &&
		    (!f->opt->disks || named(f->opt, d->target)))
			look_at(f, d);
	}
	return 0;
}
