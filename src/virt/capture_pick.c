/* SPDX-License-Identifier: Apache-2.0 */

/* Which disks, and in which way: decided before anything is touched. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"

static bool named(const struct capture_options *o, const char *target)
{
	for (size_t i = 0; i < o->only_count; i++) {
		if (strcmp(o->only_disks[i], target) == 0)
			return true;
	}
	return false;
}

static const struct domain_disk *find(const struct domain_info *d,
				      const char *target)
{
	for (size_t i = 0; i < d->disk_count; i++) {
		if (strcmp(d->disks[i].target, target) == 0)
			return &d->disks[i];
	}
	return NULL;
}

/* Every disk that was asked for must be there and possible. */
static int check_named(const struct capture *cap, struct err *e)
{
	for (size_t i = 0; cap->opt.only_disks && i < cap->opt.only_count;
	     i++) {
		const char *target = cap->opt.only_disks[i];
		const struct domain_disk *d = find(cap->domain, target);

		if (!d)
			return err_set(e, ERR_NOT_FOUND,
				       "domain '%s' has no disk '%s'",
				       cap->domain->name, target);
		if (!d->captured)
			return err_set(e, ERR_REFUSED,
				       "disk '%s' cannot be backed up: %s",
				       target,
				       d->why_not ? d->why_not : "unknown");
	}
	return 0;
}

/* Does the guest keep data on it? */
static bool holds_data(const struct domain_disk *d)
{
	bool drive =
		strcmp(d->device, "disk") == 0 || strcmp(d->device, "lun") == 0;

	return drive && d->chain_len > 0 && !d->readonly && !d->transient;
}

/* Who has named the disks wanted knows of the others; else a backup without
 * some of the guest's data must not look like a whole one. */
static void leave_out(struct capture *cap, const struct domain_disk *d)
{
	if (!d->why_not)
		return;
	if (holds_data(d) && !cap->opt.only_disks)
		capture_degrade(cap, "disk %s is left out: %s", d->target,
				d->why_not);
	else
		capture_note(cap, "disk %s is left out: %s", d->target,
			     d->why_not);
}

static int pick_one(struct capture *cap, const struct domain_disk *d,
		    struct err *e)
{
	if (!d->captured) {
		leave_out(cap, d);
		return 0;
	}
	if (cap->opt.only_disks && !named(&cap->opt, d->target)) {
		capture_note(cap, "disk %s is left out: not asked for",
			     d->target);
		cap->unasked = d->target;
		return 0;
	}
	if (d->job_active)
		return err_set(e, ERR_BUSY,
			       "a block job is active on disk %s (see virsh "
			       "blockjob '%s' %s)",
			       d->target, cap->domain->name, d->target);
	cap->picks =
		mem_grow(cap->picks, cap->pick_count + 1, sizeof(*cap->picks));
	cap->picks[cap->pick_count++] = (struct capture_pick){ .disk = d };
	return 0;
}

int capture_pick(struct capture *cap, struct err *e)
{
	if (check_named(cap, e) < 0)
		return -1;
	for (size_t i = 0; i < cap->domain->disk_count; i++) {
		if (pick_one(cap, &cap->domain->disks[i], e) < 0)
			return -1;
	}
	return 0;
}

/* A pause that is a step of something else. */
static const char *under_way(int reason)
{
	switch (reason) {
	case VIR_DOMAIN_PAUSED_MIGRATION:
	case VIR_DOMAIN_PAUSED_POSTCOPY:
	case VIR_DOMAIN_PAUSED_POSTCOPY_FAILED:
		return "is being migrated";
	case VIR_DOMAIN_PAUSED_SAVE:
	case VIR_DOMAIN_PAUSED_DUMP:
	case VIR_DOMAIN_PAUSED_SNAPSHOT:
		return "is being saved, dumped or snapshotted";
	case VIR_DOMAIN_PAUSED_FROM_SNAPSHOT:
	case VIR_DOMAIN_PAUSED_STARTING_UP:
		return "is being started";
	case VIR_DOMAIN_PAUSED_SHUTTING_DOWN:
		return "is being shut down";
	default:
		return NULL;
	}
}

static int busy(const struct capture *cap, const char *why, struct err *e)
{
	return err_set(e, ERR_BUSY, "domain '%s' %s: try again later",
		       cap->domain->name, why);
}

int capture_mode(struct capture *cap, struct err *e)
{
	struct guest_state s;

	if (guest_state(cap->conn, cap->domain->uuid, &s, e) < 0)
		return -1;
	switch (s.state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
		cap->mode = MODE_LIVE;
		return 0;
	case VIR_DOMAIN_PAUSED:
		cap->mode = MODE_PLACE;
		return under_way(s.reason) ? busy(cap, under_way(s.reason), e)
					   : 0;
	case VIR_DOMAIN_CRASHED:
		cap->mode = MODE_PLACE;
		return 0;
	case VIR_DOMAIN_SHUTOFF:
		cap->mode = MODE_OFF;
		return 0;
	case VIR_DOMAIN_PMSUSPENDED:
		return err_set(e, ERR_REFUSED,
			       "domain '%s' has suspended itself (S3), which "
			       "libvirt cannot snapshot: wake it with virsh "
			       "dompmwakeup",
			       cap->domain->name);
	default:
		return busy(cap, "is being shut down", e);
	}
}
