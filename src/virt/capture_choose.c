/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How: with RAM or without, by storage snapshots or overlays.  What cannot be
 * had and why is said, here and nowhere else.
 */

#include <string.h>

#include "base/mem.h"
#include "virt/capture_internal.h"

/* ---- RAM ---- */

/* RAM without a disk that the guest writes to cannot be resumed: who asks
 * for some disks alone wants no RAM, unless he says so. */
static bool wants_memory(const struct capture *cap)
{
	if (cap->opt.memory > 0 || cap->opt.require >= LEVEL_RAM)
		return true;
	return cap->opt.memory < 0 && cap->mode == MODE_LIVE && !cap->unasked &&
	       cap->opt.method != METHOD_SUSPEND;
}

/* RAM is wanted and cannot be had: is less enough? */
int capture_without_memory(struct capture *cap, const char *why, struct err *e)
{
	if (cap->opt.require >= LEVEL_RAM)
		return err_set(e, ERR_REFUSED, "no RAM: %s", why);
	capture_degrade(cap, "no RAM: %s", why);
	cap->with_memory = false;
	return 0;
}

static int choose_memory(struct capture *cap, struct err *e)
{
	struct err why = ERR_INIT;

	if (!wants_memory(cap))
		return 0;
	if (cap->mode == MODE_OFF)
		return capture_without_memory(cap, "the domain is shut off", e);
	if (cap->opt.method == METHOD_SUSPEND)
		return capture_without_memory(cap, "method suspend takes none",
					      e);
	if (cap->unasked) {
		err_set(&why, ERR_REFUSED,
			"disk '%s' was not asked for, and the guest's RAM is "
			"of no use without it",
			cap->unasked);
		return capture_without_memory(cap, why.msg, e);
	}
	if (cap->domain->ram_refused)
		return capture_without_memory(cap, cap->domain->ram_refused, e);
	cap->with_memory = true;
	return 0;
}

/* ---- the method ---- */

static int refuse(const struct capture *cap, enum capture_method m,
		  const char *why, struct err *e)
{
	return err_set(e, ERR_REFUSED,
		       "the running domain '%s' cannot be backed up by "
		       "method %s: %s",
		       cap->domain->name, capture_method_text(m), why);
}

/*
 * With RAM, 'manual' disks: has QEMU written all that it knows of its images
 * when libvirt leaves the guest paused?  Of raw ones it has.  Of others
 * libvirt promises it since 11.9.  QEMU 7.2 gives its images up at the end of
 * a migration (bdrv_inactivate_all), which writes everything: in 24 rounds
 * under load 72 of 72 clones were to the byte what it left when it ended.
 * (Without RAM a suspended QEMU has flushed, in all versions.)
 */
static char *unproven(struct conn *c, const struct domain_info *d)
{
	uint64_t qemu = conn_qemu_version(c);

	if (conn_libvirt_version(c) >= 11009000 ||
	    (qemu >= 7002000 && qemu < 8000000))
		return NULL;
	for (size_t i = 0; i < d->disk_count; i++) {
		const struct domain_disk *disk = &d->disks[i];

		if (disk->captured && strcmp(disk->chain[0].format, "raw") != 0)
			return mem_fmt("disk %s is %s, and only libvirt 11.9 "
				       "or later promises that such an image "
				       "is whole then",
				       disk->target, disk->chain[0].format);
	}
	return NULL;
}

enum capture_method capture_prefer(struct conn *c, const struct domain_info *d,
				   bool memory, const char *no_snaps,
				   char **why)
{
	*why = no_snaps ? mem_strdup(no_snaps) : NULL;
	if (!*why && memory)
		*why = unproven(c, d);
	if (!*why)
		return METHOD_SNAPSHOT;
	return d->overlay_refused ? METHOD_AUTO : METHOD_OVERLAY;
}

/* What is chosen when nothing was asked for. */
static int choose_any(struct capture *cap, struct err *e)
{
	autofree char *why = NULL;

	cap->method = capture_prefer(cap->conn, cap->domain, cap->with_memory,
				     cap->opt.no_snaps, &why);
	if (cap->method == METHOD_AUTO)
		return err_set(e, ERR_REFUSED,
			       "the running domain '%s' cannot be backed up "
			       "with an overlay: %s; nor by storage snapshot: "
			       "%s",
			       cap->domain->name, cap->domain->overlay_refused,
			       why);
	if (why)
		capture_note(cap, "by overlay, not by storage snapshot: %s",
			     why);
	return 0;
}

static int choose_method(struct capture *cap, struct err *e)
{
	const char *why = NULL;

	cap->method = cap->opt.method;
	switch (cap->method) {
	case METHOD_SNAPSHOT:
	case METHOD_SUSPEND:
		why = cap->opt.no_snaps;
		break;
	case METHOD_OVERLAY:
		why = cap->domain->overlay_refused;
		break;
	case METHOD_AUTO:
	default:
		return choose_any(cap, e);
	}
	return why ? refuse(cap, cap->method, why, e) : 0;
}

int capture_choose(struct capture *cap, struct err *e)
{
	if (choose_memory(cap, e) < 0)
		return -1;
	return cap->mode == MODE_LIVE ? choose_method(cap, e) : 0;
}

/* ---- after a failure ---- */

int capture_less(struct capture *cap, const struct err *why, struct err *e)
{
	bool final = why->code == ERR_NOT_FOUND || why->code == ERR_STOPPED;

	if (!final && cap->snaps_failed && cap->opt.method == METHOD_AUTO &&
	    !cap->domain->overlay_refused) {
		cap->snaps_failed = false;
		cap->method = METHOD_OVERLAY;
		capture_note(cap, "by overlay, not by storage snapshot: %s",
			     why->msg);
		return 0;
	}
	if (!final && !cap->snaps_failed && cap->with_memory)
		return capture_without_memory(cap, why->msg, e);
	*e = *why;
	return -1;
}

int capture_without_snaps(struct capture *cap, const struct err *why,
			  struct err *e)
{
	cap->snaps_failed = true;
	return capture_less(cap, why, e);
}
